package main

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Names of tensors and files, metadata, and what errors quote of them come from files that anybody may have
// written. This file is the one place through which they reach a terminal: as text that says what is
// there, without control characters, which a terminal obeys, and without those that reorder or hide
// text. Line ends are weld's own.

// visible escapes what cannot be seen in a text: one line, whatever it holds. What is no UTF-8 is escaped as well.
func visible(text string) string {
	if plain(text) || !strings.ContainsFunc(text, hidden) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case hidden(r):
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

// plain reports a text of ASCII alone that can be seen, as next to all names are.
func plain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= '\x7f' {
			return false
		}
	}
	return true
}

// hidden reports a character that shows nothing of itself: controls, line ends, marks that reorder text,
// spaces other than the one on the keyboard, and what Unicode has fonts ignore. Bytes that are no UTF-8 are
// seen as the replacement character, which is taken for one of them.
func hidden(r rune) bool {
	if r < utf8.RuneSelf {
		return r < ' ' || r == '\x7f'
	}
	return !strconv.IsPrint(r) || r == utf8.RuneError || r == blankBraille ||
		unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// blankBraille is a pattern without dots, which counts as a symbol.
const blankBraille = '\u2800'

// say prints for people. The format is weld's own text; strings, lists of them, errors and everything that has
// a String method are made visible.
func say(w io.Writer, format string, args ...any) {
	shown := make([]any, len(args))
	for i, arg := range args {
		switch a := arg.(type) {
		case string:
			shown[i] = visible(a)
		case error:
			shown[i] = visible(a.Error())
		case fmt.Stringer:
			shown[i] = visible(a.String())
		default:
			shown[i] = a
		}
	}
	fmt.Fprintf(w, format, shown...)
}

// lines prints a text of several lines, each with a prefix, and each made visible.
func lines(w io.Writer, prefix, text string) {
	for line := range strings.Lines(text) {
		fmt.Fprintln(w, prefix+visible(strings.TrimRight(line, "\r\n")))
	}
}

// escapedJSON passes JSON on and escapes in it what cannot be seen: it stands in strings only, where an
// escape means the same.
type escapedJSON struct{ w io.Writer }

func (e escapedJSON) Write(p []byte) (int, error) {
	unseen := func(r rune) bool { return r != '\n' && hidden(r) }
	if !bytes.ContainsFunc(p, unseen) {
		return e.w.Write(p)
	}
	out := make([]byte, 0, len(p)+len(p)/8)
	for rest := p; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		switch {
		case !unseen(r):
			out = append(out, rest[:n]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		rest = rest[n:]
	}
	if _, err := e.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// results is stdout. It keeps the first error of writing to it, which most of what prints does not look
// at: results that did not arrive are a failure, whoever printed them.
type results struct {
	w   io.Writer
	err error
}

func (r *results) Write(p []byte) (int, error) {
	n, err := r.w.Write(p)
	if err != nil && r.err == nil {
		r.err = err
	}
	return n, err
}
