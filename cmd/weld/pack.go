package main

import (
	"fmt"
	"io"
	"os"
	"strings"

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
		Description: "IN is " + open.Readable + ".\nOUT.weld is one file that holds every file of the directory and its subfolders, byte for\nbyte, but .git and .cache; tensors with the same bytes are stored once. " +
			"Every command reads it\nwhere it reads a directory. " + streamHelp +
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
			"Examples:\n\n   weld unpack merged.weld ./merged\n   weld unpack - ./merged < merged.weld\n   weld unpack --salvage broken.weld ./rest\n\n" + exitHelp,
		Flags: append([]cli.Flag{forceFlag(), &cli.BoolFlag{
			Name: "salvage", Usage: "restore what is whole of a damaged pack, and say what is lost", Category: categoryOutput,
		}}, runFlags()...),
		Action: unpack,
	}
}

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

func forceFlag() cli.Flag {
	return &cli.BoolFlag{Name: "force", Usage: "replace an existing output", Category: categoryOutput}
}

// packOptions reads the flags of the commands around packs.
func packOptions(c *cli.Context) (packs.Options, error) {
	o, err := options(c)
	return packs.Options{Options: o, In: os.Stdin, Out: c.App.Writer}, err
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
	return printPacks(c, r.Out, r, func(w io.Writer) {
		repeats := ""
		if r.Repeats > 0 {
			repeats = fmt.Sprintf(", %s stored once that another one equals", some(r.Repeats, "tensor"))
		}
		say(w, "%s: %s of %s (%s) in %s%s, digest %.16s…, %.1f s\n", named(r.Out, "stdout"), decimal(r.Packed), decimal(r.Bytes), percent(r.Ratio()), some(r.Files, "file"), repeats, r.Digest, r.Seconds)
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
	if c.Bool("salvage") {
		return salvage(c, in, out, o)
	}
	stop := watch(c, o.Progress)
	r, err := packs.Unpack(c.Context, in, out, o)
	stop()
	if err != nil {
		return err
	}
	return printPacks(c, r.Out, r, func(w io.Writer) {
		say(w, "%s: %s in %s, digest %.16s…, %.1f s\n", named(r.Out, "stdout"), decimal(r.Bytes), some(r.Files, "file"), r.Digest, r.Seconds)
	})
}

func makePatch(c *cli.Context) error {
	if c.NArg() != 3 {
		return usagef("a base, a checkpoint and an output are expected, %d given: weld patch BASE NEW OUT.weldpatch", c.NArg())
	}
	o, err := packOptions(c)
	if err != nil {
		return err
	}
	stop := watch(c, o.Progress)
	r, err := packs.Patch(c.Context, c.Args().Get(0), c.Args().Get(1), c.Args().Get(2), o)
	stop()
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

func applyPatches(c *cli.Context) error {
	args := c.Args().Slice()
	if len(args) < 3 {
		return usagef("a base, patches and an output are expected, %d arguments given: weld apply BASE PATCH… OUT", len(args))
	}
	o, err := packOptions(c)
	if err != nil {
		return err
	}
	stop := watch(c, o.Progress)
	r, err := packs.Apply(c.Context, args[0], args[1:len(args)-1], args[len(args)-1], o)
	stop()
	if err != nil {
		return err
	}
	return printPacks(c, r.Out, r, func(w io.Writer) {
		say(w, "%s: %s in %s, digest %.16s…, %.1f s\n", named(r.Out, "stdout"), decimal(r.Bytes), some(r.Files, "file"), r.Digest, r.Seconds)
	})
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
