package main

import (
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"weld/stream"
	"weld/stream/recipe"
)

func methodsCommand() *cli.Command {
	return &cli.Command{
		Name:      "methods",
		Usage:     "the merge methods, or what one of them computes and takes",
		ArgsUsage: "[METHOD]",
		Description: "Without METHOD, lists all. Of a METHOD it prints the formula, the source, every key that a\nrecipe may give it (as a flag, - stands for _), and a recipe that runs.\n\n" +
			"--json prints a list of objects with name, summary, source, own (not one of mergekit's\nmethods), base (optional or required) and base_role (reference, model, first, donor),\nmin_models, max_models (0: any number), and importance (none, optional, required: in a merge\n" +
			"that leaves the other keys at their defaults). With METHOD it prints one such object, which\nalso has formula, keys, presets (name → key → value) and example, the text of a recipe. A key\nhas key, flag, type (number, integer, boolean, choice, path), help, per_model, varies (by\n" +
			"gradients and filters), required, and, where they exist, default (as text), default_for\n(what is the default in some merges: when, default), min, max, choices. Fields may be added; none changes its meaning.\n\n" +
			"Examples:\n\n   weld methods\n   weld methods ties\n   weld methods sta --json\n\n" + exitHelp,
		Flags:        []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "as JSON"}},
		Action:       methods,
		BashComplete: completeMethods,
	}
}

func methods(c *cli.Context) error {
	schema := stream.Schema()
	switch c.NArg() {
	case 0:
		return listMethods(c, schema)
	case 1:
		m, err := schema.Named(c.Args().First())
		if err != nil {
			return usageError{err}
		}
		return describeMethod(c, m)
	}
	return usagef("one method at most is expected, %d given: weld methods [METHOD]", c.NArg())
}

func listMethods(c *cli.Context, schema recipe.Schema) error {
	all := make([]methodSummary, len(schema))
	for i := range schema {
		all[i] = summarize(&schema[i])
	}
	if c.Bool("json") {
		return printJSON(c, all)
	}
	var rows [][]string
	for i, m := range all {
		importance := m.Importance
		if importance == "none" {
			importance = "-"
		}
		rows = append(rows, []string{m.Name, m.Base, modelCount(&schema[i]), importance, m.Summary})
	}
	table(c.App.Writer, "method|base|models|importance|what it does", rows)
	say(c.App.Writer, "\nweld methods METHOD has the formula, all keys and a recipe of one.\n")
	return nil
}

// modelCount says how many models a method takes.
func modelCount(m *recipe.MethodSchema) string {
	switch {
	case m.MaxModels == 0:
		return fmt.Sprintf("at least %d", m.MinModels)
	case m.MinModels == m.MaxModels:
		return fmt.Sprintf("exactly %d", m.MinModels)
	}
	return fmt.Sprintf("%d to %d", m.MinModels, m.MaxModels)
}

func describeMethod(c *cli.Context, m *recipe.MethodSchema) error {
	d := detail(m)
	if c.Bool("json") {
		return printJSON(c, d)
	}
	w := c.App.Writer
	say(w, "%s: %s\n", m.Name, m.Summary)
	if m.Source != "" {
		say(w, "source: %s\n", m.Source)
	}
	say(w, "base: %s; %s\nmodels: %s\n", d.Base, baseRoles[m.BaseIs].help, modelCount(m))
	if d.Importance != "none" {
		say(w, "importance files: %s\n", d.Importance)
	}
	if m.Formula != "" {
		say(w, "\nFormula:\n\n")
		lines(w, "   ", wrappedLines(m.Formula, helpWidth))
	}
	say(w, "\nKeys of a recipe; as flags they have - for _:\n\n")
	for _, p := range m.Params {
		say(w, "   %s: %s\n", p.Key, keyFacts(p))
		lines(w, "       ", wrapped(p.Help, helpWidth))
	}
	printPresets(w, m)
	say(w, "\nA recipe, to be run with weld merge recipe.yml %s:\n\n", exampleOut)
	lines(w, "   ", d.Example)
	say(w, "\nThe same by flags:\n\n")
	lines(w, "   ", exampleOf(m, takesImportance(m)).command("merge", exampleOut))
	return nil
}

// keyFacts says what a key may be, and for what it is said.
func keyFacts(p recipe.Param) string {
	facts := p.Allowed()
	switch {
	case p.Required:
		facts += "; required"
	case p.Default != "":
		facts += "; default " + p.Defaults()
	}
	if p.PerModel {
		facts += "; for each model"
	}
	if p.Varies() {
		facts += "; with gradients and filters"
	}
	return facts
}

// printPresets says what each preset puts in place of defaults, in the order of the keys.
func printPresets(w io.Writer, m *recipe.MethodSchema) {
	for _, name := range m.PresetNames() {
		var sets []string
		for _, p := range m.Params {
			if value, ok := m.Presets[name][p.Key]; ok {
				sets = append(sets, p.Key+" "+value)
			}
		}
		is := ""
		if m.IsDefault(name) {
			is = ", which is the default"
		}
		say(w, "\npreset %s%s:\n\n", name, is)
		lines(w, "   ", wrappedItems(sets, ",", helpWidth))
	}
}
