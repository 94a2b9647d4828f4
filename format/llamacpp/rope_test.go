package llamacpp

import (
	"encoding/json"
	"slices"
	"testing"

	"weld/format"
)

// Rotations are stretched as llama.cpp takes the file to say, by whichever of its keys.
func TestScalings(t *testing.T) {
	for _, c := range []struct {
		keys map[string]any
		want string
	}{
		{map[string]any{}, "null"},
		{map[string]any{"llama.rope.scaling.factor": 2.0}, `{"factor":2,"rope_type":"linear"}`},
		{map[string]any{"llama.rope.scale_linear": 4.0}, `{"factor":4,"rope_type":"linear"}`},
		{map[string]any{"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 1.0}, "null"},
		{map[string]any{"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 3.0}, `{"factor":3,"rope_type":"linear"}`},
		{map[string]any{"llama.rope.scaling.type": "none", "llama.rope.scaling.factor": 2.0}, "null"},
	} {
		file := edited(t, "llama", c.keys)
		h, err := ToHub(file, file)
		if err != nil {
			t.Errorf("%v: %v", c.keys, err)
			continue
		}
		files, err := h.FilesBeside(format.BF16)
		if err != nil {
			t.Fatal(err)
		}
		var config map[string]any
		if err := json.Unmarshal(files[0].Content, &config); err != nil {
			t.Fatal(err)
		}
		if got, _ := json.Marshal(config["rope_scaling"]); string(got) != c.want {
			t.Errorf("%v: rope_scaling is %s, want %s", c.keys, got, c.want)
		}
	}
}

// Divisors are Llama 3's if they are so to the last bits.
func TestAlike(t *testing.T) {
	table := llama3{factor: 8, original: 8192, low: lowFrequency, high: highFrequency}.divisors(500000, 64)
	near, far := slices.Clone(table), slices.Clone(table)
	for i := range table {
		near[i] *= 1 + 1e-6
	}
	far[20] *= 1 + 1e-4
	if !alike(near, table) || alike(far, table) {
		t.Errorf("in the last bits: %v, beyond: %v", alike(near, table), alike(far, table))
	}
}
