package main

// This file prints. The rules:
//
//   - Results go to stdout, as a table or, with --json, as one JSON value. They
//     never mix with anything else.
//   - Everything else goes to stderr: errors with the prefix "weld: ", notes with
//     "weld: note: ", progress.
//   - Progress is a bar where stderr is a terminal, a line every few seconds where it
//     is not, JSON lines with --json, nothing with --quiet. It never outlives the
//     command.
//   - What comes from files is made visible: see visible.go.
//   - Sizes are decimal (GB) where people give them, binary (MiB) for memory.

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"weld/mmapio"
)

// printJSON writes one value to stdout.
func printJSON(c *cli.Context, v any) error {
	e := json.NewEncoder(escapedJSON{c.App.Writer})
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// printNotes prints what a user should know before a run, and what turned out of the system.
func printNotes(c *cli.Context, notes []string) {
	if c.Bool("quiet") {
		return
	}
	for _, n := range slices.Concat(notes, mmapio.Notices()) {
		lines(c.App.ErrWriter, "weld: note: ", n)
	}
}

func decimal(n int64) string { return humanize.Bytes(uint64(n)) }
func binary(n int64) string  { return humanize.IBytes(uint64(n)) }
func count(n int64) string   { return humanize.Comma(n) }

func percent(share float64) string { return strconv.FormatFloat(100*share, 'f', 2, 64) + "%" }

// some is a number of things: 1 file, 2 passes.
func some[N int | int64](n N, thing string) string {
	switch {
	case n == 1:
		return "1 " + thing
	case strings.HasSuffix(thing, "s"):
		thing += "e"
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
