package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"weld/format/open"
	"weld/stream/packs"
)

func verifyCommand() *cli.Command {
	return &cli.Command{
		Name:      "verify",
		Usage:     "find damage in a checkpoint, a pack or a patch",
		ArgsUsage: "PATH",
		Description: "PATH is " + open.Readable + ",\nor *.weldpatch. All of it is read. Packs, patches, *.zst and what torch.save\nwrote have checksums; of other checkpoints the structure is checked. A - stands for stdin, from which packs and\npatches can be read.\n\n" +
			"Examples:\n\n   weld verify merged.weld\n   weld verify merged.weldpatch --base ./base\n   ssh host cat merged.weld | weld verify -\n\n" + exitHelp,
		Flags: append([]cli.Flag{&cli.StringFlag{
			Name: "base", Usage: "compare what a patch makes of `BASE` with the patch's digests, too", Category: categoryMethod,
		}}, runFlags()...),
		Action: verify,
	}
}

func verify(c *cli.Context) error {
	if c.NArg() != 1 {
		return usagef("one path is expected, %d given: weld verify PATH", c.NArg())
	}
	v, err := packWork(c, func(ctx context.Context, o packs.Options) (*packs.Verification, error) {
		return packs.Verify(ctx, c.Args().First(), c.String("base"), o)
	})
	if err != nil {
		return err
	}
	if c.Bool("json") {
		if err := printJSON(c, v); err != nil {
			return err
		}
	} else {
		printNotes(c, v.Notes)
		for _, d := range v.Damage {
			say(c.App.Writer, "%s\n", d)
		}
		if len(v.Damage) == 0 {
			say(c.App.Writer, "%s: a %s without damage, %s in %s, %.1f s\n", named(v.Path, "stdin"), v.Kind, decimal(v.Bytes), some(v.Files, "file"), v.Seconds)
		}
	}
	if n := len(v.Damage); n > 0 {
		hint := ""
		switch {
		case v.Kind == "pack" && v.Path != packs.Stream:
			hint = "; weld unpack --salvage restores the rest"
		case v.Kind == "patch":
			hint = "; make the patch again"
		}
		return damageError{fmt.Errorf("%s is damaged in %s%s", named(v.Path, "stdin"), some(n, "place"), hint)}
	}
	return nil
}
