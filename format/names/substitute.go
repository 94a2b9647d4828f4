package names

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Substitution gives names other ones, as the command s of sed does: s/^module\.//, s|\.w1\.|.gate_proj.|g. Any sign can stand for
// the slash. The expression has the syntax of Go's package regexp (RE2). In the text, \1 to \9 are the groups of a match, & and \0
// the whole of it. Of the flags there are g, for every match in place of the first, and i, for letters of either case.
type Substitution struct {
	text        string // as it was written
	expression  *regexp.Regexp
	replacement []replacementPart
	matches     int // that are replaced; −1 for all
}

// replacementPart is a text, and the group that follows it; none where that is negative.
type replacementPart struct {
	literal string
	group   int
}

// ParseSubstitution reads a substitution.
func ParseSubstitution(text string) (Substitution, error) {
	s := Substitution{text: text, matches: 1}
	fields, flags, err := sedFields(text)
	if err != nil {
		return s, err
	}
	pattern := fields[0]
	for _, flag := range flags {
		switch flag {
		case 'g':
			s.matches = -1
		case 'i', 'I':
			pattern = "(?i)" + pattern
		default:
			return s, fmt.Errorf("%s: unknown flag %q: there are g, for every match, and i, for either case", text, flag)
		}
	}
	if s.expression, err = regexp.Compile(pattern); err != nil {
		return s, fmt.Errorf("%s: %w", text, err)
	}
	if s.replacement, err = readReplacement(fields[1], s.expression.NumSubexp()); err != nil {
		return s, fmt.Errorf("%s: %w", text, err)
	}
	return s, nil
}

// sedFields takes s/EXPRESSION/TEXT/FLAGS apart. An escaped delimiter stands for itself.
func sedFields(text string) (fields [2]string, flags string, err error) {
	delimiter, size := utf8.DecodeRuneInString(strings.TrimPrefix(text, "s"))
	if !strings.HasPrefix(text, "s") || size == 0 || delimiter == '\\' || !(unicode.IsPunct(delimiter) || unicode.IsSymbol(delimiter)) {
		return fields, "", fmt.Errorf("%q is no substitution such as 's/^module\\.//'", text)
	}
	rest := text[1+size:]
	for k := range fields {
		end := fieldEnd(rest, delimiter)
		if end < 0 {
			return fields, "", fmt.Errorf("%q does not end with %c: a substitution is such as 's/^module\\.//'", text, delimiter)
		}
		own := string(delimiter)
		if k == 0 {
			own = regexp.QuoteMeta(own)
		} else if delimiter == '&' {
			own = `\&`
		}
		fields[k] = replaceEscaped(rest[:end], delimiter, own)
		rest = rest[end+size:]
	}
	return fields, rest, nil
}

// fieldEnd is where the first delimiter is that no backslash escapes; −1 for none.
func fieldEnd(text string, delimiter rune) int {
	escaped := false
	for i, r := range text {
		switch {
		case escaped:
			escaped = false
		case r == '\\':
			escaped = true
		case r == delimiter:
			return i
		}
	}
	return -1
}

// replaceEscaped puts own in the place of every escaped delimiter.
func replaceEscaped(text string, delimiter rune, own string) string {
	var out strings.Builder
	escaped := false
	for _, r := range text {
		switch {
		case escaped && r == delimiter:
			out.WriteString(own)
		case escaped:
			out.WriteByte('\\')
			out.WriteRune(r)
		case r != '\\':
			out.WriteRune(r)
		}
		escaped = !escaped && r == '\\'
	}
	return out.String()
}

// readReplacement reads the text of a substitution whose expression has so many groups.
func readReplacement(text string, groups int) (parts []replacementPart, err error) {
	var literal strings.Builder
	cut := func(group int) {
		parts = append(parts, replacementPart{literal.String(), group})
		literal.Reset()
	}
	escaped := false
	for _, r := range text {
		switch {
		case !escaped && r == '\\':
			escaped = true
			continue
		case !escaped && r == '&':
			cut(0)
		case escaped && r >= '0' && r <= '9':
			if int(r-'0') > groups {
				return nil, fmt.Errorf(`\%c: the expression has %d groups`, r, groups)
			}
			cut(int(r - '0'))
		case escaped && r != '\\' && r != '&':
			return nil, fmt.Errorf(`\%c means nothing in the text: there are \0 to \9, \& and \\`, r)
		case !escaped && r == '$':
			return nil, errors.New(`no name has a $ in it: groups are written \1`)
		default:
			literal.WriteRune(r)
		}
		escaped = false
	}
	cut(-1)
	return parts, nil
}

// Apply is the name that a name becomes, and whether the expression matches it.
func (s Substitution) Apply(name string) (string, bool) {
	matches := s.expression.FindAllStringSubmatchIndex(name, s.matches)
	if len(matches) == 0 {
		return name, false
	}
	var out strings.Builder
	end := 0
	for _, m := range matches {
		out.WriteString(name[end:m[0]])
		for _, part := range s.replacement {
			out.WriteString(part.literal)
			if g := part.group; g >= 0 && m[2*g] >= 0 {
				out.WriteString(name[m[2*g]:m[2*g+1]])
			}
		}
		end = m[1]
	}
	out.WriteString(name[end:])
	return out.String(), true
}

// String is the substitution as it was written.
func (s Substitution) String() string { return s.text }
