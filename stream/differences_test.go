package stream

import (
	"os"
	"slices"
	"strings"
	"testing"

	"weld/stream/fuse/methods"
	"weld/stream/recipe"
)

// Every difference that a plan can name stands in the table of docs/mergekit.md, and touches some
// recipe.
func TestDifferencesAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../docs/mergekit.md")
	if err != nil {
		t.Fatal(err)
	}
	all := append(slices.Clone(differences), arithmetic)
	named := make(map[string]bool) // by some recipe
	for _, m := range methods.All() {
		all = append(all, m.Deviations...)
		r := &recipe.Recipe{Method: &m.MethodSchema, Models: make([]recipe.Model, 2), ChatTemplate: "llama3"}
		for _, line := range Differences(r) {
			name, _, _ := strings.Cut(line, ":")
			named[name] = true
		}
	}
	for _, d := range all {
		if !strings.Contains(string(doc), "\n| "+d.Name+" | ") {
			t.Errorf("docs/mergekit.md does not have %s", d.Name)
		}
		if !named[d.Name] && d.Name != "post-weights" {
			t.Errorf("%s touches no method", d.Name)
		}
	}
}
