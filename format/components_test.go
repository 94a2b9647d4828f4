package format_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weld/format"
)

// TestComponents has directories list their components, soundly and not.
func TestComponents(t *testing.T) {
	pipeline := func(text string) map[string]string { return map[string]string{format.PipelineName: text} }
	modules := func(text string) map[string]string { return map[string]string{format.ModulesName: text} }
	for name, c := range map[string]struct {
		files map[string]string
		dirs  []string
		want  string // the components, or the kind of the error
		says  string // in the error
	}{
		"one model": {map[string]string{"config.json": "{}"}, []string{"unet"}, "[]", ""},
		"a pipeline": {pipeline(`{"_class_name": "P", "_ignored": ["a", "b"], "vae": ["diffusers", "AutoencoderKL"], "unet": ["diffusers", "UNet"], "off": [null, null], "one": ["x"], "flag": true, "n": 3, "o": {"a": ["b", "c"]}}`),
			[]string{"unet", "vae", "off"}, "[{unet diffusers.UNet} {vae diffusers.AutoencoderKL}]", ""},
		"no components":     {pipeline(`{}`), nil, "[]", ""},
		"a list":            {pipeline(`[]`), nil, "json", "components of a pipeline"},
		"no JSON":           {pipeline(`{"a": `), nil, "json", ""},
		"an empty file":     {pipeline(``), nil, "json", ""},
		"too large":         {pipeline(strings.Repeat(" ", 1<<20) + "{}"), nil, "size", "1048576"},
		"a missing one":     {pipeline(`{"unet": ["diffusers", "UNet"]}`), nil, "missing", "it lists unet (diffusers.UNet), a directory that is not there"},
		"a file":            {map[string]string{format.PipelineName: `{"unet": ["diffusers", "UNet"]}`, "unet": "x"}, nil, "index", "which is no directory"},
		"outside":           {pipeline(`{"../x": ["a", "b"]}`), nil, "index", "no directory's name"},
		"absolute":          {pipeline(`{"/etc": ["a", "b"]}`), nil, "index", "no directory's name"},
		"a device":          {pipeline(`{"NUL": ["a", "b"]}`), nil, "index", "no directory's name"},
		"another directory": {pipeline(`{"a\\b": ["a", "b"]}`), nil, "index", "no directory's name"},
		"modules": {modules(`[{"idx": 0, "path": "", "type": "s.Transformer"}, {"idx": 1, "path": "1_Pooling/", "type": "s.Pooling"}, {"path": "./2_Dense", "type": "s.Dense"}, {"path": "3_Normalize", "type": "s.models.Normalize"}]`),
			[]string{"1_Pooling", "2_Dense"}, "[{ s.Transformer} {1_Pooling s.Pooling} {2_Dense s.Dense}]", ""},
		"deeper modules":      {modules(`[{"path": "a/b", "type": "s.Dense"}]`), []string{"a/b"}, "[{a/b s.Dense}]", ""},
		"a missing module":    {modules(`[{"path": "", "type": "s.Transformer"}, {"path": "2_Dense", "type": "s.Dense"}]`), nil, "missing", "2_Dense (s.Dense)"},
		"the same module":     {modules(`[{"path": "a", "type": "s.Dense"}, {"path": "a/", "type": "s.Dense"}]`), []string{"a"}, "duplicate", `"a"`},
		"modules outside":     {modules(`[{"path": "a/../..", "type": "s.Dense"}]`), []string{"a"}, "index", "no directory's name"},
		"modules twice deep":  {modules(`[{"path": "a//b", "type": "s.Dense"}]`), []string{"a/b"}, "index", "no directory's name"},
		"modules of others":   {modules(`{"modules": []}`), nil, "[]", ""},
		"modules of no type":  {modules(`[{"path": "a"}]`), nil, "[]", ""},
		"modules that are no": {modules(`no JSON`), nil, "[]", ""},
	} {
		dir := t.TempDir()
		for _, d := range c.dirs {
			if err := os.MkdirAll(filepath.Join(dir, filepath.FromSlash(d)), 0o777); err != nil {
				t.Fatal(err)
			}
		}
		for name, text := range c.files {
			write(t, filepath.Join(dir, name), []byte(text))
		}
		list, err := format.Directory(dir).Components()
		got := fmt.Sprint(list)
		if err != nil {
			got = string(format.KindOf(err))
		}
		if got != c.want || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %s, %v; want %s, %q", name, got, err, c.want, c.says)
		}
	}
}
