package methods

import (
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"weld/stream/fuse"
	"weld/stream/recipe"
)

// Nothing is wrong with what is registered, and every file that is not the registry's or a family's registers something.
func TestEveryFileRegisters(t *testing.T) {
	for _, err := range problems {
		t.Error(err)
	}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	registers := regexp.MustCompile(`(?m)^\tregister\(`)
	methods := 0
	for _, f := range files {
		name := f.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || name == "doc.go" || strings.HasPrefix(name, "registry") || strings.HasPrefix(name, "family") {
			continue
		}
		methods++
		if source, err := os.ReadFile(name); err != nil || !registers.Match(source) {
			t.Errorf("%s registers no method (%v)", name, err)
		}
	}
	if methods < 15 {
		t.Errorf("only %d files of methods", methods)
	}
}

// Whoever asks for a method gets that, with values for all its parameters.
func TestEveryMethodIsFound(t *testing.T) {
	for i, m := range All() {
		if found, ok := Find(m.Name); !ok || found != m || Schema()[i].Name != m.Name {
			t.Errorf("%s is not found", m.Name)
		}
		d := m.Decoder()
		values := make(recipe.Values)
		if all, again := d.All(values), d.All(values); all != again || reflect.TypeOf(all) != reflect.PointerTo(m.all.of) {
			t.Errorf("%s: parameters of all models are %T, and decoded once: %v", m.Name, all, all == again)
		}
		if each, again := d.Each(values), d.Each(values); each != again || reflect.TypeOf(each) != reflect.PointerTo(m.each.of) {
			t.Errorf("%s: a model's parameters are %T, and decoded once: %v", m.Name, each, each == again)
		}
		for _, p := range m.Params {
			if p.Help == "" || strings.HasSuffix(p.Help, ".") {
				t.Errorf("%s, %s: help %q is no line for a table", m.Name, p.Key, p.Help)
			}
		}
		for _, line := range strings.Split(m.Formula, "\n") {
			if len([]rune(line)) > 92 || strings.HasSuffix(line, ".") {
				t.Errorf("%s: a line of the formula is too wide, or ends in a full stop: %s", m.Name, line)
			}
		}
	}
	if _, ok := Find("no such method"); ok {
		t.Error("a method is found that nobody registered")
	}
}

// number is of a parameter that is complete.
type number struct {
	Number float64 `key:"number" default:"1" help:"a number"`
}

// preset has one that is to be set.
type preset struct {
	number
	Preset *uint8 `key:"preset" choices:"p" help:"a preset"`
}

// Cases of defaults become part of the parameters, in their order, and leave the struct's alone.
func TestCasesOfDefaults(t *testing.T) {
	when := []recipe.When{recipe.SeveralModels}
	m, err := definition[number, none]{
		MethodSchema: recipe.MethodSchema{Name: "x", Summary: "what it does", Formula: "θ"},
		defaults:     map[string]string{"number": "3"},
		cases:        []defaultCase{{when, map[string]string{"number": "2"}}, {[]recipe.When{recipe.OneModel}, map[string]string{"number": "5"}}},
		merge:        func(Setup, fuse.Nonfinite, *number, []*none) fuse.Method { return nil },
	}.method()
	if err != nil {
		t.Fatal(err)
	}
	p := m.Params[m.param("number")]
	if got, want := p.Defaults(), "3, or 2 with several models, or 5 with one model"; got != want {
		t.Errorf("defaults %q, want %q", got, want)
	}
}

