package run

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"

	"weld/format"
	"weld/mmapio"
	"weld/stream/fuse"
)

// cachedInputs are tensors whose pages a made-up system caches: what is announced or viewed and not there is read.
type cachedInputs struct {
	listed
	mu     sync.Mutex
	pages  [][][]bool // of each checkpoint and tensor
	read   int64      // pages
	cached int64      // pages
	most   int64      // that were cached at once
}

// cachePage is what is cached at once: as much as lies in a tile.
const cachePage = 16 << 10

// one of several checkpoints of the same tensors.
type oneCached struct {
	*cachedInputs
	number int
}

func newCachedInputs(bytes ...int64) *cachedInputs {
	c := &cachedInputs{pages: make([][][]bool, 3)}
	for i, n := range bytes {
		c.listed = append(c.listed, format.Tensor{Name: fmt.Sprint(i), DType: format.BF16, Shape: []int64{n / 2}})
		for k := range c.pages {
			c.pages[k] = append(c.pages[k], make([]bool, (n+cachePage-1)/cachePage))
		}
	}
	return c
}

func (c *cachedInputs) Describe(i int, t *Tensor) {
	at := func(k int) Stored { return Stored{From: oneCached{c, k}, Index: i} }
	x := c.listed[i]
	*t = Tensor{DType: x.DType, Elements: x.Elements(), RowLen: x.RowLen(), Bytes: x.Bytes(), Base: at(0), Models: []Stored{at(1), at(2)}, Importance: []Stored{{}, {}}}
}

// touch reads what is not there, or drops what is.
func (c *cachedInputs) touch(k, i int, off, n int64, there bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := off / cachePage; p < (off+n+cachePage-1)/cachePage; p++ {
		was := c.pages[k][i][p]
		c.pages[k][i][p] = there
		switch {
		case there && !was:
			c.read++
			c.cached++
			c.most = max(c.most, c.cached)
		case !there && was:
			c.cached--
		}
	}
}

var nothing = make([]byte, mmapio.MaxView)

func (c oneCached) View(i int, off, n int64) (mmapio.View, error) {
	c.touch(c.number, i, off, n, true)
	return mmapio.View{Data: nothing[:n]}, nil
}

func (c oneCached) Advise(a mmapio.Advice, i int, off, n int64) {
	c.touch(c.number, i, off, n, a == mmapio.Soon)
}

// nowhere is a sink.
type nowhere struct{}

func (nowhere) WriteAt(int, int64, []byte) error                    { return nil }
func (nowhere) CopyAt(int, int64, *mmapio.File, int64, int64) error { return nil }
func (nowhere) Abort(error)                                         {}

// looking is a method of so many measuring passes whose last pass has chains of so many stages, all of which look at everything.
type looking struct {
	fuse.Method
	passes, stages int
}

type lookingStage struct{}

func (lookingStage) Reads() fuse.Reads                    { return fuse.Reads{Base: true, Models: true} }
func (lookingStage) Span(*fuse.Scratch, *fuse.Span) error { return nil }
func (lookingStage) End() error                           { return nil }

func chainOf(n int) func(int) []fuse.Stage {
	return func(int) (chain []fuse.Stage) {
		for range n {
			chain = append(chain, lookingStage{})
		}
		return chain
	}
}

func (m *looking) Next() *fuse.Pass {
	if m.passes == 0 {
		return nil
	}
	m.passes--
	return &fuse.Pass{Name: "look", Reads: lookingStage{}.Reads(), Chain: chainOf(1)}
}

func (m *looking) Fuse(job int) []fuse.Stage { return chainOf(m.stages)(job) }
func (m *looking) Reads() fuse.Reads         { return lookingStage{}.Reads() }
func (m *looking) Results() []fuse.Result    { return nil }
func (m *looking) Expected() int             { return m.passes }
func (m *looking) Cost() fuse.Cost           { return fuse.Cost{Job: func(int) int64 { return 1 << 10 }} }

