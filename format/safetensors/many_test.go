package safetensors

import (
	"fmt"
	"path/filepath"
	"runtime"
	"testing"

	"weld/format"
)

// spillMany makes a Hub directory of n tensors, of one byte each, in a few shards.
func spillMany(t testing.TB, n, shards int) string {
	files := make(map[string]string)
	index := &Index{}
	for s := range shards {
		var h Header
		name := fmt.Sprintf("model-%05d.safetensors", s)
		for i := s * n / shards; i < (s+1)*n/shards; i++ {
			at := int64(len(h.Tensors))
			x := format.Tensor{Name: fmt.Sprintf("model.layers.%d.mlp.experts.%d.down_proj.weight", i/256, i%256), DType: format.U8, Shape: []int64{1, 1}}
			h.Tensors = append(h.Tensors, Entry{x, at, at + 1})
			index.WeightMap = append(index.WeightMap, Weight{x.Name, name})
		}
		files[name] = string(h.AppendFile(nil)) + string(make([]byte, len(h.Tensors)))
	}
	files[IndexName] = string(index.Append(nil))
	return spill(t, files)
}

// What an open checkpoint holds grows with its tensors: their names, and less than a hundred bytes for each. What is
// allocated on the way there grows alike. (Under the race detector it is more, by chance: the name keeps it out.)
func TestManyTensors(t *testing.T) {
	const small, large = 2_000, 20_000
	const names = int64(len("model.layers.00.mlp.experts.000.down_proj.weight"))
	measure := func(n int) (held, allocated int64) {
		dir := spillMany(t, n, 4)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		open := 0
		c, err := openDir(dir, opener(&open))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		runtime.GC()
		runtime.ReadMemStats(&after)
		if i, ok := c.Find("model.layers.3.mlp.experts.77.down_proj.weight"); !ok || i != 3*256+77 || c.FileOf(i) != i/(n/4) || filepath.Base(c.Files()[c.FileOf(i)].Path) != fmt.Sprintf("model-%05d.safetensors", i/(n/4)) {
			t.Errorf("found at %d, %v", i, ok)
		}
		return int64(after.HeapAlloc) - int64(before.HeapAlloc), int64(after.TotalAlloc) - int64(before.TotalAlloc)
	}
	few, way := measure(small)
	many, longWay := measure(large)
	if each := (many - few) / (large - small); each > names+100 {
		t.Errorf("%d bytes for each tensor, whose name has %d", each, names)
	}
	if each := (longWay - way) / (large - small); each > 250 {
		t.Errorf("%d bytes are allocated for each tensor", each)
	}
}

func BenchmarkOpenMany(b *testing.B) {
	const n = 20_000
	dir := spillMany(b, n, 4)
	open := 0
	for b.Loop() {
		c, err := openDir(dir, opener(&open))
		if err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/tensor")
}