// Registrations that are wrong are reported, and the method is not there.
func TestWrongRegistrations(t *testing.T) {
	before := slices.Clone(registry)
	t.Cleanup(func() { registry, problems = before, nil })
	method := func(name string) recipe.MethodSchema {
		return recipe.MethodSchema{Name: name, Summary: "what it does", Formula: "θ"}
	}
	presets := func(key, value string) recipe.MethodSchema {
		m := method("x")
		m.Presets = map[string]map[string]string{"p": {key: value}}
		return m
	}
	for want, try := range map[string]func(){
		"registered twice":              func() { register(definition[none, none]{MethodSchema: method(before[0].Name)}) },
		"neither a merge nor a formula": func() { register(definition[number, none]{MethodSchema: method("x")}) },
		"has no name":                   func() { register(definition[none, none]{MethodSchema: method("")}) },
		"has no summary":                func() { register(definition[none, none]{MethodSchema: recipe.MethodSchema{Name: "x", Formula: "θ"}}) },
		"or no formula":                 func() { register(definition[none, none]{MethodSchema: recipe.MethodSchema{Name: "x", Summary: "s"}}) },
		`key "number" stands`:           func() { register(definition[number, number]{MethodSchema: method("x")}) },
		`default of "numbr"`: func() {
			register(definition[number, none]{MethodSchema: method("x"), defaults: map[string]string{"numbr": "2"}})
		},
		`default "two" is not`: func() {
			register(definition[number, none]{MethodSchema: method("x"), defaults: map[string]string{"number": "two"}})
		},
		`preset p sets "nothing"`: func() {
			register(definition[preset, none]{MethodSchema: presets("nothing", "1")})
		},
		`preset p: number: value "two" is not`: func() {
			register(definition[preset, none]{MethodSchema: presets("number", "two")})
		},
		`preset p is no choice of the key "preset"`: func() {
			register(definition[number, none]{MethodSchema: presets("number", "2")})
		},
		"preset p sets nothing": func() { register(definition[preset, none]{MethodSchema: method("x")}) },
		`default of "numbr" in some merges`: func() {
			register(definition[number, none]{MethodSchema: method("x"), cases: []defaultCase{{[]recipe.When{recipe.OneModel}, map[string]string{"numbr": "2"}}}})
		},
		`default of "preset" in some merges, which has none in others`: func() {
			register(definition[preset, none]{MethodSchema: presets("number", "2"), cases: []defaultCase{{[]recipe.When{recipe.OneModel}, map[string]string{"preset": "p"}}}})
		},
		`number: default "two" is not`: func() {
			register(definition[number, none]{MethodSchema: method("x"), cases: []defaultCase{{[]recipe.When{recipe.OneModel}, map[string]string{"number": "two"}}}})
		},
		"for no kind of merge": func() {
			register(definition[number, none]{MethodSchema: method("x"), cases: []defaultCase{{nil, map[string]string{"number": "2"}}}})
		},
		"field X: needs a default": func() {
			register(definition[struct {
				X float64 `key:"x" help:"a number"`
			}, none]{MethodSchema: method("x")})
		},
		"field X: needs the tags": func() {
			register(definition[struct {
				X float64 `default:"1" help:"a number"`
			}, none]{MethodSchema: method("x")})
		},
		"field x: needs the tags": func() {
			register(definition[struct {
				x float64 `key:"x" default:"1" help:"a number"`
			}, none]{MethodSchema: method("x")})
		},
		`unknown tag "mni"`: func() {
			register(definition[struct {
				X float64 `key:"x" mni:"0" default:"1" help:"a number"`
			}, none]{MethodSchema: method("x")})
		},
		`unknown flag "fxed"`: func() {
			register(definition[none, struct {
				X float64 `key:"x" default:"1" flags:"fxed" help:"a number"`
			}]{MethodSchema: method("x")})
		},
		`min is "zero"`: func() {
			register(definition[struct {
				X float64 `key:"x" min:"zero" default:"1" help:"a number"`
			}, none]{MethodSchema: method("x")})
		},
		`default "2" is not a number from 0 to 1`: func() {
			register(definition[struct {
				X float64 `key:"x" min:"0" max:"1" default:"2" help:"a number"`
			}, none]{MethodSchema: method("x")})
		},
		`default "0.5" is not a whole number`: func() {
			register(definition[struct {
				X int `key:"x" default:"0.5" help:"a number"`
			}, none]{MethodSchema: method("x")})
		},
		`default "maybe" is not true or false`: func() {
			register(definition[struct {
				X bool `key:"x" default:"maybe" help:"a truth value"`
			}, none]{MethodSchema: method("x")})
		},
		`default "c" is not one of a, b`: func() {
			register(definition[struct {
				X uint8 `key:"x" choices:"a b" default:"c" help:"a choice"`
			}, none]{MethodSchema: method("x")})
		},
		"type []float64 is none": func() {
			register(definition[struct {
				X []float64 `key:"x" default:"1" help:"numbers"`
			}, none]{MethodSchema: method("x")})
		},
	} {
		problems = nil
		try()
		if len(problems) != 1 || !strings.Contains(problems[0].Error(), want) {
			t.Errorf("%s: %v", want, problems)
		}
		if !slices.Equal(registry, before) {
			t.Fatalf("%s: the method is listed", want)
		}
	}
}

