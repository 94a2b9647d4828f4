package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"weld/cmd/weld/digits"
	"weld/stream"
	"weld/stream/recipe"
)

// demoDir is where the demo works if nothing else is said.
const demoDir = "weld-demo"

func demoCommand() *cli.Command {
	return &cli.Command{
		Name:      "demo",
		Usage:     "merge small real networks that are part of the program",
		ArgsUsage: "[DIR]",
		Description: "Writes six networks that read handwritten digits, their common base and their\nimportance files as checkpoints into DIR (" + demoDir + "), merges them in several ways, tests each\nresult on held-out images, and prints the commands that do the same to other models.\n\n" +
			"Examples:\n\n   weld demo\n   weld demo /tmp/digits\n\n" + exitHelp,
		Flags:  []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "the table as JSON"}},
		Action: demo,
	}
}

// merger is one way to merge the demo's models: a row of its table.
type merger struct {
	name       string
	out        string // directory below DIR
	method     string
	importance string // file beside each model, or ""
	params     map[string]string
	models     []string // all tasks if nil
}

// The two that the demo ends with, as commands.
var (
	byDefault = merger{name: "STA, defaults", out: "sta", method: "sta", importance: digits.MeanAbsGrad}
	weighted  = merger{name: "STA, preset: weighted", out: "sta-weighted", method: "sta", importance: digits.MeanSqGradBase, params: map[string]string{"preset": "weighted"}}
)

// lambdas are tried for task arithmetic.
var lambdas = []string{"0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "1"}

// forgotten is the task that the last line forgets, at a scale that plain negation
// already pays for with the other tasks.
const forgotten, forgetLambda = "inverted", "3"

type demonstration struct {
	ctx   context.Context
	dir   string
	tests *digits.Tests
	Rows  []demoRow `json:"rows"`
}

type demoRow struct {
	Name     string    `json:"name"`
	Accuracy []float64 `json:"accuracy"` // for each task
	Mean     float64   `json:"mean"`
}

func demo(c *cli.Context) error {
	dir := demoDir
	switch c.NArg() {
	case 0:
	case 1:
		dir = c.Args().First()
	default:
		return usagef("at most one directory is expected, %d given: weld demo [DIR]", c.NArg())
	}
	if err := vacantForDemo(dir); err != nil {
		return err
	}
	if err := digits.Unpack(dir); err != nil {
		return fmt.Errorf("write the demo's checkpoints: %w", err)
	}
	tests, err := digits.LoadTests(dir)
	if err != nil {
		return err
	}
	d := &demonstration{ctx: c.Context, dir: dir, tests: tests}
	forget, err := d.run()
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(c, struct {
			Tasks []string `json:"tasks"`
			*demonstration
			Forget [3]demoRow `json:"forget"`
		}{tests.Tasks, d, forget})
	}
	d.print(c.App.Writer, forget)
	return nil
}

// vacantForDemo refuses a directory that holds something else.
func vacantForDemo(dir string) error {
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("demo directory: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, digits.LicenceFile)); err != nil {
		return usagef("demo directory %s holds something else: name another", dir)
	}
	return nil
}

// run evaluates everything; it returns the base and the two ways to forget.
func (d *demonstration) run() (forget [3]demoRow, err error) {
	base, err := d.evaluate("base", digits.Base)
	if err != nil {
		return forget, err
	}
	d.Rows = append(d.Rows, base)
	for _, task := range d.tests.Tasks {
		row, err := d.evaluate("fine-tuned: "+task, task)
		if err != nil {
			return forget, err
		}
		d.Rows = append(d.Rows, row)
	}
	for _, m := range []merger{
		{name: "linear average", out: "average", method: "linear"},
		{name: "task arithmetic, lambda 1", out: "task-arithmetic", method: "task_arithmetic"},
	} {
		if err := d.add(m); err != nil {
			return forget, err
		}
	}
	if err := d.addBestLambda(); err != nil {
		return forget, err
	}
	paper := merger{name: "STA, preset: paper", out: "sta-paper", method: "sta", importance: digits.MeanAbsGrad, params: map[string]string{"preset": "paper"}}
	for _, m := range []merger{paper, byDefault, weighted} {
		if err := d.add(m); err != nil {
			return forget, err
		}
	}
	return d.forget(base)
}

// merge runs weld's engine.
func (d *demonstration) merge(m merger) error {
	draft := &recipe.Draft{
		Method: recipe.Setting{Key: "merge_method", Text: m.method},
		Base:   recipe.Setting{Key: "base_model", Text: filepath.Join(d.dir, digits.Base)},
	}
	if m.models == nil {
		m.models = d.tests.Tasks
	}
	for _, task := range m.models {
		model := recipe.DraftModel{Path: recipe.Setting{Key: "model", Text: filepath.Join(d.dir, task)}}
		if m.importance != "" {
			model.Params = []recipe.Setting{{Key: "importance", Text: filepath.Join(d.dir, task, m.importance)}}
		}
		draft.Models = append(draft.Models, model)
	}
	for key, value := range m.params {
		draft.Params = append(draft.Params, recipe.Setting{Key: key, Text: value})
	}
	r, err := stream.Schema().Resolve(draft)
	if err != nil {
		return err
	}
	p, err := stream.Prepare(r, filepath.Join(d.dir, m.out), stream.Options{Force: true, Version: version()})
	if err != nil {
		return err
	}
	defer p.Close()
	_, err = p.Merge(d.ctx)
	return err
}

