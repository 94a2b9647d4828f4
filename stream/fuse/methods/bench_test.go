package methods

import (
	"math/rand/v2"
	"testing"

	"weld/format"
	"weld/scoring"
	"weld/stream/fuse"
	"weld/stream/fuse/fusetest"
	"weld/stream/fuse/selective"
)

// benchInputs is one tensor of 64 tiles with two models, small enough for the
// second-level cache of most machines: what is measured is the kernels.
func benchInputs(dtype format.DType) *fusetest.Merge {
	const n = 64 * fuse.TileElements
	r := rand.New(rand.NewPCG(1, 1))
	random := func(scale float64) fuse.Operand {
		x := make([]float64, n)
		for i := range x {
			x[i] = scale * r.NormFloat64()
		}
		return fusetest.Pack(dtype, x)
	}
	in := &fusetest.Merge{Base: fusetest.Weights{random(1)}}
	job := fuse.Job{Name: "w", Shape: []int64{64, fuse.TileElements}, DType: dtype, Tiling: fuse.NewTiling(n, fuse.TileElements)}
	for range 2 {
		in.Models = append(in.Models, fusetest.Weights{random(1)})
		in.Importance = append(in.Importance, fusetest.Weights{random(1e-4)})
		job.Models = append(job.Models, fuse.Contribution{Importance: true})
	}
	in.Jobs = []fuse.Job{job}
	return in
}

// BenchmarkStages measures each stage of a merge over one span in memory; bytes are
// those that the stage reads and writes. A copy of the same number of bytes stands
// beside them.
func BenchmarkStages(b *testing.B) {
	in := benchInputs(format.BF16)
	models := []selective.TaskVector{{Weight: 1, Density: 0.2}, {Weight: 0.5, Density: 0.2}}
	sta := func(change func(*selective.Options)) selective.Options {
		o := selective.Options{Lambda: 1, Models: models}
		change(&o)
		return o
	}
	for _, bench := range []struct {
		name   string
		method func() fuse.Method
		pass   int // −1: the last
	}{
		{"linear", func() fuse.Method {
			return merging("linear", sums{weights: []float64{1, 1}, normalize: true}.in(in.Jobs), fuse.StopNonfinite)
		}, -1},
		{"task_arithmetic", func() fuse.Method {
			return merging("task_arithmetic", sums{weights: []float64{1, 1}, lambda: 1}.in(in.Jobs), fuse.StopNonfinite)
		}, -1},
		{"sta/statistics", func() fuse.Method { return sta(func(*selective.Options) {}).Method(in.Jobs) }, 0},
		{"sta/histogram", func() fuse.Method { return sta(func(*selective.Options) {}).Method(in.Jobs) }, 1},
		{"sta/fine", func() fuse.Method { return sta(func(*selective.Options) {}).Method(in.Jobs) }, 2},
		{"sta/fuse", func() fuse.Method { return sta(func(*selective.Options) {}).Method(in.Jobs) }, -1},
		{"sta/fuse/ties", func() fuse.Method { return sta(func(o *selective.Options) { o.Consensus = true }).Method(in.Jobs) }, -1},
		{"sta/fuse/importance", func() fuse.Method {
			return sta(func(o *selective.Options) { o.Combine = selective.ByImportance; o.Score = scoring.Fisher }).Method(in.Jobs)
		}, -1},
	} {
		b.Run(bench.name, func(b *testing.B) {
			m := bench.method()
			var scratch fuse.Scratch
			var stage fuse.Stage
			for pass := 0; ; pass++ {
				p := m.Next()
				if p == nil {
					stage = m.Fuse(0)[0]
					break
				}
				if stage = p.Chain(0)[0]; pass == bench.pass {
					break
				}
				if err := stage.Span(&scratch, in.Span(0, stage.Reads(), 0, in.Jobs[0].Tiling.Count(), nil)); err != nil {
					b.Fatal(err)
				}
				stage.End()
				if p.End != nil {
					p.End()
				}
			}
			var out []byte
			if bench.pass < 0 {
				out = make([]byte, len(in.Base[0].Data))
			}
			sp := in.Span(0, stage.Reads(), 0, in.Jobs[0].Tiling.Count(), out)
			bytes := len(sp.Base.Data) + len(out)
			for i := range sp.Models {
				bytes += len(sp.Models[i].Data) + len(sp.Importance[i].Data)
			}
			b.SetBytes(int64(bytes))
			b.ReportAllocs()
			for b.Loop() {
				if err := stage.Span(&scratch, sp); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(in.Jobs[0].Tiling.Elements()), "ns/element")
		})
	}
	b.Run("copy", func(b *testing.B) {
		src, dst := in.Base[0].Data, make([]byte, len(in.Base[0].Data))
		b.SetBytes(int64(2 * len(src)))
		for b.Loop() {
			copy(dst, src)
		}
	})
}
