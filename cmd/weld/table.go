package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// columnGap stands between two columns.
const columnGap = 2

// table prints rows below a header whose words | separates.
func table(w io.Writer, header string, rows [][]string) {
	columns(w, header, len(rows), func(i int) []string { return rows[i] }) // what could not be written, results keeps
}

// columns prints n rows below a header whose words | separates, and makes their cells visible. A row is made when
// it is looked at, twice: for the width of the columns, and to be printed. A million of them take no memory.
func columns(w io.Writer, header string, n int, row func(i int) []string) error {
	names := strings.Split(header, "|")
	widths := make([]int, len(names))
	line := func(i int) []string {
		if i < 0 {
			return names
		}
		cells := row(i)
		for k, cell := range cells {
			cells[k] = visible(cell)
		}
		return cells
	}
	for i := -1; i < n; i++ {
		for k, cell := range line(i) {
			widths[k] = max(widths[k], utf8.RuneCountInString(cell)+columnGap)
		}
	}
	out := bufio.NewWriterSize(w, 64<<10)
	for i := -1; i < n; i++ {
		cells := line(i)
		last := len(cells) - 1
		for k, cell := range cells[:last] {
			out.WriteString(cell)
			for range widths[k] - utf8.RuneCountInString(cell) {
				out.WriteByte(' ')
			}
		}
		out.WriteString(cells[last])
		out.WriteByte('\n')
	}
	return out.Flush()
}

// printLongJSON prints a value that has an empty list of that name, with n items in it, which are made when they are
// printed.
func printLongJSON(w io.Writer, value any, list string, n int, item func(i int) any) error {
	out := bufio.NewWriterSize(w, 64<<10)
	shown := escapedJSON{out} // gets whole texts: a buffer's end may lie inside a character
	text, err := indented(value, "")
	if err != nil {
		return err
	}
	before := fmt.Sprintf("\n  %q: [", list) // no text has a line in it that begins so
	text, rest, found := bytes.Cut(text, []byte(before+"]"))
	if !found {
		return fmt.Errorf("%T has no empty list %q", value, list)
	}
	shown.Write(text)
	out.WriteString(before)
	for i := range n {
		text, err := indented(item(i), "    ")
		if err != nil {
			return err
		}
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString("\n    ")
		shown.Write(text)
	}
	if n > 0 {
		out.WriteString("\n  ")
	}
	out.WriteByte(']')
	shown.Write(rest)
	out.WriteByte('\n')
	return out.Flush()
}

// indented is JSON as [printJSON] prints it, behind a prefix in all lines but the first.
func indented(value any, prefix string) ([]byte, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetIndent(prefix, "  ")
	e.SetEscapeHTML(false)
	err := e.Encode(value)
	return bytes.TrimRight(text.Bytes(), "\n"), err
}
