package run

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weld/format"
	"weld/mmapio"
	"weld/stream/fuse"
)

// A walk by many workers through a large model, by a clock that only counts: what each item takes is made up from what items
// were measured to take on one core, and what is handed out when is the scheduler's and the walk's own doing.

// clockedStage takes time instead of doing something.
type clockedStage struct {
	*clock
	nanoseconds float64       // an element
	end         time.Duration // what its End takes, of whoever ends it
}

func (clockedStage) Reads() fuse.Reads                    { return allReads }
func (clockedStage) Span(*fuse.Scratch, *fuse.Span) error { return nil }

func (c clockedStage) End() error {
	c.spend(c.end)
	return nil
}

// sampledStage looks at blocks far apart.
type sampledStage struct {
	clockedStage
	tiling fuse.Tiling
}

func (s sampledStage) Tiling() fuse.Tiling { return s.tiling }

// clockedMethod says what a tensor's stages take, of time and of memory.
type clockedMethod struct {
	fuse.Method
	name    string
	models  int
	writes  bool
	scratch int64
	job     func(fuse.Tiling) int64
	stages  func(*clock, fuse.Tiling) []fuse.Stage
}

// Figures of the walks, as they were measured on one core of a Xeon with AVX-512 for two models of bfloat16: the nanoseconds
// that an element takes with everything around it, and bytes of memory.
var clockedMethods = []clockedMethod{
	{
		name: "linear", models: 2, writes: true, scratch: 1600 << 10,
		job:    func(fuse.Tiling) int64 { return 1 << 10 },
		stages: func(c *clock, _ fuse.Tiling) []fuse.Stage { return []fuse.Stage{clockedStage{c, 3.2, 0}} },
	},
	{
		name: "ties", models: 2, writes: true, scratch: 1600 << 10,
		job: func(t fuse.Tiling) int64 { return 2 * min(4*t.Elements()+40*t.Count(), 9<<20+40*t.Count()) },
		stages: func(c *clock, t fuse.Tiling) []fuse.Stage {
			if t.Elements() < 1<<20 {
				return []fuse.Stage{clockedStage{c, 5, 100 * time.Microsecond}, clockedStage{c, 4.9, 0}}
			}
			sample := sampledStage{clockedStage{c, 45, time.Millisecond}, t.Sparse(256, 256)}
			return []fuse.Stage{sample, clockedStage{c, 4.8, 1200 * time.Microsecond}, clockedStage{c, 4.9, 0}}
		},
	},
	{
		name: "sta, counting", models: 4, scratch: 1600 << 10,
		job:    func(t fuse.Tiling) int64 { return min(16<<20, 4*t.Elements()) },
		stages: func(c *clock, _ fuse.Tiling) []fuse.Stage { return []fuse.Stage{clockedStage{c, 6, time.Millisecond}} },
	},
	{
		name: "sta, fusing", models: 4, writes: true, scratch: 1600 << 10,
		job:    func(t fuse.Tiling) int64 { return min(16<<20, 4*t.Elements()) },
		stages: func(c *clock, _ fuse.Tiling) []fuse.Stage { return []fuse.Stage{clockedStage{c, 8, 0}} },
	},
}

// shapes are the tensors of a checkpoint, of which nothing but the shapes is known.
type shapes struct {
	listed
	models int
}

// Describe implements [Tensors].
func (s shapes) Describe(i int, t *Tensor) {
	s.listed.Describe(i, t)
	t.Models, t.Importance = nil, nil
	for range s.models {
		t.Models, t.Importance = append(t.Models, t.Base), append(t.Importance, Stored{})
	}
}

func (s *shapes) add(rows, columns int64) {
	s.listed = append(s.listed, format.Tensor{Name: fmt.Sprint(len(s.listed)), DType: format.BF16, Shape: []int64{rows, columns}})
}

// llama70B is the shapes of Llama 3 70B.
func llama70B(layers int) (s shapes) {
	const hidden, ffn, kv, vocabulary = 8192, 28672, 1024, 128256
	s.add(vocabulary, hidden)
	for range layers {
		s.add(1, hidden)
		for _, rows := range []int64{hidden, kv, kv, hidden} {
			s.add(rows, hidden)
		}
		s.add(1, hidden)
		s.add(ffn, hidden)
		s.add(ffn, hidden)
		s.add(hidden, ffn)
	}
	s.add(1, hidden)
	s.add(vocabulary, hidden)
	return s
}

// mixture is the shapes of DeepSeek-V2: 160 experts a layer.
func mixture(layers int) (s shapes) {
	const hidden, expert, experts, vocabulary = 5120, 1536, 160, 102400
	s.add(vocabulary, hidden)
	for range layers {
		s.add(1, hidden)
		s.add(1536, hidden)
		s.add(24576, 1536)
		s.add(576, hidden)
		s.add(32768, 512)
		s.add(hidden, 16384)
		s.add(1, hidden)
		s.add(experts, hidden)
		for range experts + 2 {
			s.add(expert, hidden)
			s.add(expert, hidden)
			s.add(hidden, expert)
		}
	}
	s.add(1, hidden)
	s.add(vocabulary, hidden)
	return s
}

