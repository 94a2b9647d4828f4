package run

import (
	"math"
	"sync"

	"weld/mmapio"
	"weld/stream/fuse"
)

// Cache says what becomes of the pages that a merge leaves in the system's page cache.
type Cache uint8

const (
	// CacheAuto drops them if they would take more than half of what memory is available,
	// and thereby push out what other programs have there.
	CacheAuto Cache = iota
	// CacheKeep leaves them to the system.
	CacheKeep
	// CacheDrop drops them.
	CacheDrop
)

// Caches are the names of the choices.
var Caches = []string{CacheAuto: "auto", CacheKeep: "keep", CacheDrop: "drop"}

// Drops decides about the page cache for a run that reads and writes so many bytes.
func (c Cache) Drops(bytes int64) bool {
	available, ok := mmapio.AvailableMemory()
	return c.drops(bytes, available, ok)
}

func (c Cache) drops(bytes, available int64, known bool) bool {
	if c != CacheAuto {
		return c == CacheDrop
	}
	return known && bytes > available/2
}

// divideCache divides the page cache that a run has beside its memory: what is read ahead must stay until it is used, and so must what a
// later stage or walk is to find there. What the views of the budget show are pages of it, too, so there may be less room for them.
func (b *Budget) divideCache(available int64, known bool) {
	b.Ahead, b.Pages = aheadBytes, math.MaxInt64
	if !known {
		return
	}
	free := available - (b.Memory - b.Views)
	b.Ahead = max(aheadStep, min(aheadBytes, free/8))
	if !b.Drop {
		return
	}
	written := 3 * mmapio.WriteBatch(available, known) // one is filled, one begun, one waited for
	room := max(0, free-b.Ahead-written)
	b.Views = min(b.Views, room)
	b.Pages = room - b.Views
}

// pageCache decides, where a run does not fit into the page cache, which pages of the inputs stay there for a later stage or walk and which
// leave it when they have been used. Left to itself, the system keeps what was read last, and a walk from the beginning finds nothing of it.
type pageCache struct {
	walk *walk
	cut  place // a walk before the last leaves what is before it for the next one

	mu   sync.Mutex
	room int64 // bytes for later stages
}

// place is an element of a walk.
type place struct {
	tensor  int
	element int64
}

// begin prepares a walk.
func (p *pageCache) begin(w *walk) {
	p.walk, p.room = w, w.config.Budget.Pages
	if w.config.Budget.Drop && !w.final {
		p.cut, p.room = w.firstBytes(p.room), 0
	}
}

// firstBytes is the place before which the tensors that are computed with have so many bytes of operands.
func (w *walk) firstBytes(n int64) place {
	all := w.config.Tensors
	var t Tensor
	for i := range all.Len() {
		if all.Describe(i, &t); t.copied() {
			continue
		}
		bytes := t.ReadBytes(allReads)
		if bytes > n {
			return place{i, int64(float64(n) / float64(bytes) * float64(t.tiling().Elements()))}
		}
		n -= bytes
	}
	return place{tensor: all.Len()}
}

// left says that a stage is done with an item; held, that its views stay in the memory of the run until the next stage.
func (p *pageCache) left(it item, at elements, held bool) {
	if !p.walk.config.Budget.Drop || it.tiling.IsSparse() || p.stays(it.task, at) {
		return
	}
	if it.stage == it.steps()-1 {
		it.of.advise(mmapio.Done, allReads, at.lo, at.hi)
		return
	}
	if held {
		p.release(it.task, at)
		return
	}
	reads := it.stages[it.stage].Reads()
	if !p.reserve(it.task, reads, at) {
		it.of.advise(mmapio.Done, reads, at.lo, at.hi)
	}
}

// skipped says that the last stage of a task had nothing to do.
func (p *pageCache) skipped(t *task) {
	at := elements{0, t.of.tiling().Elements()}
	switch {
	case !p.walk.config.Budget.Drop || p.stays(t, at):
		return
	case t.tensor == p.cut.tensor:
		at.lo = p.cut.element
	}
	t.of.advise(mmapio.Done, allReads, at.lo, at.hi)
}

// stays reports whether elements are left for the next walk.
func (p *pageCache) stays(t *task, at elements) bool {
	return t.tensor < p.cut.tensor || t.tensor == p.cut.tensor && at.hi <= p.cut.element
}

// reserve has elements of the operands that are read stay for the later stages of a task, if there is room for them.
func (p *pageCache) reserve(t *task, reads fuse.Reads, at elements) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	had := t.pages[at]
	reads = had.Or(reads)
	n := (at.hi - at.lo) * (t.of.operandBytes(reads) - t.of.operandBytes(had))
	if n > p.room {
		return false
	}
	p.room -= n
	if t.pages == nil {
		t.pages = make(map[elements]fuse.Reads)
	}
	t.pages[at] = reads
	return true
}

// release gives back what was taken for elements.
func (p *pageCache) release(t *task, at elements) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.room += (at.hi - at.lo) * t.of.operandBytes(t.pages[at])
	delete(t.pages, at)
}

// closed gives back what was taken for a task.
func (p *pageCache) closed(t *task) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for at, reads := range t.pages {
		p.room += (at.hi - at.lo) * t.of.operandBytes(reads)
	}
	t.pages = nil
}
