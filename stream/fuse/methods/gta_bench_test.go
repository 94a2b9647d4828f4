package methods

import (
	"testing"

	"weld/format"
	"weld/stream/fuse"
)

// BenchmarkGTA measures all stages of a merge of two models.
func BenchmarkGTA(b *testing.B) {
	for _, c := range []struct {
		method  string
		rescale float64
	}{{"task_arithmetic", 0}, {"ties", 0}, {"ties", 1}, {"dare_linear", 1}, {"dare_ties", 1}, {"breadcrumbs", 0}, {"della", 1}} {
		name := c.method
		if c.method == "ties" && c.rescale == 1 {
			name += "-rescaled"
		}
		b.Run(name, func(b *testing.B) {
			in := benchInputs(format.BF16)
			own := Params{"weight": 0.5, "density": 0.5, "gamma": 0.01, "epsilon": 0.15}
			in.Jobs = trial{shared: Params{"lambda": 1, "normalize": 1, "rescale": c.rescale}, models: []Params{own, own}}.in(in.Jobs)
			out := make([]byte, len(in.Base[0].Data))
			var scratch fuse.Scratch
			b.ReportAllocs()
			for b.Loop() {
				stages := merging(c.method, in.Jobs, fuse.StopNonfinite).Fuse(0)
				for i, st := range stages {
					if o, ok := st.(fuse.Optional); ok && o.Skip() {
						continue
					}
					tiling := in.Jobs[0].Tiling
					if s, ok := st.(fuse.Sampling); ok {
						tiling = s.Tiling()
					}
					var dst []byte
					if i == len(stages)-1 {
						dst = out
					}
					if err := st.Span(&scratch, in.Cut(0, tiling, st.Reads(), 0, tiling.Count(), dst)); err != nil {
						b.Fatal(err)
					}
					if err := st.End(); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(in.Jobs[0].Tiling.Elements()), "ns/element")
		})
	}
}
