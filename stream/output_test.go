package stream

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"weld/format"
	"weld/format/open"
	"weld/stream/plan"
)

func TestMetadata(t *testing.T) {
	p := newFamily(2, small()...).save(t)
	q := ask("sta", "weights=0.3,-1", "preset=weighted", "dtype=float16")
	var before map[string]string
	for range 2 {
		out := p.out("x.safetensors")
		p.must(t, q, out, Options{Force: true, Version: "v1.2.3"})
		_, got := load(t, read(t, out))
		if before != nil && !maps.Equal(got, before) {
			t.Errorf("another run says %v, not %v", got, before)
		}
		before = got
	}
	keys := slices.Sorted(maps.Keys(before))
	if !slices.Equal(keys, []string{"format", "weld.inputs", "weld.recipe", "weld.version"}) || before["format"] != "pt" || before["weld.version"] != "v1.2.3" {
		t.Errorf("metadata %v", before)
	}
	r := p.recipe(t, q)
	again, err := Schema().Parse("recipe", []byte(before["weld.recipe"]))
	if err != nil {
		t.Fatalf("%v in\n%s", err, before["weld.recipe"])
	}
	if string(again.YAML()) != string(r.YAML()) || again.DType != format.F16 || again.Params.Text("combine") != "importance" || again.Models[1].Params.Number("weight") != -1 {
		t.Errorf("the recipe comes back as\n%s", again.YAML())
	}
	var inputs []struct {
		Role, Path string
		Bytes      int64
		SHA256     string `json:"fingerprint"`
	}
	if err := json.Unmarshal([]byte(before["weld.inputs"]), &inputs); err != nil {
		t.Fatal(err)
	}
	want := []string{"base " + p.base, "model " + p.models[0], "importance " + p.importance[0], "model " + p.models[1], "importance " + p.importance[1]}
	seen := map[string]string{}
	for i, in := range inputs {
		if other, same := seen[in.SHA256]; same {
			t.Errorf("%s and %s have one fingerprint", other, in.Path)
		}
		seen[in.SHA256] = in.Path
		if got := in.Role + " " + in.Path; got != want[i] || len(in.SHA256) != 64 {
			t.Errorf("input %d is %+v", i, in)
		}
		if info, err := os.Stat(in.Path); err == nil && !info.IsDir() && info.Size() != in.Bytes {
			t.Errorf("%s has %d bytes", in.Path, in.Bytes)
		}
	}
	if len(inputs) != len(want) {
		t.Errorf("%d inputs", len(inputs))
	}

	// The recipe in the output makes the same output.
	plan, err := Prepare(again, p.out("again.safetensors"), Options{Version: "v1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	defer plan.Close()
	if _, err := plan.Merge(context.Background()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read(t, p.out("again.safetensors")), read(t, p.out("x.safetensors"))) {
		t.Error("the recipe of the output does not make it again")
	}
}

// A directory gets the small files of the base, and shards that can be opened.
func TestDirectory(t *testing.T) {
	f := newFamily(1, small()...)
	p := f.save(t)
	write(t, filepath.Join(p.base, "config.json"), []byte(`{"torch_dtype": "float32", "a": 1}`))
	write(t, filepath.Join(p.base, "tokenizer.json"), []byte("{}"))
	write(t, filepath.Join(p.base, "additional_chat_templates", "x.jinja"), []byte("hi"))
	write(t, filepath.Join(p.base, "pytorch_model.bin"), []byte("old"))
	write(t, filepath.Join(p.base, plan.RecipeName), []byte("of another merge"))
	write(t, filepath.Join(p.base, "deep", "x"), []byte("x"))
	q := ask("task_arithmetic", "dtype=bfloat16")
	p.must(t, q, p.out("x"), Options{ShardSize: 10_000})
	files := tree(t, p.out("x"))
	names := slices.Sorted(maps.Keys(files))
	want := []string{"additional_chat_templates/x.jinja", "config.json", "model-00001-of-00004.safetensors", "model-00002-of-00004.safetensors",
		"model-00003-of-00004.safetensors", "model-00004-of-00004.safetensors", "model.safetensors.index.json", "tokenizer.json", plan.RecipeName}
	if !slices.Equal(names, want) {
		t.Errorf("files %q", names)
	}
	if got := files["config.json"]; got != `{"torch_dtype": "bfloat16", "a": 1}` {
		t.Errorf("config.json is %s", got)
	}
	if got := files[plan.RecipeName]; got != string(p.recipe(t, q).YAML()) {
		t.Errorf("the recipe is %s", got)
	}
	c, err := open.Checkpoint(p.out("x"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if len(c.Tensors()) != 4 || len(c.Files()) != 5 {
		t.Errorf("%d tensors in %d files", len(c.Tensors()), len(c.Files()))
	}
}

// Inputs may be compressed, sharded, or of another dtype each.
func TestInputsOfEveryContainer(t *testing.T) {
	f := newFamily(2, mixed()...)
	p := f.save(t)
	q := ask("sta", "scope=tensor")
	p.must(t, q, p.out("want.safetensors"), Options{})
	for i, path := range p.models {
		packed := savedFamily{dir: p.dir, models: []string{path}}
		packed.must(t, ask("passthrough"), path+".zst", Options{})
		p.models[i] += ".zst"
	}
	p.base = f.base.saveShards(t, p.out("sharded"), 5)
	p.importance[0] = f.importance[0].saveShards(t, p.out("sharded-importance"), 20)
	for _, threads := range []int{1, 4} {
		p.must(t, q, p.out("got.safetensors"), Options{Force: true, Threads: threads})
		want, _ := load(t, read(t, p.out("want.safetensors")))
		got, _ := load(t, read(t, p.out("got.safetensors")))
		for _, x := range want {
			if y := got.find(x.Name); y == nil || !bytes.Equal(x.data, y.data) {
				t.Errorf("%s differs", x.Name)
			}
		}
	}
}
