package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"weld/format/open"
	"weld/stream/packs"
)

func patchCommand() *cli.Command {
	return &cli.Command{
		Name:      "patch",
		Usage:     "what turns one checkpoint into another, for machines that hold the first already",
		ArgsUsage: "BASE NEW OUT.weldpatch",
		Description: "BASE and NEW are " + open.Readable + ".\nweld apply makes the files of NEW of BASE and the patch. " + streamHelp +
			"Examples:\n\n   weld patch ./base ./merged merged.weldpatch\n   weld merge recipe.yml merged.weldpatch\n\n" + exitHelp,
		Flags:  append([]cli.Flag{forceFlag()}, runFlags()...),
		Action: makePatch,
	}
}

func makePatch(c *cli.Context) error {
	if c.NArg() != 3 {
		return usagef("a base, a checkpoint and an output are expected, %d given: weld patch BASE NEW OUT.weldpatch", c.NArg())
	}
	r, err := packWork(c, func(ctx context.Context, o packs.Options) (*packs.PatchReport, error) {
		return packs.Patch(ctx, c.Args().Get(0), c.Args().Get(1), c.Args().Get(2), o)
	})
	if err != nil {
		return err
	}
	printNotes(c, r.Notes)
	return printPacks(c, r.Out, r, func(w io.Writer) {
		say(w, "%s: %s for %s (%s): %s changed%s, %d the same, %d new, %d gone, %d renamed%s; digest %.16s…, %.1f s\n",
			named(r.Out, "stdout"), decimal(r.Packed), decimal(r.Bytes), percent(r.Ratio()), some(r.Changed, "tensor"), recast(r), r.Same, len(r.Added), len(r.Removed), len(r.Renamed), besides(r), r.Digest, r.Seconds)
	})
}

// recast says how many of the tensors that changed have another type or shape.
func recast(r *packs.PatchReport) string {
	var parts []string
	if n := len(r.Retyped); n > 0 {
		parts = append(parts, fmt.Sprintf("%d of another type", n))
	}
	if n := len(r.Reshaped); n > 0 {
		parts = append(parts, fmt.Sprintf("%d of another shape", n))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// besides says what differs besides tensors.
func besides(r *packs.PatchReport) (s string) {
	if r.Metadata {
		s += "; other metadata"
	}
	if len(r.FilesChanged)+len(r.FilesAdded)+len(r.FilesRemoved) > 0 {
		s += fmt.Sprintf("; %s beside them changed, %d new, %d gone", some(len(r.FilesChanged), "file"), len(r.FilesAdded), len(r.FilesRemoved))
	}
	return s
}
