package safetensors

type tokenKind uint8

const (
	tokenEnd tokenKind = iota // the end of the text
	tokenObject
	tokenObjectEnd
	tokenArray
	tokenArrayEnd
	tokenKey
	tokenString
	tokenNumber
	tokenTrue
	tokenFalse
	tokenNull
)

var tokenNames = [...]string{
	tokenEnd:       "the end of the text",
	tokenObject:    "an object",
	tokenObjectEnd: "the end of an object",
	tokenArray:     "an array",
	tokenArrayEnd:  "the end of an array",
	tokenKey:       "a key",
	tokenString:    "a string",
	tokenNumber:    "a number",
	tokenTrue:      "true",
	tokenFalse:     "false",
	tokenNull:      "null",
}

func (k tokenKind) String() string { return tokenNames[k] }

// token is a piece of a JSON text: src[start:end], for keys and strings with
// their quotes. Commas, colons and white space lie between tokens.
type token struct {
	kind       tokenKind
	escaped    bool // a key or string that holds escapes
	start, end int
}

// want is what the grammar allows next.
type want uint8

const (
	wantValue want = iota
	wantValueOrEnd
	wantKey
	wantKeyOrEnd
	wantSeparator
	wantEnd
)
