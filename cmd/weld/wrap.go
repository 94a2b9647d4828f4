package main

import (
	"strings"
	"unicode/utf8"
)

// helpWidth is how wide running text is, in characters.
const helpWidth = 90

// wrappedLines breaks the lines of a text that are too long, and leaves the others as they are.
func wrappedLines(text string, width int) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if line = strings.TrimSuffix(line, "\n"); utf8.RuneCountInString(line) > width {
			line = wrapped(line, width)
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// wrapped breaks a text into lines.
func wrapped(text string, width int) string { return wrappedItems(strings.Fields(text), "", width) }

// wrappedItems joins items with a separator, and breaks lines between them alone.
func wrappedItems(items []string, separator string, width int) string {
	var b strings.Builder
	at := 0
	for i, item := range items {
		if i < len(items)-1 {
			item += separator
		}
		n := utf8.RuneCountInString(item)
		switch {
		case i == 0:
		case at+1+n > width:
			b.WriteByte('\n')
			at = 0
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(item)
		at += n
	}
	return b.String()
}
