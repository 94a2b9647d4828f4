package stream

import (
	"fmt"
	"runtime"

	"weld/format"
	"weld/format/frames"
	"weld/format/packed"
	"weld/format/safetensors"
	"weld/mmapio"
	"weld/stream/destination"
	"weld/stream/fuse"
)

// DefaultMemory is the byte budget of a run where none is given: with what the
// runtime itself takes, a process stays under 256 MiB.
const DefaultMemory = 192 << 20

// Figures of the budget, in bytes.
const (
	runtimeMemory = 24 << 20 // program, runtime
	bestSpan      = 8 << 20  // operands and output of a span; more brings nothing
	pageSlack     = 8 << 10  // pages at both ends of a view that belong to others
)

// Budget is how a plan's memory is divided.
type Budget struct {
	Memory  int64 // bytes in all
	Workers int
	Span    int64 // bytes of one span's operands and output
	Jobs    int64 // bytes for the state of tensors in progress
	Shelf   int64 // bytes of operands that are kept from one stage of a tensor to the next
	Held    int64 // bytes of headers, names and plan, which count towards Memory up to half of it
	Beyond  int64 // what they take beside it
	Drop    bool  // what was read or written for the last time leaves the page cache
}

// Bytes that headers, names and plan take for a tensor: in the list of an input, which models of one
// architecture share, and in the output with its parts. A test holds the sum to it.
const (
	listedBytes  = 130
	plannedBytes = 160
)

// heldBytes bounds what headers and plan hold.
func (p *Plan) heldBytes() int64 {
	most := len(p.Tensors)
	for i := range p.Sources {
		most = max(most, len(p.Sources[i].Tensors()))
	}
	return listedBytes*p.lists + (plannedBytes+p.results)*int64(most)
}

// hold takes account of one more input: its tensors are listed together with those of an earlier one, if these are
// the same.
func (p *Plan) hold(i int) {
	for j := range i {
		if format.Share(p.Sources[i].Checkpoint, p.Sources[j].Checkpoint) {
			return
		}
	}
	p.lists += int64(len(p.Sources[i].Tensors()))
	if p.Options.Beyond != nil {
		p.Options.Beyond(p.beyond())
	}
}

// within is how much of the budget headers and plan take: half of it at most.
func (p *Plan) within() int64 { return min(p.heldBytes(), p.Options.Memory/2) }

// beyond is how much they take beside it.
func (p *Plan) beyond() int64 { return p.heldBytes() - p.within() }

func (o Options) withDefaults() Options {
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if o.Memory <= 0 {
		o.Memory = DefaultMemory
	}
	if o.ShardSize <= 0 {
		o.ShardSize = safetensors.DefaultShardSize
	}
	if o.Progress == nil {
		o.Progress = new(Progress)
	}
	return o
}

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
	if c != CacheAuto {
		return c == CacheDrop
	}
	available, ok := mmapio.AvailableMemory()
	return ok && bytes > available/2
}

// touches is how many bytes the plan's files have.
func (p *Plan) touches() int64 {
	bytes := p.target.size
	for i := range p.Sources {
		for _, f := range p.Sources[i].Files() {
			bytes += f.Info.Size()
		}
	}
	return bytes
}

