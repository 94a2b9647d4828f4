package model

import (
	"os"
	"slices"
	"testing"
)

// A + parts names, unless a path has it.
func TestSplit(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, dir := range []string{"a+b", "a+b+c", "x+y+z", "plain"} {
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string][]string{
		"plain":              {"plain"},
		"org/base+org/lora":  {"org/base", "org/lora"},
		"base+one+two":       {"base", "one", "two"},
		"a+b":                {"a+b"},
		"a+b+plain":          {"a+b", "plain"},
		"a+b+c":              {"a+b+c"},
		"plain+x+y+z+a+b":    {"plain", "x+y+z", "a+b"},
		"x+y":                {"x", "y"},
		"plain+a+b@revision": {"plain", "a", "b@revision"},
	} {
		path, adapters := Split(name)
		if got := append([]string{path}, adapters...); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
