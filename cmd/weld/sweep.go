package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"weld/stream"
	"weld/stream/destination"
	"weld/stream/recipe"
)

// sweepFlag varies a merge.
func sweepFlag(m *recipe.MethodSchema) cli.Flag {
	keys := ""
	if m != nil {
		keys = "; numbers of " + m.Name + ": " + cmp.Or(strings.Join(numbers(m), ", "), "none")
	}
	return &cli.StringSliceFlag{
		Name: "sweep", Category: categoryMethod,
		Usage: "`KEY=V,V,…`: one output for each value of a number, named after it; several keys are combined, and the inputs read once for all" + keys,
	}
}

// numbers lists the keys of a method that are numbers.
func numbers(m *recipe.MethodSchema) (keys []string) {
	for _, p := range m.Params {
		if p.Kind == recipe.Number {
			keys = append(keys, p.Key)
		}
	}
	return keys
}

// sweeps reads the flag: every combination of values, the last key varying fastest.
func sweeps(c *cli.Context) ([][]recipe.Setting, error) {
	combinations := [][]recipe.Setting{nil}
	given := make(map[string]bool)
	for _, text := range c.StringSlice("sweep") {
		settings, err := swept(text)
		if err != nil {
			return nil, err
		}
		key := settings[0].Key
		if given[key] {
			return nil, usagef("--sweep %s is given twice", key)
		}
		given[key] = true
		var longer [][]recipe.Setting
		for _, before := range combinations {
			for _, s := range settings {
				longer = append(longer, append(before[:len(before):len(before)], s))
			}
		}
		combinations = longer
	}
	if len(combinations) > maxVariants {
		return nil, usagef("--sweep: %d combinations are more than %d", len(combinations), maxVariants)
	}
	return combinations, nil
}

// swept reads KEY=V,V,…: a setting for each value.
func swept(text string) (settings []recipe.Setting, err error) {
	key, list, ok := strings.Cut(text, "=")
	key = strings.ReplaceAll(key, "-", "_")
	if !ok || key == "" || list == "" {
		return nil, usagef("--sweep %q: expected KEY=VALUE,VALUE,… such as density=0.1,0.2", text)
	}
	for value := range strings.SplitSeq(list, ",") {
		s := recipe.Setting{Key: key, Text: strings.TrimSpace(value), Where: recipe.Position{Flag: "--sweep"}}
		if s.Text == "" {
			return nil, usagef("--sweep %q: a value is empty", text)
		}
		settings = append(settings, s)
	}
	return settings, nil
}

// maxVariants is the most outputs of one sweep.
const maxVariants = 256

// label names a combination in the names of outputs.
func label(settings []recipe.Setting) string {
	var b strings.Builder
	for _, s := range settings {
		fmt.Fprintf(&b, "-%s=%s", s.Key, s.Text)
	}
	return b.String()
}

// ofCombination is the error of a combination: where it names another place than the flag's value, it says which it is of.
func ofCombination(settings []recipe.Setting, err error) error {
	problems := recipe.Problems(nil)
	if !errors.As(err, &problems) || slices.ContainsFunc(problems, func(p recipe.Problem) bool { return p.Flag == "--sweep" }) {
		return err
	}
	of := ""
	for _, s := range settings {
		of += fmt.Sprintf(" %s=%s", s.Key, s.Text)
	}
	return fmt.Errorf("--sweep%s: %w", of, err)
}

// mergeSweep writes an output for each combination.
func mergeSweep(c *cli.Context) error {
	combinations, err := sweeps(c)
	if err != nil {
		return err
	}
	o, err := options(c)
	if err != nil {
		return err
	}
	o.Resume = true
	resolve, rest, err := asked(c)
	if err != nil {
		return err
	}
	var variants []stream.Variant
	for _, settings := range combinations {
		r, err := resolve(settings...)
		if err != nil {
			return ofCombination(settings, err)
		}
		out, err := outputName(c, rest)
		if err != nil {
			return err
		}
		variants = append(variants, stream.Variant{Recipe: r, Out: destination.Labelled(out, label(settings))})
	}
	s, err := untilInterrupt(c.Context, func() (*stream.Sweep, error) { return stream.NewSweep(variants, o) })
	if err != nil {
		return err
	}
	defer s.Close()
	printNotes(c, s.Plans[0].Notes)
	reports, err := watched(c, s.Plans[0].Options.Progress, s.Merge)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(c, reports)
	}
	for _, r := range reports {
		printReport(c.App.Writer, r)
	}
	return nil
}
