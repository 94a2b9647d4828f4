package safetensors

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"weld/format"
)

// TestNumberedShards opens folders of numbered shards without an index: all of them are the
// checkpoint, and part of them is nothing.
func TestNumberedShards(t *testing.T) {
	// Each file holds one tensor, named after its place.
	for _, c := range []struct {
		files   string
		tensors string // or "" where the folder is refused
		says    string
	}{
		{"model-00001-of-00002.safetensors model-00002-of-00002.safetensors", "a b", "the 2 shards model-*-of-00002.safetensors are taken for the checkpoint"},
		{"m-1-of-000003.safetensors m-2-of-000003.safetensors m-3-of-000003.safetensors", "a b c", "the 3 shards m-*-of-000003.safetensors"},
		{"x-00000-of-00002.safetensors x-00001-of-00002.safetensors", "a b", "the 2 shards"},
		{"MODEL-00001-OF-00002.SAFETENSORS MODEL-00002-OF-00002.SAFETENSORS", "a b", "the 2 shards"},

		{"model-00001-of-00003.safetensors model-00003-of-00003.safetensors", "", "2 of the 3 shards model-*-of-00003.safetensors are there, without an index; missing: model-00002-of-00003.safetensors"},
		{"model-00002-of-00003.safetensors", "", "1 of the 3 shards model-*-of-00003.safetensors are there, without an index; missing: model-00001-of-00003.safetensors and model-00003-of-00003.safetensors"},
		{"model-00009-of-99999.safetensors", "", "missing: model-00001-of-99999.safetensors, model-00002-of-99999.safetensors, model-00003-of-99999.safetensors, …"},
		{"model-00000-of-00002.safetensors model-00001-of-00002.safetensors model-00002-of-00002.safetensors", "", "3 files are there that are called one of the 2 shards"},
		{"model-00001-of-00002.safetensors model-00002-of-00003.safetensors", "", "2 safetensors files, and no index"},
		{"a-00001-of-00002.safetensors b-00002-of-00002.safetensors", "", "2 safetensors files, and no index"},
		{"m-1-of-2.safetensors m-01-of-2.safetensors", "", "2 safetensors files, and no index"},
		{"model-00001-of-00002.safetensors model-00002-of-00002.safetensors consolidated.safetensors", "", "3 safetensors files, and no index"},
	} {
		files := make(map[string]string)
		for i, name := range strings.Fields(c.files) {
			files[name] = bytesOf("", string(rune('a'+i)))
		}
		open := 0
		got, err := openDir(spill(t, files), opener(&open))
		if err != nil {
			if format.KindOf(err) != format.KindIndex || c.tensors != "" || !strings.Contains(err.Error(), c.says) || open != 0 {
				t.Errorf("%s: %v", c.files, err)
			}
			continue
		}
		var names []string
		for _, x := range got.Tensors() {
			names = append(names, x.Name)
		}
		if strings.Join(names, " ") != c.tensors || len(format.Notes(got)) != 1 || !strings.Contains(format.Notes(got)[0], c.says) {
			t.Errorf("%s: tensors %q, notes %q", c.files, names, format.Notes(got))
		}
		if err := got.Close(); err != nil {
			t.Error(err)
		}
	}

	open := 0
	_, err := openDir(spill(t, map[string]string{
		"m-1-of-2.safetensors": bytesOf("", "a", "b"), "m-2-of-2.safetensors": bytesOf("", "b"),
	}), opener(&open))
	var fault *format.Error
	if !errors.As(err, &fault) || fault.Kind != format.KindDuplicate || fault.Tensor != "b" || open != 0 {
		t.Errorf("a tensor in two shards without an index: %v", err)
	}
}

// TestShardAlone opens one shard of several, which is not the checkpoint.
func TestShardAlone(t *testing.T) {
	for name, note := range map[string]string{
		"model-00002-of-00003.safetensors": "shard 2 of 3",
		"x-00000-of-2.safetensors.zst":     "shard 0 of 2",
		"model-00001-of-00001.safetensors": "",
		"model.safetensors":                "",
		"of-course-1.safetensors":          "",
	} {
		dir := spill(t, map[string]string{name: bytesOf("", "a")})
		open := 0
		src, err := opener(&open)(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		c, err := OpenFile(filepath.Join(dir, name), src)
		if err != nil {
			t.Fatal(err)
		}
		if notes := format.Notes(c); (note == "") != (notes == nil) || note != "" && !strings.Contains(notes[0], note) {
			t.Errorf("%s: notes %q", name, notes)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestOpenIndex opens what one of several indexes lists.
func TestOpenIndex(t *testing.T) {
	dir := format.Directory(spill(t, map[string]string{
		IndexName: indexOf("a", "1"), "x.safetensors.index.json": indexOf("b", "2"),
		"1": bytesOf("", "a"), "2": bytesOf("", "b"), SingleName: "?",
	}))
	open := 0
	get := func(name string) (Source, error) { return opener(&open)(dir.Join(name)) }
	for name, want := range map[string]string{IndexName: "a", "x.safetensors.index.json": "b"} {
		c, err := OpenIndex(dir, name, get)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Tensors(); len(got) != 1 || got[0].Name != want || c.Path() != dir.Path() {
			t.Errorf("%s: %v", name, got)
		}
		if err := c.Close(); err != nil || open != 0 {
			t.Errorf("%v, %d left open", err, open)
		}
	}
	if err := (choice{index: "i.json"}).missing(dir, "s", fs.ErrNotExist); err.Error() != dir.Join("s")+": a shard that i.json names is not there" {
		t.Errorf("a shard that is not there: %v", err)
	}
	if _, err := OpenIndex(dir, "y.safetensors.index.json", get); format.KindOf(err) != format.KindMissing {
		t.Errorf("an index that is not there: %v", err)
	}
}
