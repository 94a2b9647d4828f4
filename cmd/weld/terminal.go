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
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"
	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"weld/mmapio"
	"weld/stream"
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

func percent(share float64) string { return fmt.Sprintf("%.2f%%", 100*share) }

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

// size reads a flag that holds a number of bytes; 0 where it is not given.
func size(c *cli.Context, flag string, least int64) (int64, error) {
	text := c.String(flag)
	if text == "" {
		return 0, nil
	}
	n, err := humanize.ParseBytes(text)
	if err != nil || n > 1<<62 {
		return 0, usagef("--%s %q is no number of bytes, such as 512MiB or 5GB", flag, text)
	}
	if int64(n) < least {
		return 0, usagef("--%s %s is too small: at least %s", flag, text, binary(least))
	}
	return int64(n), nil
}

// Intervals of progress.
const (
	barInterval  = 100 * time.Millisecond
	lineInterval = 5 * time.Second
	jsonInterval = time.Second
)

// watch shows the progress of a run until stop is called.
func watch(c *cli.Context, p *stream.Progress) (stop func()) {
	if c.Bool("quiet") {
		return func() {}
	}
	show, interval := progressLines(c.App.ErrWriter), lineInterval
	switch f, isFile := c.App.ErrWriter.(*os.File); {
	case c.Bool("json"):
		show, interval = progressJSON(c.App.ErrWriter), jsonInterval
	case isFile && term.IsTerminal(int(f.Fd())):
		show, interval = progressBar(f), barInterval
	}
	quit, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				step, done := p.Now()
				show(step, done, false)
			case <-quit:
				step, done := p.Now()
				show(step, done, true)
				return
			}
		}
	}()
	return func() { close(quit); <-gone }
}

// display shows how far a step is; last is the end of it all.
type display func(step stream.Step, done int64, last bool)

// progressBar draws on a terminal, one bar for each step.
func progressBar(w io.Writer) display {
	var bar *progressbar.ProgressBar
	drawn := 0 // the step that the bar shows
	return func(step stream.Step, done int64, last bool) {
		if step.Index != drawn || last {
			if bar != nil {
				bar.Clear()
			}
			bar, drawn = nil, step.Index
		}
		if last || step.Bytes == 0 {
			return
		}
		if bar == nil {
			bar = progressbar.NewOptions64(step.Bytes,
				progressbar.OptionSetWriter(w),
				progressbar.OptionSetDescription(title(step)),
				progressbar.OptionShowBytes(true),
				progressbar.OptionSetWidth(30),
				progressbar.OptionSetPredictTime(true),
				progressbar.OptionUseIECUnits(false),
				progressbar.OptionClearOnFinish(),
			)
		}
		bar.ChangeMax64(step.Bytes) // estimates get better
		bar.Set64(min(done, step.Bytes))
	}
}

func title(s stream.Step) string { return fmt.Sprintf("%d/%d %s", s.Index, s.Count, s.Name) }

// progressLines writes a line now and then, for logs.
func progressLines(w io.Writer) display {
	start := time.Now()
	return func(step stream.Step, done int64, last bool) {
		if last || step.Bytes == 0 {
			return
		}
		say(w, "weld: %s: %s of %s, %s elapsed\n", title(step), decimal(done), decimal(step.Bytes), time.Since(start).Round(time.Second))
	}
}

// progressJSON writes a line for programs, the last one included.
func progressJSON(w io.Writer) display {
	start := time.Now()
	e := json.NewEncoder(w)
	return func(step stream.Step, done int64, _ bool) {
		e.Encode(struct {
			Step    string  `json:"step"`
			Index   int     `json:"index"`
			Count   int     `json:"count"`
			Done    int64   `json:"done_bytes"`
			Total   int64   `json:"total_bytes"`
			Elapsed float64 `json:"elapsed_seconds"`
		}{step.Name, step.Index, step.Count, done, step.Bytes, time.Since(start).Seconds()})
	}
}
