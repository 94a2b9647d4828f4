package main

import (
	"errors"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"weld/mmapio"
	"weld/stream"
	"weld/stream/run"
)

// runFlags are the flags of every command that walks checkpoints.
func runFlags() []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{Name: "threads", Usage: "`N` workers at most; more than there are processors bring nothing and are not started", DefaultText: "one per processor", Category: categoryRun},
		&cli.StringFlag{Name: "memory", Usage: "byte budget, such as 512MiB", DefaultText: "192MiB", Category: categoryRun},
		&cli.StringFlag{Name: "read", Usage: "how inputs are read: mmap, or pread, which suits network file systems better", DefaultText: mmapio.Mapped.String(), Category: categoryRun},
		&cli.StringFlag{Name: "cache", Usage: "the page cache of what was read and written: auto (drop it if it would fill more than half of memory), keep, drop", DefaultText: run.Caches[run.CacheAuto], Category: categoryRun},
		&cli.BoolFlag{Name: "json", Usage: "results as JSON on stdout, progress as JSON lines on stderr", Category: categoryRun},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "no progress, no notes", Category: categoryRun},
	}
}

// Groups of flags in the help texts.
const (
	categoryRun     = "How it is run"
	categoryMethod  = "What is merged"
	categoryOutput  = "Output"
	categoryConvert = "What is written"
)

// spareProcessors are more than there are workers, for the Go scheduler: with none to
// spare it takes a worker's processor away during every system call that reads or
// writes a span, and a tenth of the time goes into getting it back.
const spareProcessors = 2

// minMemory is the least budget that can be asked for.
const minMemory = 32 << 20

// options reads runFlags, and the output's flags where the command has them.
func options(c *cli.Context) (stream.Options, error) {
	o := stream.Options{Threads: c.Int("threads"), Version: c.App.Version, Progress: new(run.Progress)}
	if o.Threads < 0 {
		return o, usagef("--threads %d: at least 1, or 0 for one per CPU", o.Threads)
	}
	if processors := runtime.GOMAXPROCS(0); o.Threads == 0 || o.Threads > processors {
		o.Threads = processors
	}
	runtime.GOMAXPROCS(o.Threads + spareProcessors)
	var err error
	if o.Memory, err = size(c, "memory", minMemory); err != nil {
		return o, err
	}
	if o.ShardSize, err = size(c, "shard-size", 1); err != nil {
		return o, err
	}
	if err := errors.Join(oneOf(c, "read", mmapio.Readings, &o.Read), oneOf(c, "cache", run.Caches, &o.Cache), oneOf(c, "passes", stream.PassesChoices, &o.Passes)); err != nil {
		return o, err
	}
	o.Force = c.Bool("force")
	limit := o.Memory
	if limit == 0 {
		limit = run.DefaultMemory
	}
	debug.SetMemoryLimit(limit)
	o.Beyond = func(bytes int64) {
		debug.SetMemoryLimit(limit + bytes)
		if bytes > 0 { // as much again as a large plan takes would be waiting for the collector
			debug.SetGCPercent(mostGarbage)
		}
	}
	o.Decoding = func() { debug.SetGCPercent(mostGarbage) } // and so it is with decoded values
	return o, nil
}

// mostGarbage is how much garbage there may be beside a plan that does not fit into its half of the memory, and beside decoded
// values, in percent.
const mostGarbage = 25

// oneOf reads a flag that chooses among names; without it the choice stays.
func oneOf[T ~uint8](c *cli.Context, flag string, names []string, choice *T) error {
	if !c.IsSet(flag) {
		return nil
	}
	i := slices.Index(names, c.String(flag))
	if i < 0 {
		return usagef("--%s %q: one of %s", flag, c.String(flag), strings.Join(names, ", "))
	}
	*choice = T(i)
	return nil
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
