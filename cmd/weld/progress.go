package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"weld/stream/run"

	"github.com/schollz/progressbar/v3"
	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

// Intervals of progress.
const (
	barInterval  = 100 * time.Millisecond
	lineInterval = 5 * time.Second
	jsonInterval = time.Second
)

// watched runs work, and shows its progress meanwhile.
func watched[T any](c *cli.Context, p *run.Progress, work func(context.Context) (T, error)) (T, error) {
	defer watch(c, p)()
	return work(c.Context)
}

// watch shows the progress of a run until stop is called.
func watch(c *cli.Context, p *run.Progress) (stop func()) {
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
type display func(step run.Phase, done int64, last bool)

// progressBar draws on a terminal, one bar for each step.
func progressBar(w io.Writer) display {
	var bar *progressbar.ProgressBar
	drawn := 0 // the step that the bar shows
	return func(step run.Phase, done int64, last bool) {
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

func title(s run.Phase) string { return fmt.Sprintf("%d/%d %s", s.Index, s.Count, s.Name) }

// progressLines writes a line now and then, for logs.
func progressLines(w io.Writer) display {
	start := time.Now()
	return func(step run.Phase, done int64, last bool) {
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
	return func(step run.Phase, done int64, _ bool) {
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
