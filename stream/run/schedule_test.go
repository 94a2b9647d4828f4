package run

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weld/stream/fuse"
)

var errEnd = errors.New("the end fails")

// within fails if f does not return.
func within(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { f(); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("stuck")
	}
}

// countingStage counts the tiles that were handed out and the calls of End.
type countingStage struct {
	tiles, ends atomic.Int64
	fail        error
}

func (*countingStage) Reads() fuse.Reads                    { return fuse.Reads{} }
func (*countingStage) Span(*fuse.Scratch, *fuse.Span) error { return nil }

func (c *countingStage) End() error {
	c.ends.Add(1)
	return c.fail
}

// madeUp is one tensor of a made-up walk.
type madeUp struct {
	tiles  int64
	stages int // 0 for a copy, -1 for nothing to do
	cost   int64
}

// madeUpWalk is a scheduler over made-up tensors, and what it opened.
type madeUpWalk struct {
	*scheduler
	jobs   []madeUp
	stages [][]*countingStage
	opened []int
	asking atomic.Int64 // goroutines that are in Batch, Cost or Open
	fault  atomic.Value // what was not as [tasks] promises
}

func newWalk(jobs []madeUp, memory int64, ahead int, inOrder bool) *madeUpWalk {
	w := &madeUpWalk{jobs: jobs, stages: make([][]*countingStage, len(jobs))}
	w.scheduler = newScheduler(w, len(jobs), memory, ahead, inOrder)
	return w
}

// alone looks for a second goroutine that asks for the next tensor.
func (w *madeUpWalk) alone() func() {
	if w.asking.Add(1) != 1 {
		w.fault.Store("asked from two goroutines at once")
	}
	runtime.Gosched()
	return func() { w.asking.Add(-1) }
}

// Batch implements [tasks].
func (w *madeUpWalk) Batch(int) int {
	defer w.alone()()
	return 1
}

// Cost implements [tasks].
func (w *madeUpWalk) Cost(i int) int64 {
	defer w.alone()()
	return w.jobs[i].cost
}

// Open implements [tasks].
func (w *madeUpWalk) Open(i int) *task {
	defer w.alone()()
	w.opened = append(w.opened, i)
	j := w.jobs[i]
	if j.stages < 0 || j.tiles == 0 {
		return nil
	}
	t := &task{tensor: i}
	t.tiles = w.Enter(t, 0)
	for range j.stages {
		s := new(countingStage)
		t.stages, w.stages[i] = append(t.stages, s), append(w.stages[i], s)
	}
	return t
}

// Enter implements [tasks].
func (w *madeUpWalk) Enter(t *task, _ int) tiles {
	return tiles{fuse.NewTiling(w.jobs[t.tensor].tiles*fuse.TileElements, 1), 2}
}

func (*madeUpWalk) Skipped(*task) {}
func (*madeUpWalk) Closed(*task)  {}

// available takes all spans that can be had without waiting.
func (w *madeUpWalk) available() (items []item) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		if it, ok := w.ready(); ok {
			items = append(items, it)
		} else if !w.begin() {
			return items
		}
	}
}

// Nothing is asked of the walk or of a stage while the scheduler holds its mutex: not their making, not their end.
func TestScheduleCallsUnlocked(t *testing.T) {
	w := newWalk([]madeUp{{1, 2, 0}, {1, 0, 0}, {1, -1, 0}, {1, 3, 0}}, 0, 1, true)
	watched := &unlockedTasks{tasks: w, t: t, mu: &w.mu, calls: make(map[string]int)}
	w.tasks = watched
	for items := w.available(); len(items) > 0; items = w.available() {
		w.finishAll(t, items)
	}
	want := map[string]int{"Batch": 4, "Cost": 4, "Open": 4, "Enter": 1, "Skip": 2, "End": 3, "Skipped": 1, "Closed": 3}
	if !maps.Equal(watched.calls, want) {
		t.Errorf("called %v, want %v", watched.calls, want)
	}
}

