package format

import (
	"slices"
	"strings"

	"weld/mmapio"
)

// What follows is what only some checkpoints can do or say. The functions cost one type assertion;
// those about the whole checkpoint look through wrappers, those about tensor i never do.

// Wrapper is a [Checkpoint] that shows another one. What it does not say itself of the whole (what lies
// beside it, metadata, notes, the cost of a view) is asked of the other. What is asked of a tensor by its
// index it has to say itself, for it may count tensors in another way.
type Wrapper interface{ Unwrap() Checkpoint }

// first is the first of a checkpoint and those inside of it that is a T.
func first[T any](c Checkpoint) (found T, ok bool) {
	for {
		if found, ok = c.(T); ok {
			return found, true
		}
		w, wraps := c.(Wrapper)
		if !wraps {
			return found, false
		}
		c = w.Unwrap()
	}
}

// Accompanied is a [Checkpoint] with other files that belong to it: configuration, tokenizer, licence.
type Accompanied interface{ Beside() Folder }

// Beside is where the other files of a checkpoint are; no folder if there is none.
func Beside(c Checkpoint) Folder {
	if a, ok := first[Accompanied](c); ok {
		return a.Beside()
	}
	return Folder{}
}

// Composed is a [Checkpoint] whose tensors are those of several components, each in a directory of its own.
type Composed interface{ Parts() []Part }

// Part is where the weights of a component are: in its directory, in files that are called Stem, a number where there are several of
// them, and their ending.
type Part struct {
	Component
	Stem string
}

// Parts are the components that hold a checkpoint's tensors; none for one model.
func Parts(c Checkpoint) []Part {
	if x, ok := first[Composed](c); ok {
		return x.Parts()
	}
	return nil
}

// PartOf is the number of the part that a tensor belongs to by its name: of those whose directories it begins with, the innermost; −1 for none.
func PartOf(parts []Part, name string) int {
	part := -1
	for k := range parts { // sorted by their directories
		if strings.HasPrefix(name, parts[k].Prefix()) {
			part = k
		}
	}
	return part
}

// HasComponents reports whether a checkpoint's tensors are those of components in directories of their own.
func HasComponents(c Checkpoint) bool {
	return slices.ContainsFunc(Parts(c), func(p Part) bool { return p.Folder != "" })
}

// Described is a [Checkpoint] whose container says something about itself, in keys and values.
type Described interface{ Metadata() map[string]string }

// Metadata is what a container says about itself; it is shared, and may be nil.
func Metadata(c Checkpoint) map[string]string {
	if d, ok := first[Described](c); ok {
		return d.Metadata()
	}
	return nil
}

// Noted is a [Checkpoint] that has something to say to whoever named it: how it was found, and what it
// may not be.
type Noted interface{ Notes() []string }

// Notes are those of a checkpoint, if it has any.
func Notes(c Checkpoint) []string {
	if n, ok := first[Noted](c); ok {
		return n.Notes()
	}
	return nil
}

// Costly is a [Checkpoint] whose views take more memory than the bytes that they show.
type Costly interface{ ViewCost(n int64) int64 }

// ViewCost bounds the memory that a view of n bytes takes.
func ViewCost(c Checkpoint, n int64) int64 {
	if x, ok := first[Costly](c); ok {
		return x.ViewCost(n)
	}
	return n
}

// Sharer is a [Checkpoint] that can hold its list of tensors together with another one that lists the same, as
// models of one architecture do. A wrapper has a list of its own.
type Sharer interface {
	// Share reports whether it does, from now on.
	Share(other Checkpoint) bool
}

// Share has a checkpoint hold its list of tensors together with another, and reports whether it does.
func Share(c, other Checkpoint) bool {
	s, ok := c.(Sharer)
	return ok && s.Share(other)
}

// Sharded is a [Checkpoint] that knows which of its files holds which tensor.
type Sharded interface{ FileOf(i int) int }

// FileOf is the index in Files of the file that holds tensor i.
func FileOf(c Checkpoint, i int) int {
	if s, ok := c.(Sharded); ok {
		return s.FileOf(i)
	}
	return 0
}

// Verbatim is a [Checkpoint] of which some tensors lie in a file byte for byte.
type Verbatim interface {
	// Stored is the file that holds the bytes of tensor i as they are, and where they begin in
	// it; nil if the container transforms them.
	Stored(i int) (file *mmapio.File, begin int64)
}

// Stored is the file that holds the bytes of tensor i as they are, and where they begin in it; nil if there is
// no such file.
func Stored(c Checkpoint, i int) (file *mmapio.File, begin int64) {
	if v, ok := c.(Verbatim); ok {
		return v.Stored(i)
	}
	return nil, 0
}

// FewBytes cost less to copy than to map.
const FewBytes = 4 << 10

// Copied is a [Checkpoint] that can read where View maps.
type Copied interface {
	// Read lends a copy of bytes [off, off+n) of tensor i.
	Read(i int, off, n int64) (mmapio.View, error)
}

// Read is View by a copy of the bytes, where that can be had. Up to [FewBytes], or where no neighbours will be
// wanted, it is the faster one.
func Read(c Checkpoint, i int, off, n int64) (mmapio.View, error) {
	if x, ok := c.(Copied); ok {
		return x.Read(i, off, n)
	}
	return c.View(i, off, n)
}

// Advised is a [Checkpoint] that passes on what is said of its bytes to the system that holds them.
type Advised interface {
	// Advise informs the system about bytes [off, off+n) of tensor i.
	Advise(a mmapio.Advice, i int, off, n int64)
}

// Advise informs the system about bytes [off, off+n) of tensor i. It is advice: where nobody listens, nothing happens.
func Advise(c Checkpoint, a mmapio.Advice, i int, off, n int64) {
	if x, ok := c.(Advised); ok {
		x.Advise(a, i, off, n)
	}
}

// Pieced is a [Checkpoint] that decodes some tensors into a buffer when a view is lent, at one cost for each element.
type Pieced interface{ InPieces(i int) bool }

// InPieces reports whether views of tensor i are best small: they are decoded at one cost for each element, and used while
// they lie in the cache.
func InPieces(c Checkpoint, i int) bool {
	p, ok := c.(Pieced)
	return ok && p.InPieces(i)
}

// Blocks are one way in which a container stores values: so many elements in so many bytes, codes and scales among each other.
type Blocks struct {
	Name     string // as the container calls it
	Elements int64
	Bytes    int64
	// Decode fills dst with the values of whole blocks; nil where weld does not decode them. Every NaN is the one that encoders write.
	Decode func(dst []float32, src []byte)
	// Encode stores values as whole blocks, as many as src has; nil where weld does not write them. It is false where there
	// is no code for a value.
	Encode func(dst []byte, src []float32) bool
}

// Blocked is a [Checkpoint] whose container says itself of some tensors that they are stored in blocks. They are listed as bytes: a row
// has those of its blocks. Outside of that container nobody knows what they are.
type Blocked interface {
	// Blocks is how tensor i is stored, and the shape of its values; nil where its elements lie one by one.
	Blocks(i int) (b *Blocks, shape []int64)
}

// BlocksOf is how tensor i is stored, and the shape of its values; nil where its elements lie one by one.
func BlocksOf(c Checkpoint, i int) (b *Blocks, shape []int64) {
	if x, ok := c.(Blocked); ok {
		return x.Blocks(i)
	}
	return nil, nil
}
