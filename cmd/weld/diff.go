package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"weld/stream"
)

// diffColumns explains the table; docs/diff.md has more.
const diffColumns = `Columns, of A's elements a and B's elements b:

   differ      share of the elements that are not the same
   not finite  elements of B that are infinite or NaN, and how many A has
   max, mean   of |b − a|
   relative    ‖b − a‖ / ‖a‖
   cosine      of the angle between a and b; 1 is the same direction

The last four are of the elements that are finite in both. A dash is what was not
computed, or does not exist.`

func diffCommand() *cli.Command {
	return &cli.Command{
		Name:      "diff",
		Usage:     "what differs between two checkpoints, worst first",
		ArgsUsage: "A B",
		Description: "Compares the tensors of two checkpoints, whatever containers, shards and dtypes\nthey have, in float64. The exit status is 0 whether they differ or not.\n\n" + diffColumns + "\n\nExamples:\n\n" +
			"   weld diff ./base ./merged\n   weld diff --json a.safetensors b.safetensors.zst\n\n" + exitHelp,
		Flags:  append(runFlags(), rawFlag("codes and scales are compared as they are stored, not what they stand for")),
		Action: diff,
	}
}

func diff(c *cli.Context) error {
	if c.NArg() != 2 {
		return usagef("two checkpoints are expected, %d given: weld diff A B", c.NArg())
	}
	o, err := options(c)
	if err != nil {
		return err
	}
	o.Raw = c.Bool("raw")
	d, err := watched(c, o.Progress, func(ctx context.Context) (*stream.Diff, error) {
		return untilInterrupt(ctx, func() (*stream.Diff, error) {
			return stream.CompareCheckpoints(ctx, c.Args().Get(0), c.Args().Get(1), o)
		})
	})
	if err != nil {
		return err
	}
	if c.Bool("json") {
		shown := *d
		shown.Tensors = []stream.TensorDiff{} // printed one by one, since there may be a million
		return printLongJSON(c.App.Writer, shown, "tensors", len(d.Tensors), func(i int) any { return d.Tensors[i] })
	}
	printNotes(c, d.Notes)
	printDiff(c.App.Writer, d)
	return nil
}

// printDiff prints the table, and what stands in none.
func printDiff(w io.Writer, d *stream.Diff) {
	if len(d.EqualNonfinite) > 0 {
		const shown = 3
		names := strings.Join(d.EqualNonfinite[:min(shown, len(d.EqualNonfinite))], ", ")
		if n := len(d.EqualNonfinite) - shown; n > 0 {
			names += fmt.Sprintf(" and %d more", n)
		}
		defer say(w, "equal, but with values that are infinite or no numbers: %s\n", names)
	}
	if d.Same() {
		say(w, "no difference in %s\n", some(d.Equal, "tensor"))
		return
	}
	if n := len(d.Tensors); n > 0 {
		columns(w, "tensor|differ|not finite|max|mean|relative|cosine|", n, func(i int) []string { return diffRow(d.Tensors[i]) }) // what could not be written, results keeps
	}
	for _, name := range d.OnlyA {
		say(w, "only in %s: %s\n", d.A, name)
	}
	for _, name := range d.OnlyB {
		say(w, "only in %s: %s\n", d.B, name)
	}
	differ := len(d.Tensors) + len(d.OnlyA) + len(d.OnlyB)
	say(w, "%d of %s differ\n", differ, some(differ+d.Equal, "tensor"))
}

// diffRow is a tensor's line; a dash is what was not computed, or does not exist.
func diffRow(t stream.TensorDiff) []string {
	row := []string{t.Name, "-", "-", "-", "-", "-", "-", t.Note}
	if t.Elements > 0 {
		row[1] = percent(float64(t.Different) / float64(t.Elements))
	}
	switch t.Compared {
	case "bytes":
		row[7] = strings.TrimPrefix(t.Note+", bytes compared", ", ")
	case "values":
		row[2] = "0"
		if t.NonfiniteA > 0 || t.NonfiniteB > 0 {
			row[2] = fmt.Sprintf("%d, was %d", t.NonfiniteB, t.NonfiniteA)
		}
	}
	if t.Distance == nil {
		return row
	}
	row[3], row[4] = figures(t.Max), figures(t.Mean)
	switch {
	case t.Relative == nil:
	case *t.Relative < 0:
		row[5] = "inf"
	default:
		row[5] = figures(*t.Relative)
	}
	if t.Cosine != nil {
		row[6] = strconv.FormatFloat(*t.Cosine, 'f', 6, 64)
	}
	return row
}

// figures prints four digits of a number.
func figures(x float64) string { return strconv.FormatFloat(x, 'g', 4, 64) }
