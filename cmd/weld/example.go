package main

import (
	"cmp"
	"fmt"
	"strings"

	"weld/stream/recipe"
)

// This file makes a merge for each method, from its schema: with all that the method needs, and its numbers at values
// that do something.

// Paths of the examples.
const (
	exampleBase = "./base"
	exampleOut  = "./merged"
)

var exampleModels = []string{"./math", "./code"}

// example is a merge by a method.
type example struct {
	method string
	base   string
	models []exampleModel
	shared []exampleKey
}

type exampleModel struct {
	path string
	keys []exampleKey
}

type exampleKey struct {
	recipe.Param
	value string
}

// exampleOf is a merge of as many models as the method takes, two at most, with importance files if they are asked for.
func exampleOf(m *recipe.MethodSchema, importance bool) example {
	e := example{method: m.Name}
	paths := exampleModels
	if m.MaxModels == 1 {
		paths = paths[:1]
	}
	if m.Base == recipe.Required {
		e.base = exampleBase
	}
	if m.BaseIs == recipe.BaseFirst {
		paths = append([]string{exampleBase}, paths[:1]...)
	}
	merged := recipe.Occasion{Models: len(paths)}
	if importance {
		merged.Informed = len(paths)
	}
	for _, path := range paths {
		model := exampleModel{path: path}
		for _, p := range m.Params {
			if value := exampleValue(p, path, merged); p.PerModel && value != "" {
				model.keys = append(model.keys, exampleKey{p, value})
			}
		}
		e.models = append(e.models, model)
	}
	for _, p := range m.Params {
		if value := exampleValue(p, "", merged); !p.PerModel && value != "" {
			e.shared = append(e.shared, exampleKey{p, value})
		}
	}
	return e
}

// exampleValue is what an example says of a key, of a model or of all; "" for nothing.
func exampleValue(p recipe.Param, model string, merged recipe.Occasion) string {
	switch {
	case p.Key == recipe.ImportanceKey && model != "" && merged.Informed > 0:
		return model + "-grad.safetensors"
	case p.Kind == recipe.Number || p.Required:
		return cmp.Or(p.Example, p.DefaultFor(merged))
	}
	return p.Example
}

// yaml is the recipe of an example.
func (e example) yaml() string {
	var b strings.Builder
	fmt.Fprintf(&b, "merge_method: %s\n", e.method)
	if e.base != "" {
		fmt.Fprintf(&b, "base_model: %s\n", e.base)
	}
	b.WriteString("models:\n")
	for _, m := range e.models {
		fmt.Fprintf(&b, "  - model: %s\n", m.path)
		writeKeys(&b, "    ", m.keys)
	}
	writeKeys(&b, "", e.shared)
	return b.String()
}

func writeKeys(b *strings.Builder, indent string, keys []exampleKey) {
	if len(keys) == 0 {
		return
	}
	fmt.Fprintf(b, "%sparameters:\n", indent)
	for _, k := range keys {
		fmt.Fprintf(b, "%s  %s: %s\n", indent, k.Key, k.value)
	}
}

// flags are the same as an example's recipe, for a command line: a line for each model, with all that is said of it.
func (e example) flags() (lines []string) {
	first := "--method " + e.method
	if e.base != "" {
		first += " --base " + e.base
	}
	lines = append(lines, first)
	for _, m := range e.models {
		line := "--model " + m.path
		for _, k := range m.keys {
			line += k.flag()
		}
		lines = append(lines, line)
	}
	for _, k := range e.shared {
		lines[len(lines)-1] += k.flag()
	}
	return lines
}

func (k exampleKey) flag() string { return " --" + flagName(k.Key) + " " + k.value }

// command is the command line of an example.
func (e example) command(name, out string) string {
	return strings.TrimRight("weld "+name+" "+strings.Join(e.flags(), " \\\n    ")+" "+out, " ")
}
