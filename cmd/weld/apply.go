package main

import (
	"context"
	"github.com/urfave/cli/v2"

	"weld/stream/packs"
)

func applyCommand() *cli.Command {
	return &cli.Command{
		Name:      "apply",
		Usage:     "put patches on the checkpoint that they were made against",
		ArgsUsage: "BASE PATCH… OUT",
		Description: "Restores the exact files of what the last patch was made of. Any other base than\nthe one that a patch was made against is refused, whatever its shards or container.\n" +
			"A - as a PATCH stands for stdin. OUT is a directory, or *.safetensors if it is one file.\n\n" +
			"Examples:\n\n   weld apply ./base merged.weldpatch ./merged\n   weld apply ./base monday.weldpatch tuesday.weldpatch ./merged\n\n" + exitHelp,
		Flags:  append([]cli.Flag{forceFlag()}, runFlags()...),
		Action: applyPatches,
	}
}

func applyPatches(c *cli.Context) error {
	args := c.Args().Slice()
	if len(args) < 3 {
		return usagef("a base, patches and an output are expected, %d arguments given: weld apply BASE PATCH… OUT", len(args))
	}
	r, err := packWork(c, func(ctx context.Context, o packs.Options) (*packs.Outcome, error) {
		return packs.Apply(ctx, args[0], args[1:len(args)-1], args[len(args)-1], o)
	})
	if err != nil {
		return err
	}
	return printRestored(c, r)
}
