package main

import (
	"context"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"weld/format/open"
	"weld/stream/packs"
)

func packCommand() *cli.Command {
	return &cli.Command{
		Name:      "pack",
		Usage:     "compress a checkpoint without loss, with all its files",
		ArgsUsage: "IN OUT.weld",
		Description: "IN is " + open.Readable + ".\nOUT.weld is one file that holds every file of the directory and its subfolders, byte for\nbyte, but .git and .cache; tensors with the same bytes are stored once. " +
			"Every command reads it\nwhere it reads a directory. " + streamHelp +
			"Examples:\n\n   weld pack ./merged merged.weld\n   weld pack ./merged - | ssh edge 'weld unpack - ./model'\n\n" + exitHelp,
		Flags:  append([]cli.Flag{forceFlag()}, runFlags()...),
		Action: pack,
	}
}

func pack(c *cli.Context) error {
	in, out, err := twoPaths(c)
	if err != nil {
		return err
	}
	r, err := packWork(c, func(ctx context.Context, o packs.Options) (*packs.Outcome, error) {
		return packs.Pack(ctx, in, out, o)
	})
	if err != nil {
		return err
	}
	printNotes(c, r.Notes)
	return printPacks(c, r.Out, r, func(w io.Writer) {
		repeats := ""
		if r.Repeats > 0 {
			repeats = fmt.Sprintf(", %s stored once that another one equals", some(r.Repeats, "tensor"))
		}
		say(w, "%s: %s of %s (%s) in %s%s, digest %.16s…, %.1f s\n", named(r.Out, "stdout"), decimal(r.Packed), decimal(r.Bytes), percent(r.Ratio()), some(r.Files, "file"), repeats, r.Digest, r.Seconds)
	})
}
