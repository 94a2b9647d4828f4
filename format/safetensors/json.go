package safetensors

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"weld/format"
)

// maxDepth bounds the nesting of objects and arrays. A header and an index nest
// three deep; what an index holds beside them is hardly deeper.
const maxDepth = 128

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
	more io.Reader // of the text behind src, whose errors say what could not be read; nil where that is all

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
	if err := s.space(); err != nil {
		return token{}, err
	}
	if s.want == wantSeparator && s.peek() == ',' {
		s.pos++
		s.want = wantValue
		if s.nest[s.depth-1] == tokenObject {
			s.want = wantKey
		}
		if err := s.space(); err != nil {
			return token{}, err
		}
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
// but a string is longer.
const lookahead = 64 << 10

// slide makes sure of the text ahead. A key stays where it is until its value begins.
func (s *scanner) slide() error {
	if s.more == nil || s.keeps() || len(s.src)-s.pos >= lookahead {
		return nil
	}
	n := copy(s.src, s.src[s.pos:])
	s.base, s.pos, s.src = s.base+int64(s.pos), 0, s.src[:n]
	return s.extend(4 * lookahead)
}

// keeps reports whether the text behind pos is a key that is still wanted.
func (s *scanner) keeps() bool { return s.want == wantValue && s.depth > 0 }

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
		return err
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

// at is where a byte of the file is in the text; less than 0, where it is not there any more.
func (s *scanner) at(offset int64) int { return int(offset - s.base) }

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

// space passes over white space, of any length.
func (s *scanner) space() error {
	for {
		for s.pos < len(s.src) {
			switch s.src[s.pos] {
			case ' ', '\t', '\n', '\r':
				s.pos++
			default:
				return nil
			}
		}
		var err error
		switch {
		case s.more == nil:
			return nil
		case s.keeps():
			err = s.extend(lookahead)
		default:
			err = s.slide()
		}
		if err != nil {
			return err
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
	s.want = wantValue // from here on the key is kept
	if err := s.space(); err != nil {
		return token{}, err
	}
	if s.peek() != ':' {
		return token{}, s.expected("':' after a key")
	}
	s.pos++
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
