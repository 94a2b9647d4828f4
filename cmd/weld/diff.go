package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"weld/stream"
)

func diffCommand() *cli.Command {
	return &cli.Command{
		Name:      "diff",
		Usage:     "what differs between two checkpoints, worst first",
		ArgsUsage: "A B",
		Description: "Compares the tensors of two checkpoints, whatever containers, shards and dtypes\nthey have, in float64. The exit status is 0 whether they differ or not.\n\nExamples:\n\n" +
			"   weld diff ./base ./merged\n   weld diff --json a.safetensors b.safetensors.zst\n\n" + exitHelp,
		Flags:  runFlags(),
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
	stop := watch(c, o.Progress)
	d, err := stream.CompareCheckpoints(c.Context, c.Args().Get(0), c.Args().Get(1), o)
	stop()
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(c, d)
	}
	printNotes(c, d.Notes)
	w := c.App.Writer
	if d.Same() {
		fmt.Fprintf(w, "no difference in %s\n", some(d.Equal, "tensor"))
		return nil
	}
	var rows [][]string
	for _, t := range d.Tensors {
		if t.Elements == 0 { // of another shape or kind
			rows = append(rows, []string{t.Name, "-", "-", "-", "-", "-", t.Note})
			continue
		}
		rows = append(rows, []string{t.Name, percent(float64(t.Different) / float64(t.Elements)),
			fmt.Sprintf("%.4g", t.Max), fmt.Sprintf("%.4g", t.Mean), fmt.Sprintf("%.4g", t.Relative), fmt.Sprintf("%.6f", t.Cosine), t.Note})
	}
	if len(rows) > 0 {
		table(w, "tensor|differ|max|mean|relative|cosine|", rows)
	}
	for _, name := range d.OnlyA {
		fmt.Fprintf(w, "only in %s: %s\n", d.A, name)
	}
	for _, name := range d.OnlyB {
		fmt.Fprintf(w, "only in %s: %s\n", d.B, name)
	}
	differ := len(d.Tensors) + len(d.OnlyA) + len(d.OnlyB)
	fmt.Fprintf(w, "%d of %s differ\n", differ, some(differ+d.Equal, "tensor"))
	return nil
}