// anySink takes what nobody writes.
type anySink struct{}

func (anySink) WriteAt(int, int64, []byte) error                    { return nil }
func (anySink) CopyAt(int, int64, *mmapio.File, int64, int64) error { return nil }
func (anySink) Abort(error)                                         {}

// Cost implements [fuse.Method].
func (m *clockedMethod) cost(s shapes) fuse.Cost {
	return fuse.Cost{Scratch: m.scratch, Job: func(i int) int64 { return m.job(fuse.NewTiling(s.listed[i].Elements(), s.listed[i].RowLen())) }}
}

// costed is a method of which the engine asks what it takes.
type costed struct {
	fuse.Method
	cost fuse.Cost
}

func (c costed) Cost() fuse.Cost { return c.cost }

// openingTime is what making a tensor's stages takes; others work meanwhile.
const openingTime = 20 * time.Microsecond

// itemOverhead is what an item takes whatever its size: mapping operands and letting go of them.
const itemOverhead = 12 * time.Microsecond

// clock is one walk by the counting clock.
type clock struct {
	busy atomic.Int64 // nanoseconds of all workers
}

// spend is work for a time.
func (c *clock) spend(d time.Duration) {
	c.busy.Add(int64(d))
	time.Sleep(d)
}

// work takes as long as an item does; up to a fifth more or less, as items differ.
func (c *clock) work(it item) {
	at, d := it.elements(), itemOverhead
	if it.batch > 0 {
		d *= time.Duration(it.batch)
	} else {
		stage, ok := it.stages[it.stage].(clockedStage)
		if !ok {
			stage = it.stages[it.stage].(sampledStage).clockedStage
		}
		d += time.Duration(float64(at.hi-at.lo) * stage.nanoseconds)
	}
	mixed := uint32(it.tensor)*0x9e3779b9 + uint32(it.first)*0x85ebca6b + uint32(it.stage)
	mixed = (mixed ^ mixed>>15) * 0x2c1b3c6d
	c.spend(d * time.Duration(800+(mixed>>8)%400) / 1000)
}

// utilisation is the share of all workers' time in which they work, and the items that they were given.
func utilisation(t *testing.T, m clockedMethod, s shapes, workers int, memory int64) (share float64, items int64) {
	s.models = m.models
	cost := m.cost(s)
	budget, err := Divide(Demand{Tensors: s, Cost: cost, Inputs: []format.Checkpoint{s, s, s}}, memory, workers, CacheKeep)
	if err != nil {
		t.Fatal(err)
	}
	if budget.Workers != workers {
		t.Logf("%d workers", budget.Workers)
	}
	w := &walk{Runner: New(Config{Tensors: s, Method: costed{cost: cost}, Budget: budget})}
	c := new(clock)
	w.chain = func(job int) []fuse.Stage {
		c.spend(openingTime)
		return m.stages(c, fuse.NewTiling(s.listed[job].Elements(), s.listed[job].RowLen()))
	}
	if m.writes {
		w.sinks = []Sink{anySink{}}
	}
	var count atomic.Int64
	schedule := newScheduler(w, s.Len(), budget.Jobs, 2*budget.Workers, m.writes)
	begin := time.Now()
	var group sync.WaitGroup
	for range budget.Workers {
		group.Go(func() {
			for {
				it, ok := schedule.take(context.Background())
				if !ok {
					return
				}
				count.Add(1)
				c.work(it)
				if err := schedule.done(it); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	return float64(c.busy.Load()) / float64(time.Since(begin)) / float64(budget.Workers), count.Load()
}

// However many the workers, they have work: of their time at least 97 of 100 parts, with memory for the tensors that have to be in
// progress at once. By default, 192 MiB, that is so for all but ties, whose search holds 18 MiB of a tensor.
func TestScaleUp(t *testing.T) {
	const workers, least = 64, 0.97
	layers, experts := 80, 6
	if testing.Short() {
		layers, experts = 12, 1
	}
	for _, c := range []struct {
		name   string
		shapes shapes
		memory int64
		least  map[string]float64 // of methods for which it is less
	}{
		{"70B", llama70B(layers), 512 << 20, nil},
		{"70B", llama70B(layers / 8), DefaultMemory, map[string]float64{"ties": 0.85}},
		{"160 experts", mixture(experts), 512 << 20, nil},
		{"160 experts", mixture(max(1, experts/4)), DefaultMemory, map[string]float64{"ties": 0.3}},
	} {
		for _, m := range clockedMethods {
			t.Run(fmt.Sprintf("%s/%d MiB/%s", c.name, c.memory>>20, m.name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					share, items := utilisation(t, m, c.shapes, workers, c.memory)
					t.Logf("%.1f%% of %d workers' time, %d items", 100*share, workers, items)
					want, ok := c.least[m.name]
					if !ok {
						want = least
					}
					if share < want {
						t.Errorf("%.1f%% of %d workers' time, want %.0f", 100*share, workers, 100*want)
					}
				})
			})
		}
	}
}