// divide splits the memory between workers: as many as asked for, if each can hold a
// span of at least one tile, and spans as large as is useful.
func (p *Plan) divide() error {
	cost := p.method.Cost()
	var largestJob, leastSpan int64
	for i := range p.jobs {
		largestJob = max(largestJob, cost.Job(i))
	}
	for i := range p.Tensors {
		t := &p.Tensors[i]
		leastSpan = max(leastSpan, tileElements(t.tiling())*p.elementBytes(t, allReads))
	}
	b := Budget{Memory: p.Options.Memory, Workers: p.Options.Threads, Held: p.heldBytes(), Beyond: p.beyond(), Drop: p.Options.Cache.Drops(p.touches())}
	if p.Options.FS == nil {
		p.Options.FS = mmapio.OS
		if b.Drop {
			p.Options.FS = mmapio.DropBehind
		}
	}
	for ; b.Workers > 0; b.Workers-- {
		fixed := runtimeMemory + p.within() + cost.Shared + p.windowBytes(b.Workers)
		worker := cost.Scratch + p.viewOverhead()
		free := b.Memory - fixed - int64(b.Workers)*worker
		b.Jobs = max(largestJob, free/8)
		b.Span = min((free-b.Jobs)/int64(b.Workers), bestSpan)
		b.Shelf = max(0, free-b.Jobs-int64(b.Workers)*b.Span-b.Memory/8) // an eighth is for what nobody counts
		if b.Span >= leastSpan && free > 0 {
			p.Budget = b
			return nil
		}
		if b.Workers == 1 {
			need := fixed - p.within() + worker + leastSpan + largestJob
			need += need / 7
			need += min(need, p.heldBytes()) // of more memory, they take more
			return fmt.Errorf("a memory budget of %d MiB is too small: this merge needs %d MiB", b.Memory>>20, need>>20+1)
		}
	}
	return nil
}

// windowBytes is what a compressed output holds between compression and disk.
func (p *Plan) windowBytes(workers int) int64 {
	switch {
	case p.Out == "":
		return 0
	case p.target.container.Packs():
		return packed.WindowBytes(workers) * int64(max(1, p.variants))
	case p.target.container != destination.Compressed:
		return 0
	}
	const content, encoder = 2 * destination.FrameContent, 2 << 20 // a frame before and after, and its encoder
	return (int64(frames.Window(workers))*content + int64(workers)*encoder) * int64(max(1, p.variants))
}

// viewOverhead is what one worker's views take beyond the bytes that they show.
func (p *Plan) viewOverhead() (n int64) {
	for i := range p.Sources {
		n += format.ViewCost(p.Sources[i].Checkpoint, 0) + pageSlack
	}
	return n
}

var allReads = fuse.Reads{Base: true, Models: true, Importance: true}

// elementBytes is the size of an element of every operand that is read, and of the
// output. A copied tensor is counted in bytes.
func (p *Plan) elementBytes(t *Output, reads fuse.Reads) int64 {
	if t.Action == Copy {
		return 1
	}
	bits := unit(t.DType).Bits() * max(1, p.variants)
	p.eachOperand(t, reads, func(s *Source, i int) { bits += unit(s.Tensors()[i].DType).Bits() })
	return int64(bits / 8)
}

// spanBytes is the size of a whole tensor's operands.
func (p *Plan) spanBytes(t *Output, reads fuse.Reads) (n int64) {
	if t.Action == Copy {
		return t.Bytes()
	}
	p.eachOperand(t, reads, func(s *Source, i int) { n += s.Tensors()[i].Bytes() })
	return n
}

// eachOperand visits the sources of a fused tensor.
func (p *Plan) eachOperand(t *Output, reads fuse.Reads, visit func(s *Source, i int)) {
	if reads.Base && t.base >= 0 {
		visit(t.reference, int(t.base))
	}
	for _, x := range t.parts {
		if s, i := p.operand(t, x); reads.Models && i >= 0 {
			visit(s, i)
		}
		if reads.Importance && x.importance >= 0 {
			visit(p.importance[x.model], int(x.importance))
		}
	}
}

// tiling cuts a planned tensor; one that is not computed with into tiles of bytes.
func (t *Output) tiling() fuse.Tiling {
	if t.Action == Copy || !t.DType.Computable() {
		return fuse.NewTiling(t.Bytes(), 1)
	}
	return fuse.NewTiling(t.Elements(), t.RowLen())
}

// tileElements is the size of a tensor's first tile, which is its largest.
func tileElements(t fuse.Tiling) int64 {
	if t.Count() == 0 {
		return 0
	}
	lo, hi := t.Range(0)
	return hi - lo
}