// unlockedTasks looks at the scheduler's mutex.
type unlockedTasks struct {
	tasks
	t     *testing.T
	mu    *sync.Mutex
	calls map[string]int
}

func (u *unlockedTasks) look(call string) {
	u.calls[call]++
	if !u.mu.TryLock() {
		u.t.Error(call, "is called with the mutex held")
		return
	}
	u.mu.Unlock()
}

func (u *unlockedTasks) Batch(i int) int  { u.look("Batch"); return u.tasks.Batch(i) }
func (u *unlockedTasks) Cost(i int) int64 { u.look("Cost"); return u.tasks.Cost(i) }
func (u *unlockedTasks) Skipped(t *task)  { u.look("Skipped"); u.tasks.Skipped(t) }
func (u *unlockedTasks) Closed(t *task)   { u.look("Closed"); u.tasks.Closed(t) }

func (u *unlockedTasks) Enter(t *task, stage int) tiles {
	u.look("Enter")
	return u.tasks.Enter(t, stage)
}

// Open has the stages watched, too. Of a tensor with three, the two last are passed over.
func (u *unlockedTasks) Open(i int) *task {
	u.look("Open")
	t := u.tasks.Open(i)
	if t == nil {
		return nil
	}
	for k := range t.stages {
		t.stages[k] = unlockedStage{t.stages[k], u}
		if len(t.stages) == 3 && k > 0 {
			t.stages[k] = unlockedOptional{t.stages[k].(unlockedStage)}
		}
	}
	return t
}

// unlockedStage is a stage that is watched.
type unlockedStage struct {
	fuse.Stage
	by *unlockedTasks
}

func (s unlockedStage) End() error { s.by.look("End"); return s.Stage.End() }

// unlockedOptional has nothing to do.
type unlockedOptional struct{ unlockedStage }

func (s unlockedOptional) Skip() bool { s.by.look("Skip"); return true }

// text lists items as tensor.stage:first-last.
func text(items []item) (s string) {
	for _, sp := range items {
		s += fmt.Sprintf(" %d.%d:%d-%d", sp.tensor, sp.stage, sp.first, sp.last)
	}
	return s
}

func (w *madeUpWalk) want(t *testing.T, items []item, want string) {
	t.Helper()
	if got := text(items); got != want {
		t.Errorf("handed out%s, want%s", got, want)
	}
}

func (w *madeUpWalk) finishAll(t *testing.T, items []item) {
	t.Helper()
	for _, sp := range items {
		if err := w.done(sp); err != nil {
			t.Fatal(err)
		}
	}
}

// Copies and single stages go out in the order of the tensors, as many as may be begun.
func TestScheduleOrder(t *testing.T) {
	w := newWalk([]madeUp{{5, 0, 0}, {0, 1, 0}, {2, 1, 0}, {1, -1, 0}, {3, 1, 0}, {1, 0, 0}}, 0, 3, true)
	spans := w.available()
	w.want(t, spans, " 0.0:0-2 0.0:2-4 0.0:4-5 2.0:0-2 4.0:0-2 4.0:2-3")
	w.finishAll(t, spans[3:4]) // tensor 2
	w.want(t, w.available(), " 5.0:0-1")
	w.want(t, w.available(), "")
	if len(w.begun) != 3 || w.next != 6 {
		t.Errorf("%d begun, %d next", len(w.begun), w.next)
	}
}

// In order, a last stage waits for those before it; earlier stages do not.
func TestScheduleLastStagesInOrder(t *testing.T) {
	w := newWalk([]madeUp{{2, 2, 0}, {2, 2, 0}, {2, 1, 0}, {2, 0, 0}}, 0, 9, true)
	first := w.available()
	w.want(t, first, " 0.0:0-2 1.0:0-2")
	w.finishAll(t, first[1:]) // 1 is ready for its last stage, 0 is not
	w.want(t, w.available(), "")
	w.finishAll(t, first[:1])
	w.want(t, w.available(), " 0.1:0-2 1.1:0-2 2.0:0-2 3.0:0-2")

	// In a measuring pass nothing waits.
	w = newWalk([]madeUp{{2, 2, 0}, {2, 2, 0}, {2, 1, 0}}, 0, 9, false)
	first = w.available()
	w.want(t, first, " 0.0:0-2 1.0:0-2 2.0:0-2")
	w.finishAll(t, first[1:2])
	w.want(t, w.available(), " 1.1:0-2")
}

