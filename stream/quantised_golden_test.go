package stream

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// quantisedGolden goes to the models and recipes of .ci/interop/quant_merges_golden.py.
func quantisedGolden(t *testing.T) (out string) {
	t.Helper()
	out = t.TempDir()
	t.Chdir("testdata/quantised")
	return out
}

// holdCase holds an output to the values of a case: to the bit, or by the part of a tensor's typical magnitude that is tolerated.
func holdCase(t *testing.T, out, name string, tolerance float64) {
	t.Helper()
	got, want := readAll(t, out), readAll(t, "cases/"+name+".safetensors")
	if len(got) != len(want) || len(want) == 0 {
		t.Errorf("%s: %d tensors, not %d", name, len(got), len(want))
	}
	for tensor, w := range want {
		g := got[tensor]
		if len(g) != len(w) {
			t.Fatalf("%s: %s has %d elements, not %d", name, tensor, len(g), len(w))
		}
		var squares float64
		for i := range w {
			squares += w[i] * w[i]
		}
		most := tolerance * math.Sqrt(squares/float64(len(w)))
		for i := range w {
			if !(math.Abs(g[i]-w[i]) <= most) {
				t.Fatalf("%s: %s, element %d: %v, not %v", name, tensor, i, g[i], w[i])
			}
		}
	}
}

// Merges of models that are stored in several schemes, by importance that is stored as numbers and as codes, are those of numpy to the bit; adapters
// on such models are PEFT's.
func TestMergesOfQuantisedModels(t *testing.T) {
	dir := quantisedGolden(t)
	recipes, err := filepath.Glob("cases/*.yml")
	if err != nil || len(recipes) != 5 {
		t.Fatalf("%d recipes (%v)", len(recipes), err)
	}
	for _, path := range recipes {
		name := strings.TrimSuffix(filepath.Base(path), ".yml")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		p, err := planText(string(text), filepath.Join(dir, name+".safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Merge(context.Background()); err != nil {
			t.Fatal(err)
		}
		p.Close()
		tolerance := 0.0
		if strings.HasPrefix(name, "adapter") {
			tolerance = 1e-6
		}
		holdCase(t, filepath.Join(dir, name+".safetensors"), name, tolerance)
	}
}

// The variants of a sweep over quantised models are those of numpy to the bit.
func TestSweepOfQuantisedModels(t *testing.T) {
	dir := quantisedGolden(t)
	text := string(read(t, "sweep.yml"))
	var variants []Variant
	for _, weight := range []string{"0.3", "-0.5"} {
		r, err := Schema().Parse("sweep.yml", []byte(strings.Replace(text, "WEIGHT", weight, 1)))
		if err != nil {
			t.Fatal(err)
		}
		variants = append(variants, Variant{r, filepath.Join(dir, weight+".safetensors")})
	}
	s, err := NewSweep(variants, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Merge(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, weight := range []string{"0.3", "-0.5"} {
		holdCase(t, filepath.Join(dir, weight+".safetensors"), "sweep"+weight, 0)
	}
}
