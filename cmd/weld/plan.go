package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"weld/stream"
)

func planCommand(in invocation) *cli.Command {
	return &cli.Command{
		Name:      "plan",
		Usage:     "say what a merge would do, and touch nothing",
		ArgsUsage: "RECIPE.yml OUT  |  --method METHOD … OUT",
		Description: in.help("plan", "Takes the arguments of merge, reads headers only, and reports everything that is\nwrong with them at once.",
			"   weld plan recipe.yml ./merged\n   weld plan --json recipe.yml ./merged"),
		Flags:        append(append(methodFlags(in), outputFlags()...), append(runFlags(), passesFlag())...),
		Action:       planMerge,
		BashComplete: in.completeKeys,
	}
}

func planMerge(c *cli.Context) error {
	p, err := planFor(c, false)
	if err != nil {
		return err
	}
	defer p.Close()
	summary := p.Summary()
	if c.Bool("json") {
		return printJSON(c, summary)
	}
	printPlan(c.App.Writer, p, summary)
	printNotes(c, p.Notes)
	return nil
}

// printPlan says what is read, what is written, and with how much memory.
func printPlan(w io.Writer, p *stream.Prepared, summary stream.Summary) {
	say(w, "%s\n", summary.Method)
	for _, in := range summary.Inputs {
		say(w, "  %-10s %s  %s, %s\n", in.Role, in.Path, decimal(in.Bytes), some(in.Tensors, "tensor"))
	}
	printSettings(w, summary.Settings)
	say(w, "%s\n", summary.Out)
	for _, f := range summary.Files {
		say(w, "  %s  %s, %s\n", f.Name, decimal(f.Bytes), some(f.Tensors, "tensor"))
	}
	if len(summary.Carried) > 0 {
		from := "the base"
		if p.Recipe.Base == "" {
			from = p.Reference().Path
		}
		say(w, "  carried from %s: %s\n", from, strings.Join(summary.Carried, ", "))
	}
	again := ""
	if summary.AgainBytes > 0 {
		again = fmt.Sprintf(", and looks at %s of it twice, for scales of whole tensors", decimal(summary.AgainBytes))
	}
	read := decimal(summary.ReadBytes)
	if slices.ContainsFunc(summary.Inputs, func(in stream.InputSummary) bool { return len(in.Schemes) > 0 }) {
		read += " (what is decoded counts as float32)"
	}
	passes := fmt.Sprintf("%s, the last one reads %s", some(summary.Passes, "pass"), read)
	if summary.OneWalk {
		passes = fmt.Sprintf("%s, the last one reads %s, finds the thresholds and fuses", some(summary.Passes, "pass"), read)
	}
	say(w, "%s fused, %d copied; %s%s\n", some(summary.Fused, "tensor"), summary.Copied, passes, again)
	printTransfers(w, summary)
	memory := binary(p.Budget.Memory)
	if p.Budget.Beyond > 0 {
		memory += fmt.Sprintf(" and %s, since headers and plan take %s", binary(p.Budget.Beyond), binary(p.Budget.Held))
	}
	say(w, "memory %s: %s with spans of %s, %s kernels\n", memory, some(p.Budget.Workers, "worker"), binary(p.Budget.Span), summary.Kernels)
	var rows [][]string
	for _, t := range p.Largest(5) {
		rows = append(rows, []string{t.Name, t.DType.String(), shape(t.Shape), decimal(t.Bytes()), t.Action.String()})
	}
	table(w, "largest|dtype|shape|size|", rows)
	if len(summary.Differences) > 0 {
		fmt.Fprintln(w, "otherwise than mergekit, on purpose (docs/mergekit.md):")
		for _, d := range summary.Differences {
			say(w, "  %s\n", d)
		}
	}
}

// printTransfers says what disks will read and write, where that is much.
func printTransfers(w io.Writer, summary stream.Summary) {
	if summary.Input < leastTold {
		return
	}
	read := "disks read " + decimal(summary.DiskRead) + " of " + decimal(summary.Input)
	if summary.DiskAgain > 0 {
		read += fmt.Sprintf(" (%s once more, since the page cache has no room for it until then)", decimal(summary.DiskAgain))
	}
	written := ""
	if summary.DiskWritten > 0 {
		written = " and write " + decimal(summary.DiskWritten)
	}
	if summary.Rewritten > 0 {
		written += fmt.Sprintf(", %s of the output once more in both", decimal(summary.Rewritten))
	}
	say(w, "%s%s, if nothing is cached yet\n", read, written)
}
