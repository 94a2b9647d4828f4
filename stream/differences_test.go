package stream

import (
	"os"
	"strings"
	"testing"

	"weld/stream/recipe"
)

// Every difference that a plan can name stands in the table of docs/mergekit.md, and touches some
// recipe.
func TestDifferencesAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../docs/mergekit.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range differences {
		if !strings.Contains(string(doc), "\n| "+d.name+" | ") {
			t.Errorf("docs/mergekit.md does not have %s", d.name)
		}
		touched := d.name == "post-weights"
		for i := range schema {
			r := &recipe.Recipe{Method: &schema[i], Models: make([]recipe.Model, 2), ChatTemplate: "llama3"}
			touched = touched || d.touches(r)
		}
		if !touched {
			t.Errorf("%s touches no method", d.name)
		}
	}
}
