package run

import (
	"fmt"

	"weld/format"
	"weld/mmapio"
	"weld/stream/fuse"
)

// DefaultMemory is the byte budget of a run where none is given: with what the
// runtime itself takes, a process stays under 256 MiB.
const DefaultMemory = 192 << 20

// Figures of the budget, in bytes.
const (
	runtimeMemory = 24 << 20  // program, runtime
	bestSpan      = 8 << 20   // operands and output of a span; more brings nothing
	smallSpan     = 256 << 10 // takes a tenth more processor time than the best
	pageSlack     = 8 << 10   // pages at both ends of a view that belong to others
)

// Budget is how the memory of a run is divided.
type Budget struct {
	Memory   int64 // bytes in all
	Workers  int
	Span     int64 // bytes of one span's operands and output
	Jobs     int64 // bytes for the state of tensors in progress
	Views    int64 // bytes of operands that are kept from one stage of a tensor to the next
	ViewCost int64 // bytes that the views of a span take beyond what they show
	Held     int64 // bytes of headers, names and plan, which count towards Memory up to half of it
	Beyond   int64 // what they take beside it
	Drop     bool  // what was read or written for the last time leaves the page cache
	Ahead    int64 // bytes that are read into the page cache before they are wanted
	Pages    int64 // bytes of inputs that are left in the page cache for a later stage or walk, if the rest is dropped
}

// Demand is what a run needs memory for.
type Demand struct {
	Tensors Tensors
	Cost    fuse.Cost
	Inputs  []format.Checkpoint     // all that a span may have views of
	Sinks   int                     // outputs that the method fills; 0 counts as 1
	Window  func(workers int) int64 // bytes that sinks hold between coding and disk; nil for none
	Held    int64                   // bytes of headers, names and plan
	Touched int64                   // bytes of all files that are read and written
}

// Within is how much of a memory headers and plan count towards: half of it at most.
func Within(held, memory int64) int64 { return min(held, memory/2) }

// Divide splits the memory between workers: as many as asked for, if each can hold a
// span of at least one tile, and spans as large as is useful.
func Divide(d Demand, memory int64, threads int, cache Cache) (Budget, error) {
	within := Within(d.Held, memory)
	job, span := d.largest()
	available, known := mmapio.AvailableMemory()
	b := Budget{Memory: memory, Workers: threads, Held: d.Held, Beyond: d.Held - within, ViewCost: d.viewCost(), Drop: cache.drops(d.Touched, available, known)}
	for ; b.Workers > 0; b.Workers-- {
		fixed := runtimeMemory + within + d.Cost.Shared
		if d.Window != nil {
			fixed += d.Window(b.Workers)
		}
		worker := d.Cost.Scratch + b.ViewCost
		free := memory - fixed - int64(b.Workers)*worker
		b.Jobs = max(job, free/8, together(b.Workers, job, span, free))
		b.Span = min((free-b.Jobs)/int64(b.Workers), bestSpan)
		b.Views = max(0, free-b.Jobs-int64(b.Workers)*b.Span-memory/8) // an eighth is for what nobody counts
		if b.Span >= span && free > 0 {
			b.divideCache(available, known)
			return b, nil
		}
		if b.Workers == 1 {
			need := fixed - within + worker + span + job
			need += need / 7
			need += min(need, d.Held) // of more memory, they take more
			return Budget{}, fmt.Errorf("a memory budget of %d MiB is too small: this merge needs %d MiB", memory>>20, need>>20+1)
		}
	}
	return b, nil
}

// largest are the bytes of the state of the largest job, and of the largest span of one tile.
func (d Demand) largest() (job, span int64) {
	var t Tensor
	for i := range d.Tensors.Len() {
		if j, fused := d.Tensors.Job(i); fused {
			job = max(job, d.Cost.Job(j))
		}
		d.Tensors.Describe(i, &t)
		span = max(span, tileElements(t.tiling())*t.elementBytes(allReads, d.Sinks))
	}
	return job, span
}

// viewCost is what one worker's views take beyond the bytes that they show.
func (d Demand) viewCost() (n int64) {
	for _, in := range d.Inputs {
		n += format.ViewCost(in, 0) + pageSlack
	}
	return n
}

// together is the memory of as many of the most demanding tensors as should be in progress at once: while workers wait for the last
// item of one's stage, there is work in others. The more workers, the sooner they are through with a tensor, and the more of them wait
// for whoever ends its stage. Half of the memory is left for spans, or less where small ones do with less; no worker is given up for it.
func together(workers int, job, span, free int64) int64 {
	if job == 0 {
		return 0
	}
	n := int64(workers)
	most := min(max(free/2, free-n*smallSpan), free-n*span)
	return max(0, min(most/job, n, 2+n/8)) * job
}
