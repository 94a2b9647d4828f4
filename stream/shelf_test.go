package stream

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"weld/format"
	"weld/mmapio"
)

// lender counts what comes back.
type lender struct{ back int }

func (l *lender) TakeBack([]byte, int64) { l.back++ }

func (l *lender) lend(n int) []mmapio.View {
	return []mmapio.View{mmapio.Lend(make([]byte, n), l, 0), {}, mmapio.Lend(make([]byte, n), l, 0)}
}

func TestShelfKeepsWhatItHasRoomFor(t *testing.T) {
	var l lender
	s := shelf{overhead: 10, free: 1000}
	if !s.put(1, elements{0, 5}, l.lend(200)) || !s.put(1, elements{5, 9}, l.lend(200)) || s.free != 180 {
		t.Fatalf("two spans of 410 bytes leave %d of 1000", s.free)
	}
	if s.put(2, elements{0, 5}, l.lend(100)) {
		t.Error("a third of 210 was taken")
	}
	if s.take(1, elements{0, 9}) != nil || s.take(2, elements{0, 5}) != nil {
		t.Error("spans were found that nobody put there")
	}
	views := s.take(1, elements{0, 5})
	if len(views) != 3 || len(views[0].Data) != 200 || views[1].Data != nil || s.free != 590 {
		t.Fatalf("%d views came back, and %d bytes are free", len(views), s.free)
	}
	if s.take(1, elements{0, 5}) != nil {
		t.Error("a span came back twice")
	}
	if s.clear(1); s.free != 1000 || l.back != 2 {
		t.Errorf("%d bytes are free and %d views were released at the end of a tensor", s.free, l.back)
	}
	s.put(7, elements{0, 1}, l.lend(1))
	s.put(8, elements{0, 1}, l.lend(1))
	if s.close(); s.free != 1000 || l.back != 6 {
		t.Errorf("%d bytes are free and %d views were released at the end", s.free, l.back)
	}
}

// lending counts what a checkpoint lends.
type lending struct {
	format.Checkpoint
	count *lent
}

// lent is what was lent by all inputs of a plan.
type lent struct {
	mu              sync.Mutex
	views, out      int
	bytes, greatest int64
}

func (l lending) View(i int, off, n int64) (mmapio.View, error) {
	v, err := l.Checkpoint.View(i, off, n)
	if err != nil || v.Data == nil {
		return v, err
	}
	c := l.count
	c.mu.Lock()
	defer c.mu.Unlock()
	c.views, c.out, c.bytes = c.views+1, c.out+1, c.bytes+n
	c.greatest = max(c.greatest, c.bytes)
	return mmapio.Lend(v.Data, returning{v, c}, 0), nil
}

// returning is a view that is counted when it comes back.
type returning struct {
	mmapio.View
	count *lent
}

func (r returning) TakeBack(data []byte, _ int64) {
	r.count.mu.Lock()
	r.count.out, r.count.bytes = r.count.out-1, r.count.bytes-int64(len(data))
	r.count.mu.Unlock()
	r.View.Release()
}

// Where there is memory, an input is lent once for all stages of a tensor; where there is little, anew for each.
// Neither takes more than was planned, and all comes back.
func TestInputsAreLentOncePerTensor(t *testing.T) {
	p := newFamily(2, describe("a", format.F32, 700, 1000), describe("b", format.F32, 500, 1000)).save(t)
	count := func(o Options) *lent {
		plan := p.plan(t, ask("ties", "density=0.5"), p.out(fmt.Sprint("out-", o.Memory)), o)
		defer plan.Close()
		if o.Memory == 0 && plan.Budget.Shelf < 12e6 {
			t.Fatalf("a shelf of %d bytes does not hold the inputs", plan.Budget.Shelf)
		}
		if b := plan.Budget; int64(b.Workers)*b.Span+b.Jobs+b.Shelf > b.Memory-runtimeMemory {
			t.Errorf("more is divided than there is: %+v", b)
		}
		c := new(lent)
		plan.base.Checkpoint = lending{plan.base.Checkpoint, c}
		for _, m := range plan.models {
			m.Checkpoint = lending{m.Checkpoint, c}
		}
		if _, err := plan.Merge(context.Background()); err != nil {
			t.Fatal(err)
		}
		if most := int64(plan.Budget.Workers)*plan.Budget.Span + plan.Budget.Shelf; c.out != 0 || c.greatest > most {
			t.Errorf("%d views did not come back; %d bytes were lent at once, planned were %d", c.out, c.greatest, most)
		}
		return c
	}
	ample := count(Options{Threads: 2})
	tight := count(Options{Threads: 2, Memory: leastMemory(t, p, ask("ties", "density=0.5"), p.out("x"), Options{Threads: 2}) + 3<<20})
	if ample.views == 0 || tight.views < 2*ample.views {
		t.Errorf("%d views with ample memory, %d with little", ample.views, tight.views)
	}
}
