package stream

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"weld/format"
	"weld/format/open"
	"weld/mmapio"
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
func benchPlace(b *testing.B) place {
	b.Helper()
	if _, err := os.Stat("/dev/shm"); err == nil {
		b.Setenv("TMPDIR", "/dev/shm")
	}
	dir := b.TempDir()
	p := place{dir: dir, base: filepath.Join(dir, "base")}
	fill := func(path string, seed uint64) string {
		var c checkpoint
		for _, x := range benchTensors() {
			base, own := random(0, x.Name), random(seed, x.Name)
			values := make([]float32, x.Elements())
			for i := range values {
				values[i] = base.Float32() - 0.5
				if seed > 0 && i%4 > 0 {
					values[i] += (own.Float32() - 0.5) / 16
				}
			}
			t := tensor{x, make([]byte, x.Bytes())}
			format.Encode(format.BF16, t.data, values)
			c = append(c, t)
		}
		return c.save(b, path)
	}
	fill(filepath.Join(p.base, "model.safetensors"), 0)
	for m := range uint64(2) {
		p.models = append(p.models, fill(p.out(fmt.Sprintf("m%d.safetensors", m)), 1+m))
		p.importance = append(p.importance, fill(p.out(fmt.Sprintf("g%d.safetensors", m)), 10+m))
	}
	return p
}

// BenchmarkMerge runs whole merges of a base and two models of 67 MB each. A second's
// bytes are those that the last pass reads and writes; [BenchmarkCopyFloor] says how
// fast they could be moved.
func BenchmarkMerge(b *testing.B) {
	p := benchPlace(b)
	three := p
	three.models = append([]string{filepath.Join(p.base, "model.safetensors")}, p.models...)
	for _, c := range []struct {
		name string
		p    place
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
					b.SetBytes(plan.ReadBytes() + report.Written)
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

// BenchmarkCopyFloor moves the bytes of a merge and computes nothing: every input is
// read once through views, in spans, and as much is written as the output has.
func BenchmarkCopyFloor(b *testing.B) {
	p := benchPlace(b)
	base := filepath.Join(p.base, "model.safetensors")
	for name, inputs := range map[string][]string{
		"models=3":              {base, p.models[0], p.models[1]},
		"models=3,importance=2": {base, p.models[0], p.models[1], p.importance[0], p.importance[1]},
	} {
		for _, threads := range threadCounts() {
			b.Run(fmt.Sprintf("%s/threads=%d", name, threads), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					n, err := copyFloor(inputs, p.out("floor"), threads)
					if err != nil {
						b.Fatal(err)
					}
					b.SetBytes(n)
				}
			})
		}
	}
}

// copyFloor reads checkpoints of the same tensors side by side, and writes the first.
func copyFloor(inputs []string, out string, threads int) (moved int64, err error) {
	var sources []format.Checkpoint
	for _, path := range inputs {
		c, err := open.Checkpoint(path)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		sources = append(sources, c)
	}
	stage, err := mmapio.NewStage(mmapio.OS, out, mmapio.SingleFile)
	if err != nil {
		return 0, err
	}
	defer stage.Discard()
	type piece struct {
		tensor     int
		off, n, at int64
	}
	var pieces []piece
	var size int64
	for i, t := range sources[0].Tensors() {
		for off := int64(0); off < t.Bytes(); off += 1 << 20 {
			n := min(t.Bytes()-off, 1<<20)
			pieces = append(pieces, piece{i, off, n, size})
			size += n
		}
	}
	file, err := stage.Create(filepath.Base(out), size)
	if err != nil {
		return 0, err
	}
	var next atomic.Int64
	var sum sync.Map // keeps what was read from being optimised away
	var group errgroup.Group
	for worker := range threads {
		group.Go(func() error {
			var seen uint64
			for {
				at := int(next.Add(1)) - 1
				if at >= len(pieces) {
					sum.Store(worker, seen)
					return nil
				}
				w := pieces[at]
				for k, c := range sources {
					v, err := c.View(w.tensor, w.off, w.n)
					if err != nil {
						return err
					}
					err = mmapio.Guard([]mmapio.View{v}, func() error {
						for i := 0; i < len(v.Data); i += 64 { // a cache line
							seen += uint64(v.Data[i])
						}
						if k > 0 {
							return nil
						}
						_, err := file.WriteAt(v.Data, w.at)
						return err
					})
					v.Release()
					if err != nil {
						return err
					}
				}
			}
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	return size * int64(len(sources)+1), stage.Commit(true, nil)
}
