package safetensors

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weld/format"
)

// TestComponentsOfOneName refuses components whose tensors have one name together, and indexes that list what another component has.
func TestComponentsOfOneName(t *testing.T) {
	const modules = `[{"path": "", "type": "s.Transformer"}, {"path": "a", "type": "s.Dense"}]`
	index := func(name string, tensors ...string) string {
		var x Index
		for _, tensor := range tensors {
			x.WeightMap = append(x.WeightMap, Weight{tensor, name})
		}
		return string(x.Append(nil))
	}
	for name, c := range map[string]struct {
		files map[string]string
		kind  format.Kind // "" for sound ones
		says  string
	}{
		"sound": {map[string]string{SingleName: bytesOf("", "b"), "a/" + SingleName: bytesOf("", "w"), "a/" + IndexName: index(SingleName, "w")}, "", ""},
		"twice in shards before an index": {map[string]string{"x-1-of-2.safetensors": bytesOf("", "b"), "x-2-of-2.safetensors": bytesOf("", "b"),
			"a/" + SingleName: bytesOf("", "w"), "a/" + IndexName: index(SingleName, "w")}, format.KindDuplicate, `tensor "b": it is also in`},
		"a name in another component's directory": {map[string]string{SingleName: bytesOf("", "a/v"), "a/" + SingleName: bytesOf("", "w")}, format.KindNames,
			`tensor "a/v": its name begins with the directory of another component, "a", whose it would become`},
		"a name that is another component's": {map[string]string{SingleName: bytesOf("", "a/w"), "a/" + SingleName: bytesOf("", "w")}, format.KindDuplicate, `tensor "a/w"`},
		"an index that lists another's": {map[string]string{SingleName: bytesOf("", "a/v"), "a/" + SingleName: bytesOf("", "w"), "a/" + IndexName: index(SingleName, "v", "w")},
			format.KindIndex, `tensor "v": the index places it in model.safetensors, which does not hold it`},
		"an index that lacks one": {map[string]string{SingleName: bytesOf("", "b"), "a/" + SingleName: bytesOf("", "v", "w"), "a/" + IndexName: index(SingleName, "v")},
			format.KindIndex, `tensor "w": model.safetensors holds the tensor, but the index does not list it`},
	} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "a"), 0o777); err != nil {
			t.Fatal(err)
		}
		c.files[format.ModulesName] = modules
		for file, data := range c.files {
			if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(file)), []byte(data), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		open := 0
		got, err := openDir(dir, opener(&open))
		if c.kind == "" {
			var names []string
			if err == nil {
				for _, x := range got.Tensors() {
					names = append(names, x.Name)
				}
				got.Close()
			}
			if strings.Join(names, " ") != "b a/w" || err != nil {
				t.Errorf("%s: %v, %v", name, names, err)
			}
		} else if format.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		if open != 0 {
			t.Errorf("%s: %d files stay open", name, open)
		}
	}
}
