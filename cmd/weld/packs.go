package main

import (
	"context"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"weld/stream/packs"
)

// streamHelp says what - means.
const streamHelp = "A - stands for stdin or stdout.\n\n"

func forceFlag() cli.Flag {
	return &cli.BoolFlag{Name: "force", Usage: "replace an existing output", Category: categoryOutput}
}

// packWork runs work with what the flags say, and shows its progress meanwhile.
func packWork[T any](c *cli.Context, work func(ctx context.Context, o packs.Options) (T, error)) (T, error) {
	o, err := options(c)
	if err != nil {
		var none T
		return none, err
	}
	return watched(c, o.Progress, func(ctx context.Context) (T, error) {
		return work(ctx, packs.Options{Options: o, In: os.Stdin, Out: c.App.Writer})
	})
}

// named is a path as messages have it.
func named(path, stream string) string {
	if path == packs.Stream {
		return stream
	}
	return path
}

// twoPaths are an input and an output.
func twoPaths(c *cli.Context) (in, out string, err error) {
	if c.NArg() == 2 && (c.Args().Get(0) == "" || c.Args().Get(1) == "") {
		return "", "", usagef("a path is empty (a variable of the shell that is not set?): weld %s %s", c.Command.Name, c.Command.ArgsUsage)
	}
	if c.NArg() != 2 {
		return "", "", usagef("an input and an output are expected, %d given: weld %s %s", c.NArg(), c.Command.Name, c.Command.ArgsUsage)
	}
	return c.Args().Get(0), c.Args().Get(1), nil
}

// printPacks prints a result: on stderr if stdout is the output itself.
func printPacks(c *cli.Context, out string, r any, print func(io.Writer)) error {
	switch {
	case out == packs.Stream && c.Bool("quiet"):
		return nil
	case out == packs.Stream:
		print(c.App.ErrWriter)
		return nil
	case c.Bool("json"):
		return printJSON(c, r)
	}
	print(c.App.Writer)
	return nil
}

// printRestored prints what unpack or apply wrote.
func printRestored(c *cli.Context, r *packs.Outcome) error {
	return printPacks(c, r.Out, r, func(w io.Writer) {
		say(w, "%s: %s in %s, digest %.16s…, %.1f s\n", named(r.Out, "stdout"), decimal(r.Bytes), some(r.Files, "file"), r.Digest, r.Seconds)
	})
}
