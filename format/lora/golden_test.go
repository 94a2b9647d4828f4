package lora

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weld/format"
	"weld/format/hub"
	"weld/format/open"
)

// golden opens an adapter of testdata applied to its base. Both were written by PEFT 0.21.2, and so
// was want: what its live model computes (.ci/interop/peft_golden.py).
func golden(t *testing.T, name string) (c, base, want format.Checkpoint) {
	t.Helper()
	opened := func(path ...string) format.Checkpoint {
		c, err := open.Checkpoint(filepath.Join(append([]string{"testdata"}, path...)...))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	want = opened("adapters", name, "want.safetensors")
	base = opened("models", format.Metadata(want)["base"])
	config, err := os.ReadFile(filepath.Join("testdata", "adapters", name, ConfigName))
	if err != nil {
		t.Fatal(err)
	}
	c, err = Apply(base, opened("adapters", name, "adapter_model.safetensors"), config)
	if err != nil {
		t.Fatal(err)
	}
	return c, base, want
}

// Adapters of every kind are, within 1e-6 at float32, what PEFT makes of them.
func TestGoldens(t *testing.T) {
	entries, err := os.ReadDir("testdata/adapters")
	if err != nil || len(entries) < 40 {
		t.Fatal(len(entries), err)
	}
	for _, entry := range entries {
		t.Run(entry.Name(), func(t *testing.T) {
			c, base, want := golden(t, entry.Name())
			changed := 0
			for _, tensor := range c.Tensors() {
				from := base
				if _, ok := want.Find(tensor.Name); ok {
					from = want
					changed++
				}
				of, right := numbers(t, from, tensor.Name)
				_, got := numbers(t, c, tensor.Name)
				compare(t, tensor.Name, got, right, of)
			}
			if changed != len(want.Tensors()) {
				t.Errorf("%d of %d changed tensors", changed, len(want.Tensors()))
			}
			for _, tensor := range base.Tensors() {
				if _, ok := c.Find(tensor.Name); !ok {
					t.Errorf("%s is gone", tensor.Name)
				}
			}
		})
	}
}

// compare holds values to others, relative to the largest.
func compare(t *testing.T, name string, got, want []float64, _ format.DType) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d elements, want %d", name, len(got), len(want))
		return
	}
	var diff, size float64
	for i := range want {
		diff, size = max(diff, math.Abs(got[i]-want[i])), max(size, math.Abs(want[i]))
	}
	if !(diff <= 1e-6*size) {
		t.Errorf("%s differs by %.2g of %.2g", name, diff, size)
	}
}

// A model that stays tied has one tensor; one that does not has two, and its configuration says so, as a note does.
func TestTied(t *testing.T) {
	for name, c := range map[string]struct {
		tied bool
		note string
	}{
		"tokens-tied":                  {true, ""},
		"tokens-alone-tied":            {true, "change together"},
		"tied-saved-embedding":         {false, "the adapter changes model.embed_tokens.weight and not lm_head.weight"},
		"tied-saved-head":              {false, "the adapter changes lm_head.weight and not model.embed_tokens.weight"},
		"tied-saved-both":              {false, "model.embed_tokens.weight and lm_head.weight, each by itself"},
		"tied-saved-embedding-ensured": {true, "change together, and the model stays tied"},
		"tied-saved-head-ensured":      {true, "change together, and the model stays tied"},
		"tied-saved-both-ensured":      {true, "change together, and the model stays tied"},
		"tied-lora-embedding":          {false, "lm_head.weight is written as one of its own, and tie_word_embeddings is false"},
		"tied-lora-head":               {false, "lm_head.weight is written as one of its own"},
		"tied-lora-both":               {false, "lm_head.weight is written as one of its own"},
		"tied-lora-embedding-ensured":  {true, "change together"},
		"tied-lora-head-ensured":       {true, "change together"},
		"tied-lora-both-ensured":       {true, "change together"},
		"tied-dora-embedding-ensured":  {false, "each by itself"},
		"tied-tokens-two":              {false, "each by itself"},
		"tied-tokens-head":             {false, "lm_head.weight and not"},
	} {
		got, _, _ := golden(t, name)
		_, head := got.Find("lm_head.weight")
		config, err := format.Beside(got).Read(hub.ConfigName, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		var said struct {
			Tied bool `json:"tie_word_embeddings"`
		}
		if err := json.Unmarshal(config, &said); err != nil || said.Tied != c.tied || head == c.tied {
			t.Errorf("%s: head %v, tie_word_embeddings %v %v, want %v", name, head, said.Tied, err, c.tied)
		}
		notes := strings.Join(format.Notes(got), "\n")
		if c.note == "" && notes != "" || !strings.Contains(notes, c.note) {
			t.Errorf("%s: notes %q, want %q", name, notes, c.note)
		}
	}
}

// A replicated model's configuration counts its layers.
func TestReplicatedConfig(t *testing.T) {
	c, _, _ := golden(t, "replication")
	config, err := format.Beside(c).Read(hub.ConfigName, 1<<20)
	if err != nil || !strings.Contains(string(config), `"num_hidden_layers": 4`) {
		t.Errorf("%s %v", config, err)
	}
	if notes := strings.Join(format.Notes(c), "\n"); !strings.Contains(notes, "the model has 4 layers, made of the 3 of") {
		t.Errorf("notes %q", notes)
	}
	info, err := format.Beside(c).Stat(hub.ConfigName)
	if err != nil || info.Size() != int64(len(config)) {
		t.Errorf("%v %v, want %d bytes", info, err, len(config))
	}
	if _, err := format.Beside(c).Stat("gone"); err == nil {
		t.Error("a file that is not there has a size")
	}
}
