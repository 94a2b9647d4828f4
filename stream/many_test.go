package stream_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"testing"

	"weld/stream"
	"weld/stream/bench"
)

// many makes checkpoints of n small tensors.
func many(t testing.TB, n int) *bench.Many {
	m := bench.NewMany(t.TempDir(), n)
	if err := m.Make(t.Context()); err != nil {
		t.Fatal(err)
	}
	return m
}

// settle frees what nobody holds; what has a finalizer goes with the second collection, pools with the third.
func settle() {
	for range 3 {
		runtime.GC()
	}
}

// manyRecipe merges the models by a method, on top of the base if it is named.
func manyRecipe(m *bench.Many, method string, based bool) string {
	text := "merge_method: " + method + "\n"
	if based {
		text += fmt.Sprintf("base_model: %q\nparameters: {density: 0.5}\n", m.Base)
	}
	return text + fmt.Sprintf("models: [{model: %q}, {model: %q}]\n", m.Models[0], m.Models[1])
}

func planMany(t testing.TB, m *bench.Many, method string, based bool) *stream.Prepared {
	r, err := stream.Schema().Parse(method, []byte(manyRecipe(m, method, based)))
	if err != nil {
		t.Fatal(err)
	}
	p, err := stream.Prepare(r, filepath.Join(t.TempDir(), "out"), stream.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A plan holds less than 300 bytes for each tensor, headers and names of three inputs included, and what is allocated
// on the way to it, and by the run, grows with the tensors.
func TestManyTensors(t *testing.T) {
	type figures struct{ held, stated, planned, run int64 }
	measure := func(n int, method string, based bool) (f figures) {
		m := many(t, n)
		var before, opened, planned, after runtime.MemStats
		settle()
		runtime.ReadMemStats(&before)
		p := planMany(t, m, method, based)
		defer p.Close()
		runtime.ReadMemStats(&opened)
		settle()
		runtime.ReadMemStats(&planned)
		f.stated = p.Budget.Held
		if _, err := p.Merge(t.Context()); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		f.held = int64(planned.HeapAlloc) - int64(before.HeapAlloc)
		f.planned = int64(opened.TotalAlloc) - int64(before.TotalAlloc)
		f.run = int64(after.TotalAlloc) - int64(planned.TotalAlloc)
		return f
	}
	const small, large = 2_000, 20_000
	for _, c := range []struct {
		method string
		based  bool
	}{{"linear", false}, {"ties", true}} {
		few, lots := measure(small, c.method, c.based), measure(large, c.method, c.based)
		each := func(few, lots int64) int64 { return (lots - few) / (large - small) }
		if n, stated := each(few.held, lots.held), each(few.stated, lots.stated); n > stated || stated > 300 {
			t.Errorf("%s: a plan holds %d bytes for each tensor, and says %d", c.method, n, stated)
		}
		if n := each(few.planned, lots.planned); n > 1_500 {
			t.Errorf("%s: a plan allocates %d bytes for each tensor", c.method, n)
		}
		if n := each(few.run, lots.run); n > 4_000 {
			t.Errorf("%s: a run allocates %d bytes for each tensor", c.method, n)
		}
	}
}

// A diff holds of each tensor that differs less than it says, and what it allocates grows with the tensors.
func TestDiffOfManyTensors(t *testing.T) {
	measure := func(n int) (held, allocated int64) {
		m := many(t, n)
		var before, compared, after runtime.MemStats
		settle()
		runtime.ReadMemStats(&before)
		d, err := stream.CompareCheckpoints(t.Context(), m.Models[0], m.Models[1], stream.Options{})
		if err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&compared)
		settle()
		runtime.ReadMemStats(&after)
		if len(d.Tensors) != n {
			t.Fatalf("%d of %d tensors differ", len(d.Tensors), n)
		}
		return int64(after.HeapAlloc) - int64(before.HeapAlloc), int64(compared.TotalAlloc) - int64(before.TotalAlloc)
	}
	const small, large = 2_000, 20_000
	held, allocated := measure(small)
	heldMore, allocatedMore := measure(large)
	if n := (heldMore - held) / (large - small); n > 250 {
		t.Errorf("a diff holds %d bytes for each tensor", n)
	}
	if n := (allocatedMore - allocated) / (large - small); n > 1_100 {
		t.Errorf("a diff allocates %d bytes for each tensor", n)
	}
}
