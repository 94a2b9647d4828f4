package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

func planCommand() *cli.Command {
	return &cli.Command{
		Name:      "plan",
		Usage:     "say what a merge would do, and touch nothing",
		ArgsUsage: "RECIPE.yml OUT  |  --method METHOD … OUT",
		Description: "Takes the arguments of merge, reads headers only, and reports everything that is\nwrong with them at once.\n\nExamples:\n\n" +
			"   weld plan recipe.yml ./merged\n   weld plan --json recipe.yml ./merged\n\n" + exitHelp,
		Flags:  append(append(methodFlags(), outputFlags()...), runFlags()...),
		Action: plan,
	}
}

func plan(c *cli.Context) error {
	p, err := planFor(c)
	if err != nil {
		return err
	}
	defer p.Close()
	summary := p.Summary()
	if c.Bool("json") {
		return printJSON(c, summary)
	}
	w := c.App.Writer
	fmt.Fprintf(w, "%s\n", summary.Method)
	for _, in := range summary.Inputs {
		fmt.Fprintf(w, "  %-10s %s  %s, %d tensors\n", in.Role, in.Path, decimal(in.Bytes), in.Tensors)
	}
	fmt.Fprintf(w, "%s\n", summary.Out)
	for _, f := range summary.Files {
		fmt.Fprintf(w, "  %s  %s, %d tensors\n", f.Name, decimal(f.Bytes), f.Tensors)
	}
	if len(summary.Carried) > 0 {
		fmt.Fprintf(w, "  carried from the base: %s\n", strings.Join(summary.Carried, ", "))
	}
	fmt.Fprintf(w, "%d tensors fused, %d copied; %d passes, the last one reads %s\n", summary.Fused, summary.Copied, summary.Passes, decimal(summary.ReadBytes))
	fmt.Fprintf(w, "memory %s: %d workers with spans of %s, %s kernels\n", binary(p.Budget.Memory), p.Budget.Workers, binary(p.Budget.Span), summary.Kernels)
	var rows [][]string
	for _, t := range p.Largest(5) {
		rows = append(rows, []string{t.Name, t.DType.String(), fmt.Sprint(t.Shape), decimal(t.Bytes()), t.Action.String()})
	}
	table(w, "largest|dtype|shape|size|", rows)
	if len(summary.Differences) > 0 {
		fmt.Fprintln(w, "otherwise than mergekit, on purpose (docs/mergekit.md):")
		for _, d := range summary.Differences {
			fmt.Fprintln(w, "  "+d)
		}
	}
	printNotes(c, p.Notes)
	return nil
}
