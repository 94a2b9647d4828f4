package stream

import (
	"runtime"

	"weld/mmapio"
	"weld/stream/plan"
	"weld/stream/run"
)

// Options are how a merge is run, in contrast to what it computes. None of them
// changes a byte of the output but ShardSize. The zero value is useful.
type Options struct {
	Threads   int           // workers; 0 for one per CPU
	Memory    int64         // byte budget; 0 for [run.DefaultMemory]
	ShardSize int64         // bytes of tensor data in a shard; 0 for the Hub's 5 GB
	Force     bool          // replace an output that exists
	Version   string        // of weld, for the output's metadata
	FS        mmapio.FS     // nil for the operating system's
	Progress  *run.Progress // nil for none
	Read      mmapio.Reading
	Cache     run.Cache
	Passes    Passes
	Raw       bool // a diff compares values that are stored in a scheme as they are stored
	// Resume has an output that a killed run left half replaced completed before anything is
	// planned, so that a plan which is refused does not leave it so.
	Resume bool
	// Beyond is told how many bytes headers and plan take beyond Memory, while they grow; nil for nobody.
	Beyond func(bytes int64)
	// Decoding is called when the values of an input are decoded, into memory that the collector has to give back; nil for
	// nobody.
	Decoding func()

	conversion *plan.Conversion // nil for a merge
}

// Passes says when thresholds over whole models are found.
type Passes uint8

const (
	// PassesAuto is PassesOne where the page cache will not hold what is read and written, and PassesTwo elsewhere: there, to read twice costs less than to
	// write some twice.
	PassesAuto Passes = iota
	// PassesOne finds them in the walk that fuses, where method and output allow it.
	PassesOne
	// PassesTwo finds them before anything is fused.
	PassesTwo
)

// PassesChoices are the names of the choices.
var PassesChoices = []string{PassesAuto: "auto", PassesOne: "one", PassesTwo: "two"}

// early decides for a merge that touches so many bytes.
func (p Passes) early(bytes int64) bool {
	return p == PassesOne || p == PassesAuto && run.CacheAuto.Drops(bytes)
}

func (o Options) withDefaults() Options {
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if o.Memory <= 0 {
		o.Memory = run.DefaultMemory
	}
	if o.Progress == nil {
		o.Progress = new(run.Progress)
	}
	return o
}

// planning are the options of a plan.
func (o Options) planning() plan.Options {
	p := plan.Options{ShardSize: o.ShardSize, Force: o.Force, Version: o.Version, Read: o.Read, Raw: o.Raw, Early: o.Passes.early, Decoding: o.Decoding, Conversion: o.conversion}
	if o.Beyond != nil {
		p.Held = func(held int64) { o.Beyond(held - run.Within(held, o.Memory)) }
	}
	return p
}

// tableBytes is how much of the memory a method may take for tables that save it walks.
func (o Options) tableBytes() int64 { return o.Memory / 12 }

// resume completes what an earlier run left half replaced.
func (o Options) resume(out string) error {
	if !o.Resume || out == "" {
		return nil
	}
	return mmapio.Resume(o.fs(false), out)
}

// fs is the file system of outputs. What is written leaves the page cache behind it, if it is to drop.
func (o Options) fs(drop bool) mmapio.FS {
	switch {
	case o.FS != nil:
		return o.FS
	case drop:
		return mmapio.DropBehind
	}
	return mmapio.OS
}
