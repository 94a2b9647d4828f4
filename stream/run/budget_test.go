package run

import (
	"testing"

	"weld/format"
	"weld/mmapio"
	"weld/stream/fuse"
)

// listed is a checkpoint that lists tensors and lends nothing.
type listed []format.Tensor

func (l listed) Path() string                                { return "listed" }
func (l listed) Tensors() []format.Tensor                    { return l }
func (l listed) Find(string) (int, bool)                     { return 0, false }
func (l listed) View(int, int64, int64) (mmapio.View, error) { return mmapio.View{}, nil }
func (l listed) Files() []format.InputFile                   { return nil }
func (l listed) Close() error                                { return nil }

// Len implements [Tensors].
func (l listed) Len() int { return len(l) }

// Job implements [Tensors].
func (l listed) Job(i int) (int, bool) { return i, true }

// Describe implements [Tensors]: a base and two models.
func (l listed) Describe(i int, t *Tensor) {
	at := Stored{From: l, Index: i}
	*t = Tensor{DType: l[i].DType, Elements: l[i].Elements(), RowLen: l[i].RowLen(), Bytes: l[i].Bytes(), Base: at, Models: []Stored{at, at}, Importance: []Stored{{}, {}}}
}

// constant is a method with stages of which nothing but the cost is known.
type constant struct{ fuse.Method }

func (constant) Cost() fuse.Cost {
	return fuse.Cost{Scratch: 1 << 20, Job: func(int) int64 { return 1 << 10 }}
}

// With the least memory the span of the most demanding tensor is one tile, and one
// tensor takes many of them.
func TestLeastMemoryMeansSingleTiles(t *testing.T) {
	l := listed{
		{Name: "wide", DType: format.F64, Shape: []int64{40, 8192}}, {Name: "rows", DType: format.F32, Shape: []int64{300, 1000}},
		{Name: "few", DType: format.BF16, Shape: []int64{7}}, {Name: "none", DType: format.F32, Shape: []int64{0, 5}}, {Name: "long", DType: format.BF16, Shape: []int64{2, 100_000}},
	}
	for _, workers := range []int{1, 3} {
		demand := Demand{Tensors: l, Cost: constant{}.Cost(), Inputs: []format.Checkpoint{l, l, l}}
		var b Budget
		for memory := int64(1 << 20); b.Workers < workers; memory += 1 << 10 {
			b, _ = Divide(demand, memory, workers, CacheKeep)
		}
		largest, single, many := int64(0), false, false
		for i := range l {
			w := &walk{Runner: New(Config{Tensors: l, Method: constant{}, Budget: b, Sinks: 1}), chain: func(int) []fuse.Stage { return []fuse.Stage{new(countingStage)} }, sinks: []Sink{nil}}
			task := w.Open(i)
			if task == nil {
				continue
			}
			if cost := tileElements(task.tiling) * task.of.elementBytes(allReads, 1); cost > largest {
				largest, single = cost, task.per == 1
			}
			many = many || task.tiling.Count() > 2*task.per
		}
		if !single || !many {
			t.Errorf("%d workers: the largest tile has a span to itself: %v, tensors of many spans: %v", workers, single, many)
		}
	}
}

// Memory for several of the most demanding tensors at once comes after a span of one tile for each worker, and as many are in
// progress as workers can use.
func TestTogether(t *testing.T) {
	const span, job = 1 << 20, 16 << 20
	for _, c := range []struct {
		workers    int
		free, want int64
	}{
		{1, 200 << 20, 1}, {2, 200 << 20, 2}, {7, 200 << 20, 2}, {8, 200 << 20, 3}, {64, 1 << 30, 10},
		{64, 96 << 20, 2}, {64, 95 << 20, 1}, {64, 64 << 20, 0}, {64, 1 << 20, 0}, {2, 33 << 20, 1}, {2, 34 << 20, 2},
	} {
		got := together(c.workers, job, span, c.free)
		if got != c.want*job {
			t.Errorf("%d workers with %d MiB: %d MiB, want %d tensors", c.workers, c.free>>20, got>>20, c.want)
		}
		if got > 0 && c.free-got < int64(c.workers)*span {
			t.Errorf("%d workers with %d MiB are left without spans", c.workers, c.free>>20)
		}
	}
	if got := together(64, 0, span, 1<<30); got != 0 {
		t.Errorf("%d bytes for tensors that take nothing", got)
	}
}

// The page cache is dropped where a run would fill more than half of what is free, or where it is told to.
func TestDrops(t *testing.T) {
	available, ok := mmapio.AvailableMemory()
	for _, c := range []struct {
		cache Cache
		bytes int64
		want  bool
	}{
		{CacheAuto, 1 << 10, false}, {CacheAuto, 2 * available, ok}, {CacheKeep, 1 << 60, false}, {CacheDrop, 0, true},
	} {
		if got := c.cache.Drops(c.bytes); got != c.want {
			t.Errorf("%s drops for %d bytes: %v", Caches[c.cache], c.bytes, got)
		}
	}
	for bytes, want := range map[int64]bool{50: false, 51: true} {
		if got := CacheAuto.drops(bytes, 100, true); got != want {
			t.Errorf("%d bytes of 100: %v", bytes, got)
		}
	}
	if CacheAuto.drops(51, 0, false) {
		t.Error("drops, though nobody says how much there is")
	}
}
