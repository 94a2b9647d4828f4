package moments_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weld/format"
	"weld/format/moments"
	"weld/format/open"
	"weld/internal/vec"
	"weld/mmapio"
)

// floats are all values of a tensor of float32, read in pieces of a size.
func floats(t *testing.T, c format.Checkpoint, i int, piece int64) []float32 {
	t.Helper()
	size := c.Tensors()[i].Bytes()
	var data []byte
	for at := int64(0); at < size; at += piece {
		view, err := c.View(i, at, min(piece, size-at))
		if err != nil {
			t.Fatal(err)
		}
		data = append(data, view.Data...)
		view.Release()
	}
	values := make([]float32, size/4)
	vec.DecodeF32(values, data)
	return values
}

// opened opens second moments, which have to be there.
func opened(t *testing.T, path string) format.Checkpoint {
	t.Helper()
	c, err := moments.Open(path, mmapio.Mapped)
	if err != nil || c == nil {
		t.Fatalf("%s: %v, %v", path, c, err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestGoldens holds second moments to those that real optimizers have in memory (moments_golden.py).
func TestGoldens(t *testing.T) {
	for path, want := range map[string]string{
		"llama": "llama", "qwen2/optimizer.pt": "qwen2", "gpt2": "gpt2", "adafactor": "adafactor", "own.pt": "own", "own.pt#optimizer": "own", "bits.pt": "bits", "muon.pt": "muon",
	} {
		c := opened(t, filepath.Join("testdata", filepath.FromSlash(path)))
		golden, err := open.Checkpoint(filepath.Join("testdata", want+".want.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		defer golden.Close()
		if len(c.Tensors()) != len(golden.Tensors()) {
			t.Errorf("%s: %d tensors, want %d", path, len(c.Tensors()), len(golden.Tensors()))
		}
		if said := format.Metadata(c)["weld.statistic"]; said != "adam_second_moment" {
			t.Errorf("%s: the statistic is %q", path, said)
		}
		for j, g := range golden.Tensors() {
			i, ok := c.Find(g.Name)
			if !ok || !slices.Equal(c.Tensors()[i].Shape, g.Shape) || c.Tensors()[i].DType != format.F32 {
				t.Errorf("%s: %s: %v", path, g.Name, ok)
				continue
			}
			exact := floats(t, golden, j, 1<<20)
			for _, piece := range []int64{1 << 20, 12, 7} {
				got := floats(t, c, i, piece)
				for k, x := range exact {
					if off := math.Abs(float64(got[k] - x)); off > 0 && (want != "adafactor" || off > 1e-6*math.Abs(float64(x))) { // torch's mean is in another order
						t.Fatalf("%s: %s: element %d is %g, want %g", path, g.Name, k, got[k], x)
					}
				}
			}
		}
	}
}

// TestDistributed reads the second moments of a checkpoint of torch.distributed.checkpoint, which has names; β₂ is not read there.
func TestDistributed(t *testing.T) {
	dir := filepath.Join("..", "dcp", "testdata", "optimizer")
	c := opened(t, dir)
	raw, err := open.Checkpoint(dir + "#.")
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	i, ok := raw.Find("optimizer.state.w.exp_avg_sq")
	if !ok || len(c.Tensors()) != 1 || c.Tensors()[0].Name != "w" || !slices.Equal(floats(t, c, 0, 1<<20), floats(t, raw, i, 1<<20)) {
		t.Errorf("tensors %v", c.Tensors())
	}
	if notes := format.Notes(c); len(notes) != 1 || !strings.Contains(notes[0], "not corrected for their bias") {
		t.Errorf("notes %q", notes)
	}
	if c, err := moments.Open(filepath.Join("..", "dcp", "testdata", "boxes"), mmapio.Mapped); c != nil || err != nil {
		t.Errorf("a model without an optimizer: %v, %v", c, err)
	}
}

// copyOf copies a directory of the goldens, where a test changes something.
func copyOf(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", name))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestOthers has nothing to show where no optimizer is.
func TestOthers(t *testing.T) {
	for _, path := range []string{"testdata", "testdata/nothing", "testdata/llama/model.safetensors", "testdata/llama/config.json", "org/model"} {
		if c, err := moments.Open(path, mmapio.Mapped); c != nil || err != nil {
			t.Errorf("%s: %v, %v", path, c, err)
		}
	}
}

// plainModel writes a file of tensors of one element each.
func plainModel(t *testing.T, path string, names ...string) {
	t.Helper()
	header := make(map[string]any)
	for i, name := range names {
		header[name] = map[string]any{"dtype": "F32", "shape": []int{1}, "data_offsets": []int{4 * i, 4*i + 4}}
	}
	text, err := json.Marshal(header)
	if err == nil {
		file := append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...)
		err = os.WriteFile(path, append(file, make([]byte, 4*len(names))...), 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestRefused refuses numbers whose names cannot be told.
func TestRefused(t *testing.T) {
	change := func(dir string, with map[string]any) {
		path := filepath.Join(dir, "config.json")
		raw, err := os.ReadFile(path)
		config := make(map[string]any)
		if err == nil {
			err = json.Unmarshal(raw, &config)
		}
		for k, v := range with {
			config[k] = v
		}
		if err == nil {
			raw, err = json.Marshal(config)
		}
		if err == nil {
			err = os.WriteFile(path, raw, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, from string
		change     func(dir string)
		kind       format.Kind
		says       string
	}{
		{"an unknown type", "llama", func(dir string) { change(dir, map[string]any{"model_type": "own"}) }, format.KindNames, `this one is "own"`},
		{"no type", "llama", func(dir string) { os.WriteFile(filepath.Join(dir, "config.json"), []byte("{}"), 0o666) }, format.KindNames, `this one is ""`},
		{"no configuration", "llama", func(dir string) { os.Remove(filepath.Join(dir, "config.json")) }, format.KindNames, "there is no config.json beside the model"},
		{"no model", "llama", func(dir string) { os.Remove(filepath.Join(dir, "model.safetensors")) }, format.KindMissing, "is not beside it"},
		{"another order", "llama", func(dir string) { change(dir, map[string]any{"model_type": "gpt2"}) }, format.KindNames, "is no parameter that models of the type gpt2 are known to have"},
		{"another model", "llama", func(dir string) {
			raw, _ := os.ReadFile("testdata/qwen2/model.safetensors")
			os.WriteFile(filepath.Join(dir, "model.safetensors"), raw, 0o666)
		}, format.KindNames, "it has 20 parameters, and"},
		{"an adapter", "llama", func(dir string) {
			os.Rename(filepath.Join(dir, "model.safetensors"), filepath.Join(dir, "adapter_model.safetensors"))
			plainModel(t, filepath.Join(dir, "adapter_model.safetensors"), "base_model.model.model.layers.0.mlp.up_proj.lora_A.weight", "base_model.model.model.layers.0.mlp.up_proj.lora_B.weight")
		}, format.KindUnsupported, "is an adapter (adapter_model.safetensors): it has moments of the 20 parameters of the adapter, and no importance"},
		{"frozen parameters", "llama", func(dir string) {
			var names []string
			for layer := range 22 {
				names = append(names, fmt.Sprintf("model.layers.%d.input_layernorm.weight", layer))
			}
			plainModel(t, filepath.Join(dir, "model.safetensors"), names...)
		}, format.KindNames, "has 22: 2 were frozen in the training, if it is of that model, and the parameters have numbers, which do not say which"},
		{"more parameters", "qwen2", func(dir string) { plainModel(t, filepath.Join(dir, "model.safetensors"), "model.norm.weight") }, format.KindNames, "it is of another model, or of this one with something that was added to it"},
		{"other shapes", "qwen2", func(dir string) {
			raw, _ := os.ReadFile("testdata/qwen2/model.safetensors")
			text := strings.Replace(string(raw), `layers.0.self_attn.q_proj.bias`, `layers.9.self_attn.q_proj.bias`, 1)
			text = strings.Replace(text, `layers.0.self_attn.k_proj.bias`, `layers.0.self_attn.q_proj.bias`, 1)
			text = strings.Replace(text, `layers.9.self_attn.q_proj.bias`, `layers.0.self_attn.k_proj.bias`, 1)
			os.WriteFile(filepath.Join(dir, "model.safetensors"), []byte(text), 0o666)
		}, format.KindShape, "has states of the shape"},
	} {
		dir := copyOf(t, c.from)
		c.change(dir)
		got, err := moments.Open(dir, mmapio.Mapped)
		if got != nil || format.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
}

// TestNoMoments refuses what has none.
func TestNoMoments(t *testing.T) {
	for name, says := range map[string]string{
		"sgd.pt": "no second moment that weld knows is in it: SGD and Muon keep a momentum alone (momentum_buffer)", "unstepped.pt": "0 steps: its second moment is of nothing",
	} {
		if c, err := moments.Open(filepath.Join("testdata", name), mmapio.Mapped); c != nil || err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, %v", name, c, err)
		}
	}
}

// TestNotes says what of an optimizer is not used.
func TestNotes(t *testing.T) {
	if notes := format.Notes(opened(t, "testdata/llama")); len(notes) != 0 {
		t.Errorf("notes %q", notes)
	}
	if notes := format.Notes(opened(t, "testdata/muon.pt")); len(notes) != 1 || !strings.Contains(notes[0], "1 of 2 parameters have no second moment, such as a: SGD and Muon keep a momentum alone (momentum_buffer); 1 have one, such as b") {
		t.Errorf("notes %q", notes)
	}
}

// TestDeepSpeed holds second moments of partitions to those that DeepSpeed's own ds_to_universal finds (deepspeed_golden.py).
func TestDeepSpeed(t *testing.T) {
	place := filepath.Join("..", "deepspeed", "testdata")
	for path, want := range map[string]string{
		"zero1": "zero1", "zero1_bf16": "zero1_bf16", "zero2": "zero2", "zero2_robin": "zero2_robin", "zero3": "zero3", "zero3/global_step3": "zero3",
		"universal2": "zero2", "universal3": "zero3", "universal2/global_step3_universal": "zero2",
	} {
		c := opened(t, filepath.Join(place, filepath.FromSlash(path)))
		golden, err := open.Checkpoint(filepath.Join(place, want+".moments.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		defer golden.Close()
		if len(c.Tensors()) != len(golden.Tensors())+1 { // head.weight, which is embed.weight
			t.Errorf("%s: %d tensors, want %d", path, len(c.Tensors()), len(golden.Tensors())+1)
		}
		for j, g := range golden.Tensors() {
			i, ok := c.Find(g.Name)
			if !ok || !slices.Equal(c.Tensors()[i].Shape, g.Shape) {
				t.Errorf("%s: %s: %v", path, g.Name, ok)
				continue
			}
			if k, ok := c.Find("head.weight"); g.Name == "embed.weight" && (!ok || !slices.Equal(floats(t, c, k, 1<<20), floats(t, golden, j, 1<<20))) {
				t.Errorf("%s: the tied parameter has other moments: %v", path, ok)
			}
			for _, piece := range []int64{1 << 20, 12} {
				if got, exact := floats(t, c, i, piece), floats(t, golden, j, 1<<20); !slices.Equal(got, exact) {
					t.Errorf("%s: %s: %v, want %v", path, g.Name, got, exact)
				}
			}
		}
		if notes := strings.Join(format.Notes(c), "; "); strings.Contains(notes, "not corrected") {
			t.Errorf("%s: notes %q", path, notes)
		}
	}
	if c, err := moments.Open(filepath.Join(place, "zero0"), mmapio.Mapped); c != nil || format.KindOf(err) != format.KindUnsupported || !strings.Contains(err.Error(), "a checkpoint without ZeRO") {
		t.Errorf("without ZeRO: %v, %v", c, err)
	}
}
