package packs

import (
	"bytes"
	"path/filepath"
	"runtime"
	"testing"

	"weld/stream/bench"
)

// What patch, pack and apply allocate on the way grows with the tensors, and patch and pack hold no more than they say,
// headers and index included.
func TestManyTensors(t *testing.T) {
	type figures struct{ patch, apply, pack, patchHolds, packHolds int64 }
	allocated := func(run func() error) int64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := run(); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return int64(after.TotalAlloc - before.TotalAlloc)
	}
	measure := func(n int) (f figures) {
		dir := t.TempDir()
		m := bench.NewMany(dir, n)
		if err := m.Make(t.Context()); err != nil {
			t.Fatal(err)
		}
		a, b := m.Models[0], m.Models[1]
		place := filepath.Join(dir, "ab.weldpatch")
		f.patch = allocated(func() error { _, err := Patch(t.Context(), a, b, place, options(nil, nil)); return err })
		f.apply = allocated(func() error {
			_, err := Apply(t.Context(), a, []string{place}, filepath.Join(dir, "applied"), options(nil, nil))
			return err
		})
		f.pack = allocated(func() error {
			_, err := Pack(t.Context(), a, filepath.Join(dir, "a.weld"), options(nil, nil))
			return err
		})
		f.patchHolds = heldAtEnd(t, func(o Options) error { _, err := Patch(t.Context(), a, b, Stream, o); return err })
		f.packHolds = heldAtEnd(t, func(o Options) error { _, err := Pack(t.Context(), a, Stream, o); return err })
		return f
	}
	const small, large = 2_000, 20_000
	few, lots := measure(small), measure(large)
	for _, c := range []struct {
		what            string
		few, lots, most int64
	}{
		{"patch allocates", few.patch, lots.patch, 3000},
		{"apply allocates", few.apply, lots.apply, 4000},
		{"pack allocates", few.pack, lots.pack, 2000},
		{"patch holds", few.patchHolds, lots.patchHolds, 2 * patchTensor},
		{"pack holds", few.packHolds, lots.packHolds, packTensor},
	} {
		n := (c.lots - c.few) / (large - small)
		if n > c.most {
			t.Errorf("%s %d bytes for each tensor, more than %d", c.what, n, c.most)
		}
	}
}

// heldAtEnd is what a command holds when it writes its last bytes to a pipe.
func heldAtEnd(t *testing.T, run func(Options) error) (held int64) {
	settle := func() int64 {
		for range 3 { // what has a finalizer goes with the second collection, pools with the third
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := settle()
	o := options(nil, nil)
	o.Out = lastWrite(func() { held = settle() - before })
	if err := run(o); err != nil {
		t.Fatal(err)
	}
	return held
}

// lastWrite is called at the end of a pack.
type lastWrite func()

func (w lastWrite) Write(p []byte) (int, error) {
	if bytes.HasPrefix(p, []byte("END ")) {
		w()
	}
	return len(p), nil
}