// Where a run does not fit into the page cache, it reads every byte once if its method looks at it once. Another look reads again what
// there was no room for, and no more. What is cached at any time is what was promised.
func TestInputsAreReadOnce(t *testing.T) {
	const mib = 1 << 20
	sizes := []int64{3 * mib, 40 * mib, 9000 * 2, 24 * mib, 70 * mib, 12345 * 2, 2 * mib}
	total := int64(0) // of one checkpoint
	for _, n := range sizes {
		total += n
	}
	for _, c := range []struct {
		workers            int // of several, one that waits for the other begins with a tensor that shares the room
		passes, stages     int
		ahead, views, room int64 // MiB
		again              int64 // MiB of all inputs that are read again at most, beside what a span more or less is
	}{
		{2, 0, 1, 64, 0, 0, 0},
		{2, 0, 2, 8, 0, 1000, 0},
		{2, 0, 2, 8, 1000, 0, 0},
		{1, 0, 3, 16, 100, 120, 0},
		{1, 0, 2, 8, 0, 0, 3 * 139},
		{1, 0, 2, 8, 30, 60, 30 + 3*70 - 90}, // two tensors are larger than the room
		{1, 0, 3, 8, 30, 60, 2 * (30 + 3*70 - 90)},
		{2, 1, 1, 8, 0, 0, 3 * 139},
		{2, 1, 1, 8, 0, 200, 3*139 - 200},
		{2, 2, 1, 8, 0, 200, 2 * (3*139 - 200)},
		{2, 1, 1, 8, 0, 1000, 0},
	} {
		name := fmt.Sprintf("%d workers, %d passes, %d stages, %d MiB ahead, room for %d and %d", c.workers, c.passes, c.stages, c.ahead, c.views, c.room)
		t.Run(name, func(t *testing.T) {
			in := newCachedInputs(sizes...)
			b := Budget{Workers: c.workers, Span: 6 * mib, Jobs: 1 << 20, Views: c.views * mib, Drop: true, Ahead: c.ahead * mib, Pages: c.room * mib}
			r := New(Config{Tensors: in, Method: &looking{passes: c.passes, stages: c.stages}, Budget: b, Sinks: 1})
			if err := r.Measure(context.Background()); err != nil {
				t.Fatal(err)
			}
			if _, err := r.Fuse(context.Background(), []Sink{nowhere{}}); err != nil {
				t.Fatal(err)
			}
			read, least := in.read*cachePage, 3*total
			slack := (c.again + 20) / 20 * mib // spans
			if c.again == 0 {
				slack = 3 * 7 * cachePage // tensors end within a page
			}
			if read < least || read > least+c.again*mib+slack {
				t.Errorf("%.1f MiB are read of %.1f, %.1f again; want %d", mibs(read), mibs(least), mibs(read-least), c.again)
			}
			const spans = 2 * 2 * 6 // of two workers, one begun and one that was left
			if most := in.most * cachePage; most > (c.ahead+c.views+min(c.room, 3*139)+spans+8)*mib {
				t.Errorf("%.1f MiB are cached at once", mibs(most))
			}
			if left := in.cached * cachePage; left > mib {
				t.Errorf("%.1f MiB stay in the cache", mibs(left))
			}
		})
	}
}

func mibs(n int64) float64 { return float64(n) / (1 << 20) }

