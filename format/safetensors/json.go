package safetensors

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"unicode/utf16"
	"unicode/utf8"

	"weld/format"
)

// maxDepth bounds the nesting of objects and arrays. A header and an index nest
// three deep; what an index holds beside them is hardly deeper.
const maxDepth = 128

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

// scanner takes a JSON text apart, token by token, by the grammar of RFC 8259
// and nothing beside it: the text is UTF-8 without a byte order mark, every
// escaped surrogate has its other half, and only white space follows the value.
// It finds no duplicate keys; whoever reads an object knows which it holds.
//
// Faults are [*format.Error] of [format.KindJSON] or [format.KindUTF8]. The
// scanner is of no use after the first.
type scanner struct {
	path string // named in faults
	src  []byte
	base int64     // offset of src in the file
	more io.Reader // of the text behind src; nil where that is all

	pos   int
	want  want
	depth int
	nest  [maxDepth]tokenKind // tokenObject or tokenArray
}

// next returns the next token, which is tokenEnd after the value and ever after.
func (s *scanner) next() (token, error) {
	if err := s.slide(); err != nil {
		return token{}, err
	}
	s.space()
	if s.want == wantSeparator && s.peek() == ',' {
		s.pos++
		s.want = wantValue
		if s.nest[s.depth-1] == tokenObject {
			s.want = wantKey
		}
		s.space()
	}
	c := s.peek()
	switch s.want {
	case wantKey, wantKeyOrEnd:
		if c == '"' {
			return s.key()
		}
	case wantValue, wantValueOrEnd:
		if c != ']' {
			return s.value(c)
		}
	case wantEnd:
		if s.pos == len(s.src) {
			return token{kind: tokenEnd, start: s.pos, end: s.pos}, nil
		}
	}
	if s.closes(c) {
		return s.leave()
	}
	return s.unexpected()
}

// lookahead is how much of the text is there when a token begins, if there is so much. No token
// but a string is longer, and no space between tokens.
const lookahead = 64 << 10

// slide makes sure of the text ahead. A key stays where it is until its value begins.
func (s *scanner) slide() error {
	if s.more == nil || s.want == wantValue && s.depth > 0 || len(s.src)-s.pos >= lookahead {
		return nil
	}
	n := copy(s.src, s.src[s.pos:])
	s.base, s.pos, s.src = s.base+int64(s.pos), 0, s.src[:n]
	return s.extend(4 * lookahead)
}

// extend reads up to n bytes more behind src.
func (s *scanner) extend(n int) error {
	begin := len(s.src)
	s.src = slices.Grow(s.src, n)[:begin+n]
	got, err := io.ReadFull(s.more, s.src[begin:])
	s.src = s.src[:begin+got]
	switch {
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		s.more = nil
	case err != nil:
		return fmt.Errorf("read %s: %w", s.path, err)
	}
	return nil
}

// members calls do for each key of the object that was just opened, and do
// takes the value.
func (s *scanner) members(do func(key token) error) error {
	for {
		t, err := s.next()
		if err != nil || t.kind == tokenObjectEnd {
			return err
		}
		if err := do(t); err != nil {
			return err
		}
	}
}

// elements calls do for each element of the array that was just opened, with
// its first token.
func (s *scanner) elements(do func(t token) error) error {
	for {
		t, err := s.next()
		if err != nil || t.kind == tokenArrayEnd {
			return err
		}
		if err := do(t); err != nil {
			return err
		}
	}
}

// skip passes over one whole value.
func (s *scanner) skip() error {
	depth := s.depth
	for {
		if _, err := s.next(); err != nil || s.depth == depth {
			return err
		}
	}
}

// text returns what a key or a string says.
func (s *scanner) text(t token) string { return string(s.bytes(t)) }

// bytes returns it as it lies in the text, if nothing is escaped: good until the token behind the next.
func (s *scanner) bytes(t token) []byte {
	inside := s.src[t.start+1 : t.end-1]
	if t.escaped {
		return unescape(inside)
	}
	return inside
}

// is reports whether a key or a string says just that.
func (s *scanner) is(t token, text string) bool {
	return string(s.bytes(t)) == text
}

// fault reports what is wrong at an offset of the text.
func (s *scanner) fault(kind format.Kind, at int, detail string, args ...any) error {
	return s.tensorFault(kind, "", at, detail, args...)
}