// add merges, evaluates, and keeps the row.
func (d *demonstration) add(m merger) error {
	row, err := d.try(m)
	if err == nil {
		d.Rows = append(d.Rows, row)
	}
	return err
}

func (d *demonstration) try(m merger) (demoRow, error) {
	if err := d.merge(m); err != nil {
		return demoRow{}, err
	}
	return d.evaluate(m.name, m.out)
}

// addBestLambda tunes task arithmetic, on the test images themselves, which favours
// it.
func (d *demonstration) addBestLambda() error {
	var best demoRow
	for _, lambda := range lambdas {
		row, err := d.try(merger{name: "task arithmetic, best lambda " + lambda, out: "task-arithmetic-tuned",
			method: "task_arithmetic", params: map[string]string{"lambda": lambda}})
		if err != nil {
			return err
		}
		if row.Mean > best.Mean {
			best = row
		}
	}
	d.Rows = append(d.Rows, best)
	return nil
}

// forget takes one task out of the base: by its negated task vector, and by the part
// of it that matters.
func (d *demonstration) forget(base demoRow) ([3]demoRow, error) {
	plain, err := d.try(merger{name: "negated task vector", out: "forget-plain", method: "task_arithmetic",
		models: []string{forgotten}, params: map[string]string{"weight": "-1", "lambda": forgetLambda}})
	if err != nil {
		return [3]demoRow{}, err
	}
	selective, err := d.try(merger{name: "STA, score delta", out: "forget-sta", method: "sta", importance: digits.MeanSqGradBase,
		models: []string{forgotten}, params: map[string]string{"preset": "paper", "weight": "-1", "lambda": forgetLambda, "score": "delta", "density": "0.3"}})
	return [3]demoRow{base, plain, selective}, err
}

func (d *demonstration) evaluate(name, dir string) (demoRow, error) {
	if err := d.ctx.Err(); err != nil {
		return demoRow{}, err
	}
	accuracy, err := d.tests.Accuracy(filepath.Join(d.dir, dir))
	if err != nil {
		return demoRow{}, err
	}
	row := demoRow{Name: name, Accuracy: accuracy}
	for _, a := range accuracy {
		row.Mean += a / float64(len(accuracy))
	}
	return row, nil
}

// split is a row's accuracy on one task, and the mean of the others.
func (d *demonstration) split(row demoRow, task string) (target, others float64) {
	for i, name := range d.tests.Tasks {
		if name == task {
			target = row.Accuracy[i]
			continue
		}
		others += row.Accuracy[i] / float64(len(row.Accuracy)-1)
	}
	return target, others
}

func (d *demonstration) print(w io.Writer, forget [3]demoRow) {
	fmt.Fprintf(w, "Six networks read the same handwritten digits, each under its own transform of the\nimages; all come from one base. Accuracy on held-out images, in percent:\n\n")
	var rows [][]string
	for _, r := range d.Rows {
		row := []string{r.Name}
		for _, a := range r.Accuracy {
			row = append(row, fmt.Sprintf("%5.1f", 100*a))
		}
		rows = append(rows, append(row, fmt.Sprintf("%5.1f", 100*r.Mean)))
	}
	table(w, "|"+strings.Join(d.tests.Tasks, "|")+"|mean", rows)
	fmt.Fprintf(w, "\nForgetting %s, lambda %s:", forgotten, forgetLambda)
	for i, r := range forget {
		target, others := d.split(r, forgotten)
		if i > 0 {
			fmt.Fprint(w, ";")
		}
		fmt.Fprintf(w, " %s %.1f (the others %.1f)", r.Name, 100*target, 100*others)
	}
	fmt.Fprintf(w, "\n\nThe best lambda was chosen on the test images, which favours task arithmetic. This is\none training of ten; examples/digits/README.md has the others' means.\n")
	if peak, ok := peakMemory(); ok {
		fmt.Fprintf(w, "\nPeak memory of this process, networks and tests included: %s\n", binary(peak))
	}
	fmt.Fprintf(w, `
The checkpoints are in %[1]s. The same by hand, and with your own models:

%[2]s
%[3]s
   weld diff %[1]s/base ./merged

weld importance MODEL TEXTS OUT measures importance files of language models; docs/importance.md
has more of it, and 20 lines of PyTorch for any other model.
`, d.dir, d.byHand(byDefault, "./merged"), d.byHand(weighted, "./merged-weighted"))
}

// byHand is the command line that merges two of the tasks as a row of the table does all.
func (d *demonstration) byHand(m merger, out string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "   weld merge --method %s", m.method)
	for _, key := range slices.Sorted(maps.Keys(m.params)) {
		fmt.Fprintf(&b, " --%s %s", flagName(key), m.params[key])
	}
	fmt.Fprintf(&b, " --base %s/%s", d.dir, digits.Base)
	for _, task := range d.tests.Tasks[:2] {
		fmt.Fprintf(&b, " \\\n       --model %[1]s/%-7[2]s --importance %[1]s/%[2]s/%[3]s", d.dir, task, m.importance)
	}
	fmt.Fprintf(&b, " %s\n", out)
	return b.String()
}
