package stream

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"weld/format"
	"weld/mmapio"
)

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
		if o.Memory == 0 && plan.Budget.Views < 12e6 {
			t.Fatalf("%d bytes for views do not hold the inputs", plan.Budget.Views)
		}
		if b := plan.Budget; int64(b.Workers)*b.Span+b.Jobs+b.Views > b.Memory-24<<20 {
			t.Errorf("more is divided than there is: %+v", b)
		}
		c := new(lent)
		plan.Base.Checkpoint = lending{plan.Base.Checkpoint, c}
		for _, m := range plan.Models {
			m.Checkpoint = lending{m.Checkpoint, c}
		}
		if _, err := plan.Merge(context.Background()); err != nil {
			t.Fatal(err)
		}
		if most := int64(plan.Budget.Workers)*plan.Budget.Span + plan.Budget.Views; c.out != 0 || c.greatest > most {
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
