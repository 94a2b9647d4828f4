package stream

import (
	"sync"
	"sync/atomic"
)

// Progress is what a run tells about itself while it works. The zero value is ready;
// it may be watched from any goroutine.
type Progress struct {
	done atomic.Int64

	mu   sync.Mutex
	pass Step
}

// Step is one walk over the inputs.
type Step struct {
	Name  string // what is done
	Index int    // 1 for the first
	Count int    // how many there will be, as far as is known
	Bytes int64  // to be read in this walk; fewer, where a tensor turns out to need less
}

// Now returns the walk under way and the bytes that it has read.
func (p *Progress) Now() (Step, int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pass, p.done.Load()
}

// Begin announces the next walk.
func (p *Progress) Begin(s Step) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pass = s
	p.done.Store(0)
}

// Advance tells that so many more bytes were read.
func (p *Progress) Advance(bytes int64) { p.done.Add(bytes) }

// correct changes what the walk under way is expected to read.
func (p *Progress) correct(bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pass.Bytes += bytes
}
