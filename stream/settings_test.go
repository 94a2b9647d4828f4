package stream

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"weld/format"
	"weld/stream/recipe"
)

// Settings are listed once where all models have them in common, and else for each; a plan and the report of its merge list the same.
func TestSettings(t *testing.T) {
	p := newFamily(2, describe("w", format.F32, 3, 2)).save(t)
	for _, test := range []struct {
		name, params, first, second string // of all and of the models
		want                        []string
	}{
		{"defaults", "", "", "", []string{"weight 1 default usual", "statistic mean_abs_grad default", "missing_importance error default usual"}},
		{"a preset, and a key", "preset: weighted, lambda: 0.5", "", "", []string{"density 1 preset weighted", "lambda 0.5 on line 8", "combine importance preset weighted usual", "preset weighted on line 8"}},
		{"the default, said", "weight: 1.0", "", "", []string{"weight 1.0 on line 8 usual"}},
		{"alike, on other lines", "", ", density: 0.3", ", density: 0.3", []string{"density 0.3 of 0 on line 5", "density 0.3 of 1 on line 7"}},
		{"one's own", "density: 0.5", ", density: 0.3", "", []string{"density 0.3 of 0 on line 5", "density 0.5 of 1 on line 8"}},
		{"one has another key", "density: 0.4", ", threshold: 0.5", "", []string{"threshold 0.5 of 0 on line 5", "density 0.4 of 1 on line 8"}},
		{"told", "statistic: score", "", "", []string{"statistic score on line 8"}},
		{"one is told", "", ", statistic: mean_grad", "", []string{"statistic mean_grad of 0 on line 5", "statistic mean_abs_grad of 1 default"}},
	} {
		text := fmt.Sprintf("merge_method: sta\nbase_model: %s\nmodels:\n  - model: %s\n    parameters: {importance: %s%s}\n  - model: %s\n    parameters: {importance: %s%s}\nparameters: {%s}\n",
			p.base, p.models[0], p.importance[0], test.first, p.models[1], p.importance[1], test.second, test.params)
		r, err := Schema().Parse("r.yml", []byte(text))
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		plan, err := Prepare(r, p.out("x.safetensors"), Options{Force: true})
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		planned := plan.Summary().Settings
		report, err := plan.Merge(context.Background())
		if err != nil || plan.Close() != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if !reflect.DeepEqual(planned, report.Settings) {
			t.Errorf("%s: planned %+v, reported %+v", test.name, planned, report.Settings)
		}
		listed := make(map[string]int)
		for _, s := range planned {
			listed[s.Key]++
		}
		var lines []string
		for _, s := range planned {
			line := s.Key + " " + s.Value
			for i, path := range p.models {
				line += strings.Repeat(fmt.Sprintf(" of %d", i), strings.Count(s.Model, path))
			}
			lines = append(lines, line+" "+s.From+strings.Repeat(" usual", map[bool]int{true: 1}[s.Usual]))
		}
		said := strings.Join(lines, "\n") + "\n"
		for _, want := range test.want {
			if !strings.Contains("\n"+said, "\n"+want+"\n") {
				t.Errorf("%s: %q is not among\n%s", test.name, want, said)
			}
			if key, _, _ := strings.Cut(want, " "); !strings.Contains(want, " of ") && listed[key] != 1 {
				t.Errorf("%s: %s is listed %d times", test.name, key, listed[key])
			}
		}
	}
}

// settingsOf are the settings of a recipe's plan, a line each.
func (p savedFamily) settingsOf(t *testing.T, text string) (lines []string) {
	t.Helper()
	r, err := Schema().Parse("r.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := Prepare(r, "", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer plan.Close()
	for _, s := range plan.Summary().Settings {
		of := ""
		for i, path := range p.models {
			of += strings.Repeat(fmt.Sprintf(" of %d", i), strings.Count(s.Model, path))
		}
		lines = append(lines, s.Key+" "+s.Value+of+" "+s.From)
	}
	return lines
}

// What decides is listed of sta without importance too, and nothing of methods without presets that read none. Paths are not, models'
// values are apart where they differ though one line says them, and a file's own word counts.
func TestSettingsOfMethods(t *testing.T) {
	f := newFamily(2, describe("w", format.F32, 3, 2))
	p := f.save(t)
	list := func(method, first, second, all string) string {
		base := "base_model: " + p.base + ", "
		return strings.Join(p.settingsOf(t, fmt.Sprintf("{merge_method: %s, %smodels: [{model: %s, parameters: {%s}}, {model: %s, parameters: {%s}}], parameters: {%s}}", method, base, p.models[0], first, p.models[1], second, all)), "\n")
	}
	if got := list("sta", "", "", ""); !strings.Contains(got, "score magnitude default with no importance files") || strings.Contains(got, "statistic") {
		t.Errorf("sta without importance: %s", got)
	}
	if got := list("task_arithmetic", "", "", ""); got != "" {
		t.Errorf("task_arithmetic: %s", got)
	}
	given := "importance: " + p.importance[0]
	if got := list("ota", "weight: 1", "weight: 2", given); !strings.Contains(got, "weight 1 of 0 on line 1\nweight 2 of 1 on line 1") || strings.Contains(got, p.importance[0]) {
		t.Errorf("weights on one line: %s", got)
	}
	if got := list("ota", "weight: 0", "", given+", weight: [0, 1]"); !strings.Contains(got, "weight 0 of 0 on line 1\nweight 0 of 1 on line 1") {
		t.Errorf("one varies: %s", got)
	}
	write(t, p.importance[0], f.importance[0].file(map[string]string{"weld.statistic": "mean_abs_grad"}))
	if got := list("ota", "", "", given); !strings.Contains(got, "statistic mean_abs_grad the file") {
		t.Errorf("of a file that says what it holds: %s", got)
	}
}

// Whoever said a value nearest is named.
func TestFrom(t *testing.T) {
	for want, v := range map[string]recipe.Value{
		"--weight": {Where: recipe.Position{Flag: "--weight", Line: 3}, Origin: "default"}, "on line 3": {Where: recipe.Position{Line: 3}, Origin: "default"},
		"preset paper": {Origin: "preset paper"}, "the recipe": {},
	} {
		if got := from(v); got != want {
			t.Errorf("%+v is from %q, want %q", v, got, want)
		}
	}
}

// Values that vary are of all models where all were told so in one place, and not where each was, though the first layer's be the same.
func TestSettingsThatVary(t *testing.T) {
	p := newFamily(2, describe("w", format.F32, 3, 2)).save(t)
	for all, want := range map[string]int{"weight: [0, 1]": 1, "": 2} {
		own := [2]string{}
		if all == "" {
			own = [2]string{", weight: [0, 1]", ", weight: [0, 2]"}
		}
		text := fmt.Sprintf("{merge_method: ota, base_model: %s, models: [{model: %s, parameters: {importance: %s%s}}, {model: %s, parameters: {importance: %s%s}}], parameters: {%s}}",
			p.base, p.models[0], p.importance[0], own[0], p.models[1], p.importance[1], own[1], all)
		r, err := Schema().Parse("r.yml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		plan, err := Prepare(r, p.out("y.safetensors"), Options{Force: true})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, s := range plan.Summary().Settings {
			if s.Key == "weight" {
				n++
				if s.Value != "0" || !s.Varies || s.From != "on line 1" || s.Usual || (s.Model == "") != (want == 1) {
					t.Errorf("%+v", s)
				}
			}
		}
		if plan.Close() != nil || n != want {
			t.Errorf("%q: listed %d times, want %d", all, n, want)
		}
	}
}
