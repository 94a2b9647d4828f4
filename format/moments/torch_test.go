package moments_test

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weld/format"
	"weld/format/moments"
	"weld/format/open"
	"weld/mmapio"
)

// TestOptimizersOfTorch holds second moments to those that every optimizer of torch.optim has in memory (moments_golden.py), to the bit but for
// Adafactor, whose mean torch sums in another order.
func TestOptimizersOfTorch(t *testing.T) {
	path := filepath.Join("testdata", "torch.pt")
	golden, err := open.Checkpoint(filepath.Join("testdata", "torch.want.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer golden.Close()
	want := make(map[string][]int) // of golden, by optimizers
	for i, g := range golden.Tensors() {
		kind, _, _ := strings.Cut(g.Name, "/")
		want[kind] = append(want[kind], i)
	}
	if len(want) != 7 {
		t.Fatalf("%d optimizers in the golden", len(want))
	}
	for kind, tensors := range want {
		c := opened(t, path+"#"+kind)
		if len(c.Tensors()) != len(tensors) || len(tensors) < 5 {
			t.Errorf("%s: %d tensors, want %d", kind, len(c.Tensors()), len(tensors))
		}
		tolerance := 0.0
		if kind == "adafactor" {
			tolerance = 1e-6
		}
		for _, j := range tensors {
			g := golden.Tensors()[j]
			i, ok := c.Find(strings.TrimPrefix(g.Name, kind+"/"))
			if !ok || !slices.Equal(c.Tensors()[i].Shape, g.Shape) {
				t.Errorf("%s: %v", g.Name, ok)
				continue
			}
			exact, got := floats(t, golden, j, 1<<20), floats(t, c, i, 12)
			for k, x := range exact {
				if math.Abs(float64(got[k]-x)) > tolerance*math.Abs(float64(x)) {
					t.Errorf("%s: element %d is %g, want %g", g.Name, k, got[k], x)
				}
			}
		}
		notes := format.Notes(c)
		if kind == "adagrad" && (len(notes) != 1 || !strings.Contains(notes[0], "1 parameters were never stepped, such as 3.bias")) || kind != "adagrad" && len(notes) != 0 {
			t.Errorf("%s: notes %q", kind, notes)
		}
	}
}

// TestNoneOfTorch refuses the optimizers of torch.optim that keep none, by what they keep instead.
func TestNoneOfTorch(t *testing.T) {
	for kind, says := range map[string]string{"adamax": "the greatest magnitudes (exp_inf)", "rprop": "signs and sizes of steps", "asgd": "means of weights", "muon": "SGD and Muon keep a momentum alone"} {
		c, err := moments.Open(filepath.Join("testdata", "torch.pt")+"#"+kind, mmapio.Mapped)
		if c != nil || format.KindOf(err) != format.KindUnsupported || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, %v", kind, c, err)
		}
	}
}
