package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"weld/stream"
)

func scoreCommand(in invocation) *cli.Command {
	return &cli.Command{
		Name:      "score",
		Usage:     "scores, thresholds and densities only; writes nothing",
		ArgsUsage: "RECIPE.yml  |  --method sta …",
		Description: in.help("score", "Runs the measuring passes of merge and reports what each threshold would keep,\nin the whole and per tensor.",
			"   weld score --base ./base --method sta --model ./math --importance ./math-grad\n   weld score recipe.yml --json > scores.json"),
		Flags:        append(methodFlags(in), runFlags()...),
		Action:       score,
		BashComplete: in.completeKeys,
	}
}

func score(c *cli.Context) error {
	r, rest, err := request(c)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return usagef("score writes no output; what is %q?", rest[0])
	}
	if scored := stream.Scored(); !slices.Contains(scored, r.Method.Name) {
		return usagef("%s has no scores; methods that have them: %s", r.Method.Name, strings.Join(scored, ", "))
	}
	o, err := options(c)
	if err != nil {
		return err
	}
	p, err := untilInterrupt(c.Context, func() (*stream.Prepared, error) { return stream.Prepare(r, "", o) })
	if err != nil {
		return err
	}
	defer p.Close()
	printNotes(c, p.Notes)
	report, err := watched(c, p.Options.Progress, p.Score)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(c, report)
	}
	printScores(c.App.Writer, report)
	return nil
}

// printScores prints what each threshold keeps, per tensor and in the whole.
func printScores(w io.Writer, report *stream.Report) {
	var rows [][]string
	for _, t := range report.Tensors {
		row := []string{t.Name, count(t.Elements)}
		for _, m := range t.Models {
			row = append(row, percent(m.Density), fmt.Sprintf("%.4g", m.Divisor))
		}
		rows = append(rows, row)
	}
	header := "tensor|elements"
	for i := range report.Models {
		header += fmt.Sprintf("|kept of %d|divisor", i+1)
	}
	table(w, header, rows)
	fmt.Fprintln(w)
	printReport(w, report)
}
