package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"weld/stream"
)

// A report names what decides: common values by who said them, others model by model, and of many the range.
func TestBrief(t *testing.T) {
	all := func(key, value, from string) stream.Setting {
		return stream.Setting{Key: key, Value: value, From: from}
	}
	usual := func(s stream.Setting) stream.Setting { s.Usual = true; return s }
	of := func(s stream.Setting, model string) stream.Setting { s.Model = model; return s }
	var many []stream.Setting
	for i := range 40 {
		many = append(many, of(all("weight", fmt.Sprint(0.5+float64(3*i%5)), fmt.Sprintf("on line %d", i)), fmt.Sprintf("m%d", i)))
	}
	for _, test := range []struct {
		name     string
		settings []stream.Setting
		want     string
	}{
		{"nothing", nil, ""},
		{"nothing to be said", []stream.Setting{usual(all("weight", "1", "default"))}, ""},
		{"the default of what decides", []stream.Setting{usual(all("weight", "1", "default")), usual(all("density", "0.2", "default")), usual(all("score", "weight", "default")), usual(all("scope", "model", "default"))},
			"sta: score weight, density 0.2 (default)\n"},
		{"another default of something else", []stream.Setting{all("contrast", "true", "default with several models"), usual(all("scope", "model", "default")), all("preset", "paper", "--preset")},
			"sta: preset paper (--preset); contrast true (default with several models)\n"},
		{"varies", []stream.Setting{{Key: "weight", Value: "0", From: "on line 3", Varies: true}}, "sta: weight 0, and others (on line 3)\n"},
		{"two models", []stream.Setting{of(all("density", "0.1", "on line 2"), "a"), of(all("density", "0.3", "on line 4"), "b"), usual(all("lambda", "1", "default"))},
			"sta: lambda 1 (default); density 0.1 of a (on line 2), 0.3 of b (on line 4)\n"},
		{"alike, but for the line", []stream.Setting{of(all("density", "0.1", "on line 2"), "a"), of(all("density", "0.3", "on line 4"), "b"), of(all("density", "0.1", "on line 6"), "c")},
			"sta: density 0.1 of a and 1 more (on line 2, on line 6), 0.3 of b (on line 4)\n"},
		{"one has another", []stream.Setting{usual(of(all("weight", "1", "default"), "a")), of(all("weight", "2", "on line 4"), "b")},
			"sta: weight 1 of a (default), 2 of b (on line 4)\n"},
		{"of one source", []stream.Setting{of(all("density", "0.1", "--density"), "a"), of(all("density", "0.3", "--density"), "b"), of(all("density", "0.1", "--density"), "c")},
			"sta: density 0.1 of a and 1 more (--density), 0.3 of b (--density)\n"},
		{"of three", []stream.Setting{of(all("density", "0.1", "default"), "a"), of(all("density", "0.3", "x"), "b"), of(all("density", "0.1", "y"), "c"), of(all("density", "0.1", "z"), "d")},
			"sta: density 0.1 of a and 2 more (default and others), 0.3 of b (x)\n"},
		{"two keys", []stream.Setting{of(all("density", "0.1", "x"), "a"), of(all("density", "0.3", "x"), "b"), of(all("weight", "2", "x"), "a"), of(all("weight", "3", "x"), "b")},
			"sta: density 0.1 of a (x), 0.3 of b (x); weight 2 of a (x), 3 of b (x)\n"},
		{"three values", []stream.Setting{of(all("weight", "1", "x"), "a"), of(all("weight", "2", "x"), "b"), of(all("weight", "3", "x"), "c")}, "sta: weight 1 of a (x), 2 of b (x), 3 of c (x)\n"},
		{"many words", []stream.Setting{of(all("statistic", "p", "x"), "a"), of(all("statistic", "q", "x"), "b"), of(all("statistic", "r", "x"), "c"), of(all("statistic", "s", "x"), "d")},
			"sta: statistic of several values of 4 models (x)\n"},
		{"many, one of which varies", []stream.Setting{of(all("weight", "1", "x"), "a"), of(all("weight", "2", "x"), "b"), of(all("weight", "3", "x"), "c"), {Key: "weight", Value: "4", Model: "d", From: "x", Varies: true}},
			"sta: weight of several values of 4 models (x)\n"},
		{"many", many, "sta: weight 0.5 to 4.5 of 40 models (on line 0 and others)\n"},
		{"a name with a line's end", []stream.Setting{of(all("density", "0.1", "default"), "a\n\x1b[2J"), of(all("density", "0.2", "default"), "b")},
			`sta: density 0.1 of a\n\x1b[2J (default), 0.2 of b (default)` + "\n"},
	} {
		var out bytes.Buffer
		before := slices.Clone(test.settings)
		printBrief(&out, "sta", test.settings)
		if !slices.Equal(test.settings, before) { // which are printed as JSON too
			t.Errorf("%s: the settings have become others: %+v", test.name, test.settings)
		}
		if got := out.String(); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// A plan lists all, and of whom they are.
func TestPrintSettings(t *testing.T) {
	var out bytes.Buffer
	printSettings(&out, []stream.Setting{{Key: "lambda", Value: "1", From: "default", Usual: true}, {Key: "weight", Value: "2", From: "on line 4", Model: "./a", Varies: true}})
	if got, want := out.String(), "  lambda: 1 (default)\n  weight of ./a: 2, and others (on line 4)\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Its lines are broken between parts.
func TestBriefIsBroken(t *testing.T) {
	var settings []stream.Setting
	for i := range 6 {
		settings = append(settings, stream.Setting{Key: "key", Value: strings.Repeat("x", 30), From: fmt.Sprint(i)})
	}
	var out bytes.Buffer
	printBrief(&out, "sta", settings)
	part := "key " + strings.Repeat("x", 30)
	want := "sta: " + part + " (0); " + part + " (1);\n  " + part + " (2); " + part + " (3);\n  " + part + " (4); " + part + " (5)\n"
	if out.String() != want {
		t.Errorf("%s", &out)
	}
}
