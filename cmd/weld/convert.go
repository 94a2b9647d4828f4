package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"weld/format/open"
	"weld/stream"
	"weld/stream/plan"
)

const convertHelp = `IN is %s;
with adapters behind a +, they become part of it. OUT is
a directory, *.safetensors, *.safetensors.zst, *.weld (a pack), or *.gguf. What is not
asked for stays as it is: tensors whose type does not change are copied byte for byte, and
a directory keeps its other files. Nothing appears under OUT before it is complete.

A model in GGUF gets the form of the Hub where OUT is a directory or a pack, and one of the
Hub that of llama.cpp where OUT is *.gguf: names, order of rows, configuration, tokenizer.

EXPR is an expression of Go's package regexp (RE2), which a part of a name has to match.
--only and --drop go by the names in IN, or those that it gets as GGUF or as a directory;
--rename then gives other ones, with groups as \1 and the flags g (every match) and i
(either case), one after the other. The names of values that are stored in a scheme are
those of the weights: scales follow their codes.

Examples:

   weld convert ./model ./half --dtype bfloat16
   weld convert ./model model.safetensors
   weld convert ./model-fp8 ./plain --quantize none --dtype bfloat16
   weld convert ./model ./model-fp8 --quantize fp8_block
   weld convert model-f16.gguf model-q8_0.gguf --quantize q8_0
   weld convert model-Q4_K_M.gguf ./model
   weld convert ./model model-q8_0.gguf --quantize q8_0
   weld convert ./base+./adapter ./merged
   weld convert trained.safetensors ./model --rename 's/^module\.//' --drop '\.num_batches_tracked$'
   weld convert ./vision-model tower.safetensors --only '^vision_tower\.' --rename 's/^vision_tower\.//'

`

func convertCommand() *cli.Command {
	return &cli.Command{
		Name:        "convert",
		Usage:       "write a checkpoint in another container, type, or scheme, or under other names",
		ArgsUsage:   "IN OUT",
		Description: fmt.Sprintf(convertHelp, open.Readable) + exitHelp,
		Flags:       append(append(convertFlags(), outputFlags()...), runFlags()...),
		Action:      convert,
	}
}

// convertFlags are the flags of what is converted.
func convertFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "dtype", Aliases: []string{"out-dtype"}, Usage: "`TYPE` of the output's floating tensors, such as bfloat16; without it as in IN", Category: categoryConvert},
		&cli.StringFlag{Name: "quantize", Usage: "how OUT stores weights: as IN does, plainly, matrices of GGUF in one of its types, or those of linear layers in a scheme: " + strings.Join(plan.Quantize.Choices, ", "), DefaultText: "keep", Category: categoryConvert},
		&cli.StringFlag{Name: "nonfinite", Usage: "a finite value that the type of OUT does not hold: error, or propagate, which writes an infinity", DefaultText: "error", Category: categoryConvert},
		&cli.StringSliceFlag{Name: "only", Usage: "take tensors whose names match `EXPR`, or another one; may be given several times", Category: categoryConvert},
		&cli.StringSliceFlag{Name: "drop", Usage: "leave out tensors whose names match `EXPR`; may be given several times", Category: categoryConvert},
		&cli.StringSliceFlag{Name: "rename", Usage: "give tensors other names, by `s/EXPR/TEXT/FLAGS` as in sed; may be given several times", Category: categoryConvert},
	}
}

func convert(c *cli.Context) error {
	in, out, err := twoPaths(c)
	if err != nil {
		return err
	}
	o, err := options(c)
	if err != nil {
		return err
	}
	o.Resume = true
	p, err := untilInterrupt(c.Context, func() (*stream.Prepared, error) {
		return stream.PrepareConversion(stream.Conversion{
			In: in, DType: c.String("dtype"), Quantize: c.String("quantize"), Policy: c.String("nonfinite"),
			Only: c.StringSlice("only"), Drop: c.StringSlice("drop"), Rename: c.StringSlice("rename"),
		}, out, o)
	})
	if err != nil {
		return err
	}
	defer p.Close()
	printNotes(c, p.Notes)
	done, err := watched(c, p.Options.Progress, p.Convert)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(c, done)
	}
	printConverted(c.App.Writer, done)
	return nil
}

// printConverted says in a line what a conversion did.
func printConverted(w io.Writer, r *stream.Converted) {
	if r.Nonfinite > 0 {
		say(w, "%s do not fit the type, and are infinite\n", some(int(r.Nonfinite), "value"))
	}
	size, left := decimal(r.Written), ""
	if r.Stored > 0 {
		size = fmt.Sprintf("%s of %s (%s)", decimal(r.Stored), size, percent(float64(r.Stored)/float64(r.Written)))
	}
	if r.LeftOut > 0 {
		left = fmt.Sprintf(", %d left out", r.LeftOut)
	}
	say(w, "%s: %s in %s (%d converted, %d copied%s), %.1f s\n", r.Out, size, some(r.Converted+r.Copied, "tensor"), r.Converted, r.Copied, left, r.Seconds)
}
