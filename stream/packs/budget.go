package packs

import (
	"sync/atomic"

	"weld/format"
	"weld/mmapio"
	"weld/stream/run"
)

// What a command takes besides its workers, and what a worker takes with its blocks in flight.
const (
	fixedMemory  = 24 << 20
	workerMemory = 8 << 20
)

// Bytes that a command holds for each tensor of an input: its name and place, its block in the index, its digest. A
// test holds them to it.
const (
	packTensor  = 250
	patchTensor = 220 // of the base, and of the result
	applyTensor = 700 // of the base, and in the tables of each patch
)

// hold takes account of so many tensors. What is held of them counts towards the memory up to half of it, and Beyond is
// given what comes on top.
func (o *Options) hold(tensors int, each int64) {
	o.held += int64(tensors) * each
	if o.Beyond != nil {
		o.Beyond(o.held - o.within())
	}
}

// within is how much of what is held counts towards the memory.
func (o *Options) within() int64 { return min(o.held, o.memory()/2) }

func (o *Options) memory() int64 {
	if o.Memory <= 0 {
		return run.DefaultMemory
	}
	return o.Memory
}

// fit settles what depends on the memory budget and on how much a command reads and writes: the number of
// workers, and whether what went by leaves the page cache. paths are the files that it reads.
func (o *Options) fit(paths []string, bytes int64) {
	o.Threads = max(1, min(o.Threads, int((o.memory()-o.within()-fixedMemory)/workerMemory)))
	drop := o.Cache.Drops(bytes)
	if drop {
		o.behind = &dropping{paths: paths}
	}
	if o.FS != nil {
		return
	}
	o.FS = mmapio.OS
	if drop {
		o.FS = mmapio.DropBehind
	}
}

// advance says that a worker is done with so many bytes.
func (o *Options) advance(bytes int64) {
	o.Progress.Advance(bytes)
	if o.behind != nil {
		o.behind.advance(bytes)
	}
}

// dropping drops inputs from the page cache while they are read: whatever there is of them, and
// not yet mapped, each time that so many bytes went by.
type dropping struct {
	paths []string
	bytes atomic.Int64
}

// dropEvery is small against memory, and large against what is read ahead, which is dropped too.
const dropEvery = 256 << 20

func (d *dropping) advance(bytes int64) {
	now := d.bytes.Add(bytes)
	if now/dropEvery != (now-bytes)/dropEvery {
		d.drop()
	}
}

func (d *dropping) drop() {
	for _, path := range d.paths {
		mmapio.Forget(path)
	}
}

// forget drops what is left when a command has closed its files.
func (o *Options) forget() {
	if o.behind != nil {
		o.behind.drop()
	}
}

// filesOf lists the files of a checkpoint and their bytes.
func filesOf(c format.Checkpoint) (paths []string, bytes int64) {
	for _, f := range c.Files() {
		paths = append(paths, f.Path)
		bytes += f.Info.Size()
	}
	return paths, bytes
}
