package main

import (
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
		Description: "PATH is " + open.Readable + ",\nor *.weldpatch. All of it is read. Packs, patches and *.zst have checksums; of other\ncheckpoints the structure is checked. A - stands for stdin, from which packs and\npatches can be read.\n\n" +
			"Examples:\n\n   weld verify merged.weld\n   weld verify merged.weldpatch --base ./base\n   ssh host cat merged.weld | weld verify -\n\n" + exitHelp,
		Flags: append([]cli.Flag{&cli.StringFlag{
			Name: "base", Usage: "compare what a patch makes of `BASE` with the patch's digests, too", Category: categoryMethod,
		}}, runFlags()...),
		Action: verify,
	}
}

// damageError is the error of a command that found damage and has said so.
type damageError struct{ error }

func verify(c *cli.Context) error {
	if c.NArg() != 1 {
		return usagef("one path is expected, %d given: weld verify PATH", c.NArg())
	}
	o, err := packOptions(c)
	if err != nil {
		return err
	}
	stop := watch(c, o.Progress)
	v, err := packs.Verify(c.Context, c.Args().First(), c.String("base"), o)
	stop()
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
		if v.Kind == "pack" && v.Path != packs.Stream {
			hint = "; weld unpack --salvage restores the rest"
		}
		return damageError{fmt.Errorf("%s is damaged in %s%s", named(v.Path, "stdin"), some(n, "place"), hint)}
	}
	return nil
}

// salvage restores what is left of a pack.
func salvage(c *cli.Context, in, out string, o packs.Options) error {
	stop := watch(c, o.Progress)
	s, err := packs.SalvagePack(c.Context, in, out, o)
	stop()
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
		say(c.App.Writer, "%s: %s as they were, %d written anew, %s, %.1f s\n", s.Out, some(len(s.Files), "file"), len(s.Shards), some(s.Tensors, "tensor"), s.Seconds)
	}
	if !s.Unharmed() {
		return damageError{fmt.Errorf("%d parts of %s are lost", len(s.Lost), in)}
	}
	return nil
}