// tensorFault reports what is wrong at an offset of the text with a tensor.
func (s *scanner) tensorFault(kind format.Kind, tensor string, at int, detail string, args ...any) error {
	return &format.Error{
		Path:   s.path,
		Tensor: tensor,
		Kind:   kind,
		Detail: fmt.Sprintf("byte %d: ", s.base+int64(at)) + fmt.Sprintf(detail, args...),
	}
}

func (s *scanner) space() {
	for s.pos < len(s.src) {
		switch s.src[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// peek returns the next byte, or 0, which begins nothing, at the end.
func (s *scanner) peek() byte {
	if s.pos < len(s.src) {
		return s.src[s.pos]
	}
	return 0
}

// closes reports whether c closes the innermost object or array, where it may.
func (s *scanner) closes(c byte) bool {
	switch s.want {
	case wantKeyOrEnd:
		return c == '}'
	case wantValueOrEnd:
		return c == ']'
	case wantSeparator:
		return c == '}' && s.nest[s.depth-1] == tokenObject ||
			c == ']' && s.nest[s.depth-1] == tokenArray
	}
	return false
}

func (s *scanner) leave() (token, error) {
	kind := tokenObjectEnd
	if s.nest[s.depth-1] == tokenArray {
		kind = tokenArrayEnd
	}
	s.depth--
	return s.token(kind, 1), nil
}

func (s *scanner) enter(kind tokenKind, then want) (token, error) {
	if s.depth == maxDepth {
		return token{}, s.fault(format.KindJSON, s.pos, "nested deeper than %d", maxDepth)
	}
	s.nest[s.depth] = kind
	s.depth++
	t := s.token(kind, 1)
	s.want = then
	return t, nil
}

// token takes the next n bytes as one that completes a value or a container.
func (s *scanner) token(kind tokenKind, n int) token {
	t := token{kind: kind, start: s.pos, end: s.pos + n}
	s.pos += n
	s.want = wantSeparator
	if s.depth == 0 {
		s.want = wantEnd
	}
	return t
}

// key takes a key and the colon after it.
func (s *scanner) key() (token, error) {
	t, err := s.string(tokenKey)
	if err != nil {
		return token{}, err
	}
	s.space()
	if s.peek() != ':' {
		return token{}, s.expected("':' after a key")
	}
	s.pos++
	s.want = wantValue
	return t, nil
}

func (s *scanner) value(c byte) (token, error) {
	switch {
	case c == '{':
		return s.enter(tokenObject, wantKeyOrEnd)
	case c == '[':
		return s.enter(tokenArray, wantValueOrEnd)
	case c == '"':
		return s.string(tokenString)
	case s.begins("true"):
		return s.token(tokenTrue, len("true")), nil
	case s.begins("false"):
		return s.token(tokenFalse, len("false")), nil
	case s.begins("null"):
		return s.token(tokenNull, len("null")), nil
	case c == '-' || digit(c):
		return s.number()
	}
	return s.unexpected()
}

func (s *scanner) begins(word string) bool {
	return bytes.HasPrefix(s.src[s.pos:], []byte(word))
}

func (s *scanner) number() (token, error) {
	i := s.pos
	if s.src[i] == '-' {
		i++
	}
	whole := s.digits(i)
	if whole > i+1 && s.src[i] == '0' {
		return token{}, s.fault(format.KindJSON, i, "a number begins with 0")
	}
	end, ok := whole, whole > i
	if ok && end < len(s.src) && s.src[end] == '.' {
		from := end + 1
		end = s.digits(from)
		ok = end > from
	}
	if ok && end < len(s.src) && (s.src[end] == 'e' || s.src[end] == 'E') {
		from := end + 1
		if from < len(s.src) && (s.src[from] == '+' || s.src[from] == '-') {
			from++
		}
		end = s.digits(from)
		ok = end > from
	}
	if !ok {
		s.pos = end
		return token{}, s.expected("a digit")
	}
	return s.token(tokenNumber, end-s.pos), nil
}

// digits returns the end of the digits from i on.
func (s *scanner) digits(i int) int {
	for i < len(s.src) && digit(s.src[i]) {
		i++
	}
	return i
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// string takes a key or a string and checks what is in it.
func (s *scanner) string(kind tokenKind) (token, error) {
	escaped, ascii := false, true
	for i := s.pos + 1; ; i++ {
		for i < len(s.src) && plain[s.src[i]] {
			i++
		}
		if len(s.src)-i < longestEscape && s.more != nil {
			if err := s.extend(lookahead); err != nil {
				return token{}, err
			}
		}
		if i >= len(s.src) {
			return token{}, s.fault(format.KindJSON, s.pos, "a string has no end")
		}
		switch c := s.src[i]; {
		case c == '"':
			if inside := s.src[s.pos+1 : i]; !ascii && !utf8.Valid(inside) {
				return token{}, s.notUTF8(s.pos + 1 + validPrefix(inside))
			}
			t := s.token(kind, i+1-s.pos)
			t.escaped = escaped
			return t, nil
		case c == '\\':
			n := escapeLen(s.src[i:])
			if n == 0 {
				return token{}, s.badEscape(i)
			}
			escaped = true
			i += n - 1
		case c < ' ':
			return token{}, s.fault(format.KindJSON, i, "a control character, %#02x, stands unescaped in a string", c)
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
}

// plain are the characters that stand for themselves in a string.
var plain = func() (set [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		set[c] = c != '"' && c != '\\'
	}
	return set
}()

// longestEscape is the length of two surrogates.
const longestEscape = len(`\ud800\u0000`)

func (s *scanner) badEscape(i int) error {
	if bytes.HasPrefix(s.src[i:], []byte(`\u`)) {
		return s.fault(format.KindJSON, i,
			`expected four hexadecimal digits after \u, and surrogates in pairs, found %q`, s.escapeAt(i))
	}
	return s.fault(format.KindJSON, i, `expected one of "\/bfnrtu after \, found %q`, s.escapeAt(i))
}

// escapeAt is what an error shows of an escape.
func (s *scanner) escapeAt(i int) []byte {
	return s.src[i:min(i+longestEscape, len(s.src))]
}

func (s *scanner) notUTF8(at int) error {
	return s.fault(format.KindUTF8, at, "expected UTF-8, found byte %#02x", s.src[at])
}

func (s *scanner) unexpected() (token, error) {
	what := ""
	switch s.want {
	case wantValue:
		what = "a value"
	case wantValueOrEnd:
		what = "a value or ']'"
	case wantKey:
		what = "a key"
	case wantKeyOrEnd:
		what = "a key or '}'"
	case wantSeparator:
		what = "',' or ']'"
		if s.nest[s.depth-1] == tokenObject {
			what = "',' or '}'"
		}
	case wantEnd:
		what = "nothing after the value"
	}
	return token{}, s.expected(what)
}

// expected reports what stands at the current position instead of what.
func (s *scanner) expected(what string) error {
	rest := s.src[s.pos:]
	if len(rest) == 0 {
		return s.fault(format.KindJSON, s.pos, "expected %s, found the end of the text", what)
	}
	r, n := utf8.DecodeRune(rest)
	if r == utf8.RuneError && n == 1 {
		return s.notUTF8(s.pos)
	}
	return s.fault(format.KindJSON, s.pos, "expected %s, found %q", what, r)
}

// validPrefix is the length of the UTF-8 that text begins with.
func validPrefix(text []byte) int {
	for i := 0; ; {
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
}

// escapeLen is the length of the escape that text begins with, 0 where it is none.
func escapeLen(text []byte) int {
	if len(text) < 2 {
		return 0
	}
	switch text[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		_, n := escapedRune(text)
		return n
	}
	return 0
}

// escapedRune decodes \uXXXX, or two of them that are a surrogate pair. n is the
// number of bytes that it took, 0 where they are no character.
func escapedRune(text []byte) (r rune, n int) {
	r = hex4(text)
	if !utf16.IsSurrogate(r) {
		if r < 0 {
			return 0, 0
		}
		return r, 6
	}
	r = utf16.DecodeRune(r, hex4(text[6:]))
	if r == utf8.RuneError {
		return 0, 0
	}
	return r, 12
}

// hex4 is the number in the \uXXXX that text begins with, or -1.
func hex4(text []byte) rune {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range text[2:6] {
		switch {
		case digit(c):
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// unescape undoes the escapes of a string that was scanned.
func unescape(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		if text[0] != '\\' {
			out = append(out, text[0])
			text = text[1:]
			continue
		}
		n := 2
		switch c := text[1]; c {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			var r rune
			r, n = escapedRune(text)
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, c)
		}
		text = text[n:]
	}
	return out
}

// appendString prints a JSON string and escapes what must be escaped, no more.
func appendString(dst []byte, text string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c >= ' ':
			dst = append(dst, c)
		case c == '\b':
			dst = append(dst, '\\', 'b')
		case c == '\f':
			dst = append(dst, '\\', 'f')
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(dst, '"')
}

// excerpt is as much of a text from a file as an error needs.
func excerpt(text string) string {
	const enough = 60
	if len(text) <= enough {
		return text
	}
	n := enough
	for !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + "…"
}