// Tags become what recipes may say, and what they said gets into the fields.
func TestParameters(t *testing.T) {
	type embedded struct {
		Path string `key:"path" help:"a path"`
	}
	type all struct {
		embedded
		Wide    float64        `key:"wide" default:"0.5" min:"0" max:"1" help:"a number"`
		Single  *float32       `key:"single" flags:"fixed explicit" help:"a number that may be left out"`
		Whole   int            `key:"whole" default:"-3" help:"a whole number"`
		Seed    uint64         `key:"seed" example:"7" flags:"required" max:"9007199254740992" help:"a large one"`
		Yes     bool           `key:"yes" default:"true" help:"a truth value"`
		Policy  fuse.Nonfinite `key:"policy" help:"a choice of a type that has names"`
		Choice  uint8          `key:"choice" choices:"a b c" default:"b" help:"another"`
		Perhaps *uint8         `key:"perhaps" choices:"a b" help:"one that may be left out"`
	}
	f, err := fieldsOf(reflect.TypeFor[all](), true, map[string]string{"wide": "1"})
	if err != nil {
		t.Fatal(err)
	}
	number := func(p recipe.Param) recipe.Param {
		p.Kind, p.PerModel = recipe.Number, true
		return p
	}
	want := []recipe.Param{
		{Key: "path", Kind: recipe.Path, PerModel: true, Help: "a path"},
		number(recipe.Param{Key: "wide", Min: 0, Max: 1, Default: "1", Help: "a number"}),
		recipe.Any(number(recipe.Param{Key: "single", Fixed: true, Explicit: true, Help: "a number that may be left out"})),
		recipe.Any(number(recipe.Param{Key: "whole", Integer: true, Default: "-3", Help: "a whole number"})),
		number(recipe.Param{Key: "seed", Min: recipe.Any(recipe.Param{}).Min, Max: 1 << 53, Integer: true, Required: true, Example: "7", Help: "a large one"}),
		{Key: "yes", Kind: recipe.Bool, PerModel: true, Default: "true", Help: "a truth value"},
		{Key: "policy", Kind: recipe.Choice, PerModel: true, Choices: []string{"error", "propagate", "base"}, Default: "error", Help: "a choice of a type that has names"},
		{Key: "choice", Kind: recipe.Choice, PerModel: true, Choices: []string{"a", "b", "c"}, Default: "b", Help: "another"},
		{Key: "perhaps", Kind: recipe.Choice, PerModel: true, Choices: []string{"a", "b"}, Help: "one that may be left out"},
	}
	if !reflect.DeepEqual(f.params, want) {
		t.Errorf("parameters are\n%+v\nwant\n%+v", f.params, want)
	}
	values := recipe.Values{
		"path": {Text: "p"}, "wide": {Number: 0.25}, "single": {Number: 2}, "whole": {Number: -7}, "seed": {Number: 1 << 53}, "yes": {Bool: true},
		"policy": {Text: "base"}, "choice": {Text: "c"}, "perhaps": {Text: "b"},
	}
	two, one := float32(2), uint8(1)
	full := &all{embedded{"p"}, 0.25, &two, -7, 1 << 53, true, fuse.BaseNonfinite, 2, &one}
	if got := f.decode(values); !reflect.DeepEqual(got, full) {
		t.Errorf("decoded %+v, want %+v", got, full)
	}
	left := maps.Clone(values)
	delete(left, "single")
	delete(left, "perhaps")
	delete(left, "wide")
	full.Single, full.Perhaps, full.Wide = nil, nil, 0
	if got := f.decode(left); !reflect.DeepEqual(got, full) {
		t.Errorf("decoded %+v, want %+v", got, full)
	}
}
