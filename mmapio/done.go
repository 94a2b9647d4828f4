package mmapio

import (
	"slices"
	"sync"
)

// dones collects the ranges of a file that nobody will want again, until there is enough of them in one piece to be dropped
// from the page cache: a call for each small tensor would cost more than it brings. The system drops whole pages and whole
// folios only, so what lies at the edge of a range is told again with the range beside it.
type dones struct {
	mu     sync.Mutex
	ranges []doneRange // apart from each other
}

// doneRange is done, [lo, hi); what was not told yet of it lies in [from, to), and is so much.
type doneRange struct{ lo, hi, from, to, fresh int64 }

const (
	dropBytes  = 1 << 20 // are dropped at once
	dropEdge   = 2 << 20 // of the largest folio
	mostRanges = 64      // that are remembered
)

// add takes a range that is done. It returns one that should be dropped now; of length 0 for none.
func (d *dones) add(off, n int64) (drop fileRange) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := doneRange{off, off + n, off, off + n, n}
	apart := d.ranges[:0]
	for _, o := range d.ranges {
		if o.hi < r.lo || r.hi < o.lo {
			apart = append(apart, o)
		} else {
			r = r.with(o)
		}
	}
	d.ranges = apart
	if r.fresh >= dropBytes {
		drop = r.tell()
	}
	d.ranges = append(d.ranges, r)
	if len(d.ranges) > mostRanges {
		if oldest := &d.ranges[0]; drop.n == 0 && oldest.fresh > 0 {
			drop = oldest.tell()
		}
		d.ranges = slices.Delete(d.ranges, 0, 1)
	}
	return drop
}

// with joins two ranges that touch.
func (r doneRange) with(o doneRange) doneRange {
	r.lo, r.hi = min(r.lo, o.lo), max(r.hi, o.hi)
	if o.fresh > 0 {
		r.from, r.to, r.fresh = min(r.from, o.from), max(r.to, o.to), r.fresh+o.fresh
	}
	return r
}

// tell is what to drop so that all of the range is.
func (r *doneRange) tell() fileRange {
	lo, hi := max(r.lo, r.from-dropEdge), min(r.hi, r.to+dropEdge)
	r.fresh = 0
	return fileRange{lo, hi - lo}
}

// wanted forgets of a range that it is done.
func (d *dones) wanted(off, n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := 0; i < len(d.ranges); i++ {
		r := d.ranges[i]
		if r.hi <= off || off+n <= r.lo {
			continue
		}
		d.ranges = slices.Delete(d.ranges, i, i+1)
		for _, part := range []doneRange{r.cut(r.lo, off), r.cut(off+n, r.hi)} {
			if part.lo < part.hi {
				d.ranges = slices.Insert(d.ranges, i, part)
				i++
			}
		}
		i--
	}
}

// cut is the part of a range that lies in [lo, hi).
func (r doneRange) cut(lo, hi int64) doneRange {
	c := doneRange{lo: max(r.lo, lo), hi: min(r.hi, hi)}
	c.from, c.to = max(c.lo, r.from), min(c.hi, r.to)
	c.fresh = max(0, min(r.fresh, c.to-c.from))
	return c
}
