package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"weld/stream/packs"
)

func unpackCommand() *cli.Command {
	return &cli.Command{
		Name:      "unpack",
		Usage:     "restore the files of a pack",
		ArgsUsage: "IN.weld OUT",
		Description: "OUT is a directory, or, of a pack with one such file, *.safetensors or *.gguf. " + streamHelp +
			"Examples:\n\n   weld unpack merged.weld ./merged\n   weld unpack - ./merged < merged.weld\n   weld unpack --salvage broken.weld ./rest\n\n" + exitHelp,
		Flags: append([]cli.Flag{forceFlag(), &cli.BoolFlag{
			Name: "salvage", Usage: "restore what is whole of a damaged pack, and say what is lost", Category: categoryOutput,
		}}, runFlags()...),
		Action: unpack,
	}
}

func unpack(c *cli.Context) error {
	in, out, err := twoPaths(c)
	if err != nil {
		return err
	}
	if c.Bool("salvage") {
		return salvage(c, in, out)
	}
	r, err := packWork(c, func(ctx context.Context, o packs.Options) (*packs.Outcome, error) {
		return packs.Unpack(ctx, in, out, o)
	})
	if err != nil {
		return err
	}
	return printRestored(c, r)
}

// salvage restores what is left of a pack.
func salvage(c *cli.Context, in, out string) error {
	s, err := packWork(c, func(ctx context.Context, o packs.Options) (*packs.Salvage, error) {
		return packs.SalvagePack(ctx, in, out, o)
	})
	if err != nil {
		return err
	}
	if c.Bool("json") {
		if err := printJSON(c, s); err != nil {
			return err
		}
	} else {
		for _, d := range s.Lost {
			say(c.App.Writer, "lost: %s\n", d)
		}
		say(c.App.Writer, "%s: %s unharmed, %d written anew, %s, %.1f s\n", s.Out, some(len(s.Files), "file"), len(s.Shards), some(s.Tensors, "tensor"), s.Seconds)
	}
	if !s.Unharmed() {
		return damageError{fmt.Errorf("%s of %s could not be restored", some(len(s.Lost), "part"), in)}
	}
	return nil
}
