package stream

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weld/stream/run"
)

// requests are merges over two models that take every way through the engine.
var requests = map[string]request{
	"sta":             ask("sta"),
	"sta tensor":      ask("sta", "scope=tensor", "normalize_scores=l2"),
	"sta rows":        ask("sta", "granularity=row", "density=0.4"),
	"sta tensor rows": ask("sta", "granularity=row", "scope=tensor"),
	"sta consensus":   ask("sta", "consensus=ties", "density=0.7", "combine=mean"),
	"sta l1":          ask("sta", "rescale=l1", "score=delta"),
	"sta contrast":    ask("sta", "contrast=true", "combine=importance"),
	"sta threshold":   ask("sta", "threshold=0.9", "rescale=density"),
	"linear":          ask("linear", "weights=0.7,0.3", "dtype=bfloat16"),
	"task arithmetic": ask("task_arithmetic", "weights=0.5,-0.25"),
	"ties":            ask("ties", "density=0.4"),
	"breadcrumbs":     ask("breadcrumbs", "density=0.4", "gamma=0.1"),
	"sce":             ask("sce", "select_topk=0.5"),
	"della":           ask("della", "density=0.4"),
	"passthrough":     ask("passthrough"),
	"scaled":          ask("passthrough", "scale=0.5", "dtype=float32"),
}

// leastMemory is the smallest budget that gives every thread a span.
func leastMemory(t *testing.T, p savedFamily, q request, out string, o Options) int64 {
	t.Helper()
	plan := p.plan(t, q, out, o)
	defer plan.Close()
	enough := func(memory int64) bool {
		o := plan.Options
		o.Memory = memory
		budget, err := divide(plan.Plan, plan.NewMethod(o.tableBytes()), 1, o)
		return err == nil && budget.Workers == o.Threads
	}
	low, high := int64(0), int64(run.DefaultMemory)
	if !enough(high) {
		t.Fatalf("%d threads do not fit the default memory", o.Threads)
	}
	for high-low > 1<<10 {
		if mid := (low + high) / 2; enough(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	return high
}

// Neither threads, nor memory, nor the container changes a byte.
func TestSameBytes(t *testing.T) {
	p := newFamily(2, mixed()...).save(t)
	one := Options{Threads: 1, ShardSize: 80 << 10}
	turn := 0
	for name, q := range requests {
		t.Run(name, func(t *testing.T) {
			want := map[string]map[string]string{}
			for _, out := range outputs {
				path := filepath.Join(t.TempDir(), out)
				p.must(t, q, path, one)
				want[out] = tree(t, path)
			}
			if len(want["dir"]) < 4 {
				t.Errorf("files %v", slices.Sorted(maps.Keys(want["dir"])))
			}
			if want["one.safetensors"]["."] != want["one.safetensors.zst"]["."] {
				t.Error("decompressed it is not what is written uncompressed")
			}
			sameTensors(t, want["dir"], want["one.safetensors"]["."])
			for i, o := range []Options{ // Memory is what lies beyond the least
				{Threads: 1}, {Threads: 2}, {Threads: 3}, {Threads: 3, Memory: 2 << 20}, {Threads: 8}, {Threads: 8, Memory: 6 << 20},
			} {
				out := outputs[(turn+i)%len(outputs)]
				path := filepath.Join(t.TempDir(), out)
				beyond := o.Memory
				o.Memory, o.ShardSize = 0, one.ShardSize
				o.Memory = beyond + leastMemory(t, p, q, path, o)
				p.must(t, q, path, o)
				if !maps.Equal(tree(t, path), want[out]) {
					t.Errorf("%s with %d threads and %d bytes is not what one thread wrote", out, o.Threads, o.Memory)
				}
			}
			turn++
		})
	}
}

// sameTensors demands that the shards of a directory hold what a single file does.
func sameTensors(t *testing.T, dir map[string]string, file string) {
	t.Helper()
	single, _ := load(t, []byte(file))
	found := 0
	for name, data := range dir {
		if !strings.HasSuffix(name, ".safetensors") {
			continue
		}
		shard, _ := load(t, []byte(data))
		for _, x := range shard {
			found++
			other := single.find(x.Name)
			if other == nil || other.DType != x.DType || !slices.Equal(other.Shape, x.Shape) || string(other.data) != string(x.data) {
				t.Errorf("tensor %s differs between containers", x.Name)
			}
		}
	}
	if found != len(single) {
		t.Errorf("%d tensors in shards, %d in one file", found, len(single))
	}
}

// A compressed output of many frames is written through a window of a few.
func TestSameBytesOverManyFrames(t *testing.T) {
	p := long().first(6).save(t)
	for _, c := range []struct {
		q       request
		threads []int
	}{
		{ask("task_arithmetic"), []int{1, 2, 8}},
		{ask("sta", "scope=tensor", "score=magnitude"), []int{3}},
	} {
		want := p.out("one.safetensors")
		p.must(t, c.q, want, Options{Threads: 1, Force: true})
		for _, threads := range c.threads {
			out := p.out("one.safetensors.zst")
			o := Options{Threads: threads, Force: true}
			if threads != 8 {
				o.Memory = leastMemory(t, p, c.q, out, o)
			}
			p.must(t, c.q, out, o)
			if tree(t, out)["."] != tree(t, want)["."] {
				t.Errorf("%s with %d threads differs", c.q.method, threads)
			}
		}
	}
}

// Copied tensors are the base's bytes, whatever else the merge does; passthrough
// copies everything.
func TestCopiedTensors(t *testing.T) {
	f := newFamily(2, mixed()...)
	f.models[0].find("ids").data = make([]byte, 300*8) // the base's count
	p := f.save(t)
	for name, q := range requests {
		out := filepath.Join(t.TempDir(), "x.safetensors")
		report := p.must(t, q, out, Options{})
		got, _ := load(t, read(t, out))
		source := f.base
		if q.method == "linear" || q.method == "passthrough" {
			source = f.models[0]
		}
		for _, x := range source {
			if x.DType.Computable() && name != "passthrough" {
				continue
			}
			y := got.find(x.Name)
			if y == nil || y.DType != x.DType || !slices.Equal(y.Shape, x.Shape) || string(y.data) != string(x.data) {
				t.Errorf("%s: %s is not copied", name, x.Name)
			}
		}
		if report.Fused+report.Copied != len(source) || len(got) != len(source) {
			t.Errorf("%s: %d fused, %d copied, %d written of %d", name, report.Fused, report.Copied, len(got), len(source))
		}
	}
}
