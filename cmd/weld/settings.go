package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"weld/stream"
)

// This file says with which values a merge is run: a plan all of them, a line each; a report those that decide, in a line or two.

// printSettings lists all values.
func printSettings(w io.Writer, settings []stream.Setting) {
	for _, s := range settings {
		of := ""
		if s.Model != "" {
			of = " of " + s.Model
		}
		say(w, "  %s%s: %s (%s)\n", s.Key, of, valueOf(s), s.From)
	}
}

func valueOf(s stream.Setting) string {
	if s.Varies {
		return s.Value + ", and others"
	}
	return s.Value
}

// deciding are the keys that a report names whatever their values are, in this order; of others it names what is not the default.
var deciding = []string{"preset", "score", "density", "threshold", "lambda", "statistic"}

// printBrief says what a report was made with: what all models have in common by who said it, then what each has of its own.
func printBrief(w io.Writer, method string, settings []stream.Setting) {
	parts := brief(settings)
	if len(parts) == 0 {
		return
	}
	parts[0] = method + ": " + parts[0]
	for i := range parts {
		parts[i] = visible(parts[i]) // a path may have a line's end in it
	}
	lines(w, "", strings.ReplaceAll(wrappedItems(parts, ";", helpWidth), "\n", "\n  "))
}

// brief makes the parts of that line.
func brief(settings []stream.Setting) (parts []string) {
	var common, own [][]stream.Setting // by who said it, and by key
	for _, s := range shortened(settings) {
		groups, same := &common, func(g []stream.Setting) bool { return g[0].From == s.From }
		if s.Model != "" {
			groups, same = &own, func(g []stream.Setting) bool { return g[0].Key == s.Key }
		}
		if i := slices.IndexFunc(*groups, same); i >= 0 {
			(*groups)[i] = append((*groups)[i], s)
		} else {
			*groups = append(*groups, []stream.Setting{s})
		}
	}
	for _, group := range common {
		var said []string
		for _, s := range group {
			said = append(said, s.Key+" "+valueOf(s))
		}
		parts = append(parts, fmt.Sprintf("%s (%s)", strings.Join(said, ", "), group[0].From))
	}
	for _, of := range own {
		parts = append(parts, of[0].Key+" "+byModel(of))
	}
	return parts
}

// shortened leaves out what goes without saying. What decides comes first.
func shortened(settings []stream.Setting) []stream.Setting {
	rank := func(s stream.Setting) int {
		if i := slices.Index(deciding, s.Key); i >= 0 {
			return i
		}
		return len(deciding)
	}
	unusual := func(key string) bool {
		return slices.ContainsFunc(settings, func(s stream.Setting) bool { return s.Key == key && !s.Usual })
	}
	kept := slices.DeleteFunc(slices.Clone(settings), func(s stream.Setting) bool { return rank(s) == len(deciding) && !unusual(s.Key) })
	slices.SortStableFunc(kept, func(a, b stream.Setting) int { return rank(a) - rank(b) })
	return kept
}

// manyValues is how many values of one key a line has room for.
const manyValues = 3

// byModel is a key's values model by model, equal ones together; of many the range.
func byModel(settings []stream.Setting) string {
	var values [][]stream.Setting
	for _, s := range settings {
		if i := slices.IndexFunc(values, func(g []stream.Setting) bool { return valueOf(g[0]) == valueOf(s) }); i >= 0 {
			values[i] = append(values[i], s)
		} else {
			values = append(values, []stream.Setting{s})
		}
	}
	if len(values) > manyValues {
		return fmt.Sprintf("%s of %d models (%s)", spread(settings), len(settings), sources(settings))
	}
	var said []string
	for _, group := range values {
		of := group[0].Model
		if n := len(group) - 1; n > 0 {
			of += fmt.Sprintf(" and %d more", n)
		}
		said = append(said, fmt.Sprintf("%s of %s (%s)", valueOf(group[0]), of, sources(group)))
	}
	return strings.Join(said, ", ")
}

// spread is the range of numbers, or how many values there are of anything else.
func spread(settings []stream.Setting) string {
	low, high := math.Inf(1), math.Inf(-1)
	for _, s := range settings {
		x, err := strconv.ParseFloat(s.Value, 64)
		if err != nil || s.Varies {
			return "of several values"
		}
		low, high = min(low, x), max(high, x)
	}
	return fmt.Sprintf("%g to %g", low, high)
}

// sources are those who said values: two by name, of more the first.
func sources(settings []stream.Setting) string {
	var from []string
	for _, s := range settings {
		if !slices.Contains(from, s.From) {
			from = append(from, s.From)
		}
	}
	if len(from) > 2 {
		return from[0] + " and others"
	}
	return strings.Join(from, ", ")
}
