package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"weld/stream/importance"
)

const importanceHelp = `Runs MODEL forwards and backwards on samples of TEXTS, and writes the mean of the single
samples' |g| or g² to OUT (*.safetensors, or *.weld, a pack), under the names and in the
layout of MODEL's files: what sta and fisher take as importance. Of both at once, OUT is
NAME-mean_abs_grad.safetensors and NAME-mean_sq_grad.safetensors.

The work is done layer by layer: in memory are the weights, gradients and sums of one
layer, whatever the number of layers. What goes in at layers is kept in a folder beside
OUT, which is removed in the end. A run that was interrupted goes on in it behind the
last layer that was finished, if the command is the same.

TEXTS is *.jsonl or *.parquet, whose rows have text, input_ids (with labels, if given), or
messages, which the model's chat template writes, with the loss on the answers alone; or
plain text. Without TEXTS, tokens at random serve.

MODEL is a model that transformers loads, in any form that weld reads; with adapters behind
a +, they become part of it. The gradients are those at the decoded weights of quantised
models. This needs a Python with torch and transformers 5.

Examples:

   weld importance ./math math-texts.jsonl math-importance.safetensors
   weld importance ./base math-texts.jsonl base-on-math.safetensors --statistic mean_sq_grad
   weld importance ./math importance.weld --samples 64 --length 256
   weld importance ./math chats.jsonl importance.safetensors --device cuda --python 'uv run'
   weld importance --script > measure.py

`

const categoryMeasure = "What is measured"

func importanceCommand() *cli.Command {
	return &cli.Command{
		Name:        "importance",
		Usage:       "measure the importance of a model's weights on texts, layer by layer",
		ArgsUsage:   "MODEL [TEXTS] OUT",
		Description: importanceHelp + exitHelp,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "statistic", Usage: "what is written: " + strings.Join(importance.Statistics, ", "), Value: importance.Statistics[0], Category: categoryMeasure},
			&cli.IntFlag{Name: "samples", Usage: "`N` samples at most, drawn from TEXTS", Value: 128, Category: categoryMeasure},
			&cli.IntFlag{Name: "length", Usage: "`N` tokens of a sample at most", Value: 512, Category: categoryMeasure},
			&cli.Int64Flag{Name: "seed", Usage: "of what is drawn", Category: categoryMeasure},
			&cli.IntFlag{Name: "batch", Usage: "`N` samples whose gradient is taken at once, which is faster; magnitudes are then of their mean", Value: 1, Category: categoryMeasure},
			&cli.StringFlag{Name: "dtype", Usage: "`TYPE` that is computed in: " + strings.Join(importance.DTypes, ", "), DefaultText: "that of MODEL's files", Value: importance.DTypes[0], Category: categoryMeasure},
			&cli.StringFlag{Name: "device", Usage: "where torch computes: cpu, cuda, cuda:1, mps", Value: "cpu", Category: categoryMeasure},
			&cli.StringFlag{Name: "python", Usage: "`PROGRAM` that has torch and transformers, or 'uv run', which fetches them", DefaultText: "python3", Category: categoryMeasure},
			&cli.BoolFlag{Name: "script", Usage: "print the Python program that measures, and end", Category: categoryMeasure},
			&cli.BoolFlag{Name: "force", Usage: "replace an output that exists", Category: categoryOutput},
		}, runFlags()...),
		Action: measureImportance,
	}
}

func measureImportance(c *cli.Context) error {
	if c.Bool("script") {
		_, err := io.WriteString(c.App.Writer, importance.Script)
		return err
	}
	q, err := measurementOf(c)
	if err != nil {
		return err
	}
	o, err := options(c)
	if err != nil {
		return err
	}
	if !c.IsSet("threads") {
		o.Threads = 0 // torch knows best
	}
	done, err := watched(c, o.Progress, func(ctx context.Context) (*importance.Measured, error) {
		return importance.Measure(ctx, q, o)
	})
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(c, done)
	}
	printMeasured(c.App.Writer, done)
	return nil
}

// measurementOf reads the command line.
func measurementOf(c *cli.Context) (q importance.Request, err error) {
	args := c.Args().Slice()
	for _, arg := range args {
		if arg == "" {
			return q, usagef("a path is empty (a variable of the shell that is not set?): weld importance %s", c.Command.ArgsUsage)
		}
	}
	switch len(args) {
	case 2:
		q.Model, q.Out = args[0], args[1]
	case 3:
		q.Model, q.Texts, q.Out = args[0], args[1], args[2]
	default:
		return q, usagef("a model, texts and an output are expected, %d given: weld importance %s", len(args), c.Command.ArgsUsage)
	}
	q.Samples, q.Length, q.Batch, q.Seed = c.Int("samples"), c.Int("length"), c.Int("batch"), c.Int64("seed")
	q.Device, q.DType, q.Statistic, q.Python = c.String("device"), c.String("dtype"), c.String("statistic"), c.String("python")
	q.Note = func(text string) { printNotes(c, []string{text}) }
	var which [2]uint8
	err = errors.Join(
		atLeast(c, "samples", 1), atLeast(c, "length", 2), atLeast(c, "batch", 1),
		oneOf(c, "statistic", importance.Statistics, &which[0]), oneOf(c, "dtype", importance.DTypes, &which[1]),
	)
	return q, err
}

// atLeast demands a number of a flag.
func atLeast(c *cli.Context, flag string, least int) error {
	if n := c.Int(flag); n < least {
		return usagef("--%s %d: at least %d", flag, n, least)
	}
	return nil
}

// printMeasured says in a line what was measured.
func printMeasured(w io.Writer, m *importance.Measured) {
	what := some(m.Samples, "sample")
	if m.Tokens > 0 {
		what += fmt.Sprintf(" (%s tokens)", count(m.Tokens))
	}
	say(w, "%s: %s in %s, from %s in %s, mean loss %.3f, %.1f s\n", strings.Join(m.Out, ", "), decimal(m.Written), some(m.Tensors, "tensor"), what, m.DType, m.Loss, m.Seconds)
}
