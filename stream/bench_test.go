package stream

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"weld/format"
)

// benchTensors is the shape of a small language model in bfloat16, 67 MB.
func benchTensors() []format.Tensor {
	list := []format.Tensor{describe("embed", format.BF16, 8192, 1024)}
	for i := range 4 {
		list = append(list,
			describe(fmt.Sprintf("layers.%d.attn", i), format.BF16, 3072, 1024),
			describe(fmt.Sprintf("layers.%d.mlp", i), format.BF16, 3072, 1024),
			describe(fmt.Sprintf("layers.%d.norm", i), format.BF16, 1024))
	}
	return list
}

// benchPlace puts a base, two models and their importance, all in bfloat16, where
// files live in memory, if there is such a place.
func benchPlace(b *testing.B) savedFamily {
	b.Helper()
	if _, err := os.Stat("/dev/shm"); err == nil {
		b.Setenv("TMPDIR", "/dev/shm")
	}
	dir := b.TempDir()
	p := savedFamily{dir: dir, base: filepath.Join(dir, "base")}
	fill := func(path string, seed uint64, importance bool) string {
		var c checkpoint
		for _, x := range benchTensors() {
			base, own := random(0, x.Name), random(seed, x.Name)
			values := make([]float32, x.Elements())
			for i := range values {
				values[i] = base.Float32() - 0.5
				if seed > 0 && i%4 > 0 {
					values[i] += (own.Float32() - 0.5) / 16
				}
				if importance {
					values[i] = max(values[i], -values[i])
				}
			}
			t := tensor{x, make([]byte, x.Bytes())}
			format.Encode(format.BF16, t.data, values)
			c = append(c, t)
		}
		return c.save(b, path)
	}
	fill(filepath.Join(p.base, "model.safetensors"), 0, false)
	for m := range uint64(2) {
		p.models = append(p.models, fill(p.out(fmt.Sprintf("m%d.safetensors", m)), 1+m, false))
		p.importance = append(p.importance, fill(p.out(fmt.Sprintf("g%d.safetensors", m)), 10+m, true))
	}
	return p
}

// BenchmarkMerge runs whole merges of a base and two models of 67 MB each. A second's
// bytes are those that the last pass reads and writes; weld bench says how fast they could be
// moved.
func BenchmarkMerge(b *testing.B) {
	p := benchPlace(b)
	three := p
	three.models = append([]string{filepath.Join(p.base, "model.safetensors")}, p.models...)
	for _, c := range []struct {
		name string
		p    savedFamily
		q    request
	}{
		{"linear", three, ask("linear")},
		{"task_arithmetic", p, ask("task_arithmetic")},
		{"sta", p, ask("sta")},
		{"sta-magnitude", p, ask("sta", "score=magnitude")},
		{"passthrough", p, ask("passthrough")},
	} {
		for _, threads := range threadCounts() {
			b.Run(fmt.Sprintf("%s/threads=%d", c.name, threads), func(b *testing.B) {
				b.ReportAllocs()
				out := p.out("x.safetensors")
				for b.Loop() {
					plan := c.p.plan(b, c.q, out, Options{Threads: threads, Force: true})
					report, err := plan.Merge(context.Background())
					if err != nil {
						b.Fatal(err)
					}
					b.SetBytes(plan.Costs.ReadBytes + report.Written)
					plan.Close()
				}
			})
		}
	}
}

func threadCounts() []int {
	if n := runtime.GOMAXPROCS(0); n > 1 {
		return []int{1, n}
	}
	return []int{1}
}
