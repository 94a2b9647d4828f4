package run

import (
	"sync"
	"sync/atomic"
)

// Progress is what a run reports about itself while it works. The zero value is ready;
// it may be watched from any goroutine.
type Progress struct {
	done atomic.Int64

	mu    sync.Mutex
	phase Phase
}

// Phase is one walk over the inputs.
type Phase struct {
	Name  string // what is done
	Index int    // 1 for the first
	Count int    // how many there will be, as far as is known
	Bytes int64  // to be read in this walk; fewer, where a tensor turns out to need less
}

// Now returns the walk under way and the bytes that it has read.
func (p *Progress) Now() (Phase, int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.phase, p.done.Load()
}

// Begin announces the next walk.
func (p *Progress) Begin(s Phase) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.phase = s
	p.done.Store(0)
}

// Advance says that so many more bytes were read.
func (p *Progress) Advance(bytes int64) { p.done.Add(bytes) }

// correct changes what the walk under way is expected to read.
func (p *Progress) correct(bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.phase.Bytes += bytes
}