// What is kept of the page cache fits into it, beside what is read ahead and written.
func TestDivideCache(t *testing.T) {
	const mib = 1 << 20
	for _, available := range []int64{0, 50, 100, 200, 300, 400, 800, 1500, 6000, 100_000} {
		for _, drop := range []bool{false, true} {
			b := Budget{Memory: 192 * mib, Views: 100 * mib, Drop: drop}
			b.divideCache(available*mib, true)
			if b.Ahead < aheadStep || b.Ahead > aheadBytes {
				t.Errorf("%d MiB: %d are read ahead", available, b.Ahead/mib)
			}
			if !drop {
				if b.Views != 100*mib || b.Pages != math.MaxInt64 {
					t.Errorf("%d MiB: views take %d MiB and %d are kept, though nothing is dropped", available, b.Views/mib, b.Pages/mib)
				}
				continue
			}
			if b.Views < 0 || b.Views > 100*mib || b.Pages < 0 || b.Views+b.Pages > 0 && 92*mib+b.Views+b.Pages+b.Ahead+2*mmapio.WriteBatch(available*mib, true) > available*mib {
				t.Errorf("%d MiB: %d are read ahead, views take %d, %d are kept", available, b.Ahead/mib, b.Views/mib, b.Pages/mib)
			}
			if available >= 800 && b.Pages < available*mib/2 {
				t.Errorf("%d MiB: no more than %d are kept", available, b.Pages/mib)
			}
		}
	}
	b := Budget{Memory: 192 * mib, Views: 100 * mib, Drop: true}
	if b.divideCache(0, false); b.Ahead != aheadBytes || b.Views != 100*mib || b.Pages != math.MaxInt64 {
		t.Errorf("nobody says how much there is: %+v", b)
	}
}

// made is a walk over tensors of which the second stage is under way, without workers.
func made(in *cachedInputs, b Budget) (*walk, *task) {
	w := &walk{Runner: New(Config{Tensors: in, Method: &looking{stages: 2}, Budget: b, Sinks: 1}), reads: lookingStage{}.Reads(), chain: chainOf(2), sinks: []Sink{nowhere{}}, final: true}
	w.ahead.walk = w
	w.pages.begin(w)
	t := w.Open(0)
	t.stage = 1
	return w, t
}

// What a worker that comes late would have announced may be done by then.
func TestNothingIsAnnouncedTwice(t *testing.T) {
	in := newCachedInputs(16 << 20)
	w, task := made(in, Budget{Span: 6 << 20, Drop: true, Ahead: 16 << 20})
	n := task.tiling.Count()
	late, last := item{task, 0, n / 2}, item{task, n / 2, n}
	w.ahead.begins(last, last.elements())
	w.pages.left(last, last.elements(), false)
	w.ahead.begins(late, late.elements())
	if in.cached > 0 {
		t.Errorf("%d pages are announced that are done", in.cached)
	}
}

// What the memory of the run holds of a tensor takes no room in the page cache beside it.
func TestHeldViewsTakeNoRoom(t *testing.T) {
	in := newCachedInputs(16 << 20)
	w, task := made(in, Budget{Span: 6 << 20, Drop: true, Ahead: 8 << 20, Pages: 100 << 20})
	task.stage = 0
	it := item{task, 0, task.tiling.Count() / 2}
	for range 2 { // a second stage finds it there
		if w.pages.left(it, it.elements(), false); w.pages.room != 76<<20 {
			t.Errorf("%d MiB of 100 are left beside 24", w.pages.room>>20)
		}
	}
	if w.pages.left(it, it.elements(), true); w.pages.room != 100<<20 {
		t.Errorf("%d MiB of 100 are left when it is held", w.pages.room>>20)
	}
	w.pages.left(it, it.elements(), false)
	if w.Closed(task); w.pages.room != 100<<20 {
		t.Errorf("%d MiB of 100 are left at the end", w.pages.room>>20)
	}
}

// A tensor that is passed over keeps what is left of it for the next walk.
func TestSkippedKeepsWhatIsBeforeTheCut(t *testing.T) {
	in := newCachedInputs(16 << 20)
	w, task := made(in, Budget{Span: 6 << 20, Drop: true, Ahead: 8 << 20})
	n := task.of.tiling().Elements()
	task.of.advise(mmapio.Soon, allReads, 0, n)
	whole := in.cached
	w.pages.cut = place{element: n / 2}
	if w.pages.skipped(task); in.cached != whole/2 {
		t.Errorf("%d pages of %d stay", in.cached, whole)
	}
}