// A stage begins when every span of the one before is done, and End has run.
func TestScheduleStages(t *testing.T) {
	w := newWalk([]madeUp{{3, 3, 0}}, 0, 1, true)
	for stage := range 3 {
		spans := w.available()
		w.want(t, spans, fmt.Sprintf(" 0.%d:0-2 0.%d:2-3", stage, stage))
		w.finishAll(t, spans[1:])
		if n := w.stages[0][stage].ends.Load(); n != 0 {
			t.Errorf("stage %d ended early", stage)
		}
		w.want(t, w.available(), "")
		w.finishAll(t, spans[:1])
		if n := w.stages[0][stage].ends.Load(); n != 1 {
			t.Errorf("stage %d ended %d times", stage, n)
		}
	}
	if _, ok := w.take(context.Background()); ok {
		t.Error("more than all")
	}
}

// Memory limits what is begun, but never the first tensor.
func TestScheduleMemory(t *testing.T) {
	w := newWalk([]madeUp{{1, 1, 50}, {1, 1, 5}, {1, 1, 5}, {1, 1, 1}, {1, 1, 100}}, 10, 9, true)
	spans := w.available()
	w.want(t, spans, " 0.0:0-1")
	w.finishAll(t, spans)
	spans = w.available()
	w.want(t, spans, " 1.0:0-1 2.0:0-1")
	w.finishAll(t, spans[:1])
	more := w.available()
	w.want(t, more, " 3.0:0-1")
	w.finishAll(t, append(more, spans[1]))
	spans = w.available()
	w.want(t, spans, " 4.0:0-1")
	w.finishAll(t, spans)
	if w.used != 0 || len(w.begun) != 0 {
		t.Errorf("%d bytes in %d tensors are left", w.used, len(w.begun))
	}
}

// Where few tensors fit into memory at once, their spans are cut so that each has some for many workers, and all its stages alike: what
// one keeps for the next is found by its span.
func TestScheduleCutsSpans(t *testing.T) {
	w := newWalk([]madeUp{{12, 2, 10}, {12, 2, 1}, {3, 1, 10}}, 20, 24, false)
	spans := w.available() // the first takes half of the memory: two such tensors could have spans of one tile for 24 workers
	w.want(t, spans[:12], " 0.0:0-1 0.0:1-2 0.0:2-3 0.0:3-4 0.0:4-5 0.0:5-6 0.0:6-7 0.0:7-8 0.0:8-9 0.0:9-10 0.0:10-11 0.0:11-12")
	w.want(t, spans[12:], " 1.0:0-2 1.0:2-4 1.0:4-6 1.0:6-8 1.0:8-10 1.0:10-12") // of these there is room for many
	first := text(spans)
	w.finishAll(t, spans)
	next := w.available()
	w.want(t, next, strings.ReplaceAll(first, ".0:", ".1:"))
	w.finishAll(t, next)
	w.want(t, w.available(), " 2.0:0-1 2.0:1-2 2.0:2-3")
}

// An End that fails is the error of whoever ran it, and nothing goes on from there.
func TestScheduleEndFails(t *testing.T) {
	w := newWalk([]madeUp{{1, 2, 0}}, 0, 1, true)
	spans := w.available()
	w.stages[0][0].fail = errEnd
	if err := w.done(spans[0]); !errors.Is(err, errEnd) {
		t.Errorf("got %v", err)
	}
	w.want(t, w.available(), "")
}

// Whoever waits for a span leaves when the context ends.
func TestScheduleCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWalk([]madeUp{{1, 2, 0}}, 0, 1, true)
		w.available()
		ctx, cancel := context.WithCancel(context.Background())
		defer context.AfterFunc(ctx, w.wake)()
		var waiting sync.WaitGroup
		for range 4 {
			waiting.Go(func() {
				if _, ok := w.take(ctx); ok {
					t.Error("a span after the end")
				}
			})
		}
		synctest.Wait() // until all four wait for a span
		cancel()
		waiting.Wait()
	})
}

