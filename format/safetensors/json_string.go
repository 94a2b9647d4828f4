package safetensors

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"

	"weld/format"
)

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
