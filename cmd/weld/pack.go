package main

import (
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"weld/format/open"
	"weld/stream/packs"
)

// streamHelp says what - means.
const streamHelp = "A - stands for stdin or stdout.\n\n"

func packCommand() *cli.Command {
	return &cli.Command{
		Name:      "pack",
		Usage:     "compress a checkpoint without loss, with all its files",
		ArgsUsage: "IN OUT.weld",
		Description: "IN is " + open.Readable + ".\nOUT.weld is one file that holds the shards and the small files beside them, byte for\nbyte; " +
			"every command reads it where it reads a directory. " + streamHelp +
			"Examples:\n\n   weld pack ./merged merged.weld\n   weld pack ./merged - | ssh edge 'weld unpack - ./model'\n\n" + exitHelp,
		Flags:  append([]cli.Flag{forceFlag()}, runFlags()...),
		Action: pack,
	}
}

func unpackCommand() *cli.Command {
	return &cli.Command{
		Name:      "unpack",
		Usage:     "restore the files of a pack",
		ArgsUsage: "IN.weld OUT",
		Description: "OUT is a directory, or, of a pack with one file, *.safetensors. " + streamHelp +
			"Examples:\n\n   weld unpack merged.weld ./merged\n   weld unpack - ./merged < merged.weld\n\n" + exitHelp,
		Flags:  append([]cli.Flag{forceFlag()}, runFlags()...),
		Action: unpack,
	}
}

func forceFlag() cli.Flag {
	return &cli.BoolFlag{Name: "force", Usage: "replace an existing output", Category: categoryOutput}
}

// packOptions reads the flags of the commands around packs.
func packOptions(c *cli.Context) (packs.Options, error) {
	o, err := options(c)
	return packs.Options{Options: o, In: os.Stdin, Out: c.App.Writer}, err
}

// twoPaths are an input and an output.
func twoPaths(c *cli.Context) (in, out string, err error) {
	if c.NArg() != 2 || c.Args().Get(0) == "" || c.Args().Get(1) == "" {
		return "", "", usagef("an input and an output are expected, %d given: weld %s %s", c.NArg(), c.Command.Name, c.Command.ArgsUsage)
	}
	return c.Args().Get(0), c.Args().Get(1), nil
}

func pack(c *cli.Context) error {
	in, out, err := twoPaths(c)
	if err != nil {
		return err
	}
	o, err := packOptions(c)
	if err != nil {
		return err
	}
	stop := watch(c, o.Progress)
	r, err := packs.Pack(c.Context, in, out, o)
	stop()
	if err != nil {
		return err
	}
	printNotes(c, r.Notes)
	return printPacks(c, r, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %s of %s (%s) in %d files, digest %.16s…, %.1f s\n", r.Out, decimal(r.Packed), decimal(r.Bytes), percent(r.Ratio()), r.Files, r.Digest, r.Seconds)
	})
}

func unpack(c *cli.Context) error {
	in, out, err := twoPaths(c)
	if err != nil {
		return err
	}
	o, err := packOptions(c)
	if err != nil {
		return err
	}
	stop := watch(c, o.Progress)
	r, err := packs.Unpack(c.Context, in, out, o)
	stop()
	if err != nil {
		return err
	}
	return printPacks(c, r, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %s in %d files, digest %.16s…, %.1f s\n", r.Out, decimal(r.Bytes), r.Files, r.Digest, r.Seconds)
	})
}

// printPacks prints a result: on stderr if stdout is the output itself.
func printPacks(c *cli.Context, r *packs.Report, print func(io.Writer)) error {
	switch {
	case r.Out == packs.Stream && c.Bool("quiet"):
		return nil
	case r.Out == packs.Stream:
		print(c.App.ErrWriter)
		return nil
	case c.Bool("json"):
		return printJSON(c, r)
	}
	print(c.App.Writer)
	return nil
}