// Whatever the tensors, limits and interleaving: every tile of every stage is handed
// out once, stages come one after the other, each End runs once, limits hold, and
// nobody waits for ever.
func TestScheduleRandomly(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		jobs := make([]madeUp, r.IntN(30))
		var largest int64
		for i := range jobs {
			jobs[i] = madeUp{tiles: r.Int64N(8), stages: r.IntN(5) - 1, cost: r.Int64N(20)}
			largest = max(largest, jobs[i].cost)
		}
		memory, ahead, inOrder := r.Int64N(60), 1+r.IntN(9), r.IntN(2) == 0
		w := newWalk(jobs, memory, ahead, inOrder)
		var workers sync.WaitGroup
		for range 1 + r.IntN(12) {
			workers.Go(func() {
				for {
					sp, ok := w.take(context.Background())
					if !ok {
						return
					}
					w.mu.Lock()
					if w.used > max(memory, largest) || len(w.begun) > ahead {
						t.Errorf("seed %d: %d bytes, %d tensors begun", seed, w.used, len(w.begun))
					}
					w.mu.Unlock()
					if sp.stages != nil {
						w.stages[sp.tensor][sp.stage].tiles.Add(sp.last - sp.first)
						for later := sp.stage; later < len(sp.stages); later++ {
							if w.stages[sp.tensor][later].ends.Load() != 0 {
								t.Errorf("seed %d: stage %d of tensor %d ended while it worked", seed, later, sp.tensor)
							}
						}
					}
					for range sp.tensor % 3 {
						runtime.Gosched()
					}
					if err := w.done(sp); err != nil {
						t.Error(err)
					}
				}
			})
		}
		within(t, workers.Wait)
		if fault := w.fault.Load(); fault != nil {
			t.Errorf("seed %d: %v", seed, fault)
		}
		for i, j := range jobs {
			for k, s := range w.stages[i] {
				if s.tiles.Load() != j.tiles || s.ends.Load() != 1 {
					t.Errorf("seed %d: tensor %d, stage %d: %d of %d tiles, %d ends", seed, i, k, s.tiles.Load(), j.tiles, s.ends.Load())
				}
			}
		}
		if len(w.opened) != len(jobs) || w.used != 0 || len(w.begun) != 0 {
			t.Errorf("seed %d: %d of %d opened, %d bytes and %d tensors left", seed, len(w.opened), len(jobs), w.used, len(w.begun))
		}
		if t.Failed() {
			t.FailNow()
		}
	}
}

// Taken one at a time, last stages never go back to an earlier tensor, however late
// spans are done.
func TestScheduleOrderHolds(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 2))
		jobs := make([]madeUp, 1+r.IntN(12))
		for i := range jobs {
			jobs[i] = madeUp{tiles: 1 + r.Int64N(5), stages: r.IntN(4), cost: r.Int64N(10)}
		}
		w := newWalk(jobs, 30, 1+r.IntN(6), true)
		var held []item
		last, tile := -1, int64(0)
		for {
			spans := w.available()
			if len(spans) == 0 && len(held) == 0 {
				break
			}
			for _, sp := range spans {
				if sp.stage < sp.steps()-1 {
					continue
				}
				if sp.tensor < last || sp.tensor == last && sp.first != tile || sp.tensor > last && sp.first != 0 {
					t.Fatalf("seed %d: tensor %d from tile %d after tensor %d up to %d", seed, sp.tensor, sp.first, last, tile)
				}
				last, tile = sp.tensor, sp.last
			}
			held = append(held, spans...)
			r.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
			n := 1 + r.IntN(len(held))
			w.finishAll(t, held[:n])
			held = held[n:]
		}
		if last != len(jobs)-1 {
			t.Fatalf("seed %d: stopped at tensor %d of %d", seed, last, len(jobs))
		}
	}
}
