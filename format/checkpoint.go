// Package format knows what a checkpoint is: named tensors with a [DType] and a
// shape, and their bytes. A [Checkpoint] lends those bytes range by range, a
// [Writer] takes them in any order. The containers that hold them on disk are
// subpackages; format/open finds the right one for a path.
//
// Faults of the data are reported as [*Error], with a [Kind] that says in a word
// what is wrong. The package never knows what merging is.
package format

import (
	"crypto/sha256"
	"os"

	"weld/internal/vec"
	"weld/mmapio"
)

// Float is the type that tensors are computed with.
type Float = vec.Float

// FewBytes cost less to copy than to map.
const FewBytes = 4 << 10

// Checkpoint is a set of tensors, open for reading. Its methods may be called
// from any goroutine.
type Checkpoint interface {
	// Path is what the user called it: a file or a directory.
	Path() string
	// Beside is where the other files are that belong to the checkpoint, if there are any.
	Beside() Folder
	// Tensors lists the tensors in the order of their bytes. The slice is shared.
	Tensors() []Tensor
	// Find returns the index of a tensor by name.
	Find(name string) (i int, ok bool)
	// Metadata is what the container says about itself.
	Metadata() map[string]string
	// Files lists the files behind the checkpoint, in order.
	Files() []File
	// FileOf is the index in Files of the file that holds tensor i.
	FileOf(i int) int
	// View lends bytes [off, off+n) of tensor i; n is at most mmapio.MaxView.
	View(i int, off, n int64) (mmapio.View, error)
	// Read is View by a copy of the bytes, where View maps them. Up to [FewBytes], or where no neighbours
	// will be wanted, it is the faster one.
	Read(i int, off, n int64) (mmapio.View, error)
	// ViewCost bounds the memory that a view of n bytes takes.
	ViewCost(n int64) int64
	// Advise tells the system about bytes [off, off+n) of tensor i.
	Advise(a mmapio.Advice, i int, off, n int64)
	// Stored is the file that holds the bytes of tensor i as they are, and where they begin
	// in it; nil if the container transforms them.
	Stored(i int) (file *mmapio.File, begin int64)
	// Unchanged fails if any file is no longer what it was when opened.
	Unchanged() error
	Close() error
}

// Noted is a [Checkpoint] that has something to say to whoever named it: how it was found, and what it
// may not be.
type Noted interface{ Notes() []string }

// Notes are those of a checkpoint, if it has any.
func Notes(c Checkpoint) []string {
	if n, ok := c.(Noted); ok {
		return n.Notes()
	}
	return nil
}

// Sharer is a Checkpoint that can hold its list of tensors together with another one that lists the same, as
// models of one architecture do.
type Sharer interface {
	// Share reports whether it does, from now on.
	Share(other Checkpoint) bool
}

// File is one file behind a checkpoint.
type File struct {
	Path   string
	Info   os.FileInfo
	Digest [sha256.Size]byte // of everything but tensor data: headers and indexes
}

// Writer takes the bytes of tensors that were announced when it was made. WriteAt
// may be called from any goroutine.
type Writer interface {
	// WriteAt writes bytes of tensor i at off. Every byte must be written once. A
	// writer whose container grows at the end alone waits for earlier bytes; calls
	// must then begin in the order of the bytes.
	WriteAt(i int, off int64, p []byte) error
	// CopyAt has n bytes of tensor i at off copied from a file, without passing through the
	// process, or fails with errors.ErrUnsupported.
	CopyAt(i int, off int64, src *mmapio.File, from, n int64) error
	// Abort wakes calls that wait, which then fail with err.
	Abort(err error)
	// Close completes the output once every byte is written. It does not commit.
	Close() error
}
