package main

import (
	"fmt"
	"io"
	"math"

	"github.com/urfave/cli/v2"

	"weld/format/open"
	"weld/stream"
	"weld/stream/destination"
)

const mergeExamples = `   weld merge recipe.yml ./merged

   weld merge --base ./base --method sta \
       --model ./math --importance ./math-grad.safetensors \
       --model ./code --importance ./code-grad.safetensors --density 0.2 ./merged

   weld merge --base ./base --method sta --preset weighted \
       --model ./math --importance ./math-fisher --model ./code --importance ./code-fisher ./merged

   weld merge --base ./chat --method sta --score delta --density 0.3 --weight -1 \
       --model ./chat-toxic --importance ./toxic-grad ./chat-cleaner

   weld merge recipe.yml ./merged --sweep density=0.1,0.2,0.4 --sweep lambda=0.5,1

   weld merge --method linear --model ./a --model ./b --weight 0.7 --weight 0.3 average.safetensors.zst`

func mergeCommand(in invocation) *cli.Command {
	return &cli.Command{
		Name:      "merge",
		Usage:     "merge checkpoints by a recipe or by flags",
		ArgsUsage: "RECIPE.yml OUT  |  --method METHOD … OUT",
		Description: in.help("merge", "OUT is "+destination.Writable+".\nInputs are "+open.Readable+".\n"+
			"Nothing appears under OUT before it is complete.", mergeExamples),
		Flags:        append(append(append(methodFlags(in), sweepFlag(in.method)), outputFlags()...), append(runFlags(), passesFlag())...),
		Action:       merge,
		BashComplete: in.completeKeys,
	}
}

func merge(c *cli.Context) error {
	if c.IsSet("sweep") {
		return mergeSweep(c)
	}
	p, err := planFor(c, true)
	if err != nil {
		return err
	}
	defer p.Close()
	printNotes(c, p.Notes)
	report, err := watched(c, p.Options.Progress, p.Merge)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(c, report)
	}
	printReport(c.App.Writer, report)
	return nil
}

// planFor plans what the arguments of merge or plan ask for. Only a merge resumes.
func planFor(c *cli.Context, resume bool) (*stream.Prepared, error) {
	r, rest, err := request(c)
	if err != nil {
		return nil, err
	}
	o, err := options(c)
	if err != nil {
		return nil, err
	}
	o.Resume = resume
	out, err := outputName(c, rest)
	if err != nil {
		return nil, err
	}
	return untilInterrupt(c.Context, func() (*stream.Prepared, error) { return stream.Prepare(r, out, o) })
}

// outputName is the one argument that is left.
func outputName(c *cli.Context, rest []string) (string, error) {
	if len(rest) != 1 || rest[0] == "" {
		return "", usagef("one output is expected after the recipe or the flags, %d given: weld %s %s", len(rest), c.Command.Name, c.Command.ArgsUsage)
	}
	return rest[0], nil
}

// thresholdOf is the least score that is kept of a model.
func thresholdOf(m stream.ModelReport) string {
	switch t := m.Threshold; {
	case t == nil:
		return "per tensor"
	case *t == math.MaxFloat32: // the report's word for no score at all
		return "beyond all"
	default:
		return fmt.Sprintf("%.6g", *t)
	}
}

// printReport says in a few lines what a merge did.
func printReport(w io.Writer, r *stream.Report) {
	printBrief(w, r.Method, r.Settings)
	if len(r.Models) > 0 {
		var rows [][]string
		for _, m := range r.Models {
			rows = append(rows, []string{m.Path, count(m.Kept), count(m.Elements), percent(m.Density), thresholdOf(m)})
		}
		table(w, "model|kept|of|density|threshold", rows)
	}
	switch {
	case r.Nonfinite > 0 && r.Out != "":
		say(w, "%s results were not finite\n", count(r.Nonfinite))
	case r.Nonfinite > 0:
		say(w, "%s scores are not finite and count as 0; a merge would stop there\n", count(r.Nonfinite))
	}
	if r.Out != "" {
		size := decimal(r.Written)
		if r.Stored > 0 {
			size = fmt.Sprintf("%s of %s (%s)", decimal(r.Stored), size, percent(float64(r.Stored)/float64(r.Written)))
		}
		say(w, "%s: %s in %s (%d fused, %d copied), %s, %.1f s\n",
			r.Out, size, some(r.Fused+r.Copied, "tensor"), r.Fused, r.Copied, some(r.Passes, "pass"), r.Seconds)
	}
	if r.DiskRead != nil && r.Input >= leastTold {
		say(w, "read %s of %s from disks\n", decimal(*r.DiskRead), decimal(r.Input))
	}
}

// leastTold is the size of inputs from which on people are told how much of them was read.
const leastTold = 64 << 20
