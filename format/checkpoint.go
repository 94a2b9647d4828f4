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

// Checkpoint is a set of tensors, open for reading. Its methods may be called from
// any goroutine. What only some checkpoints can do or say are the optional interfaces
// below it ([Accompanied] and so on); the functions beside them ask for it, and have the right
// answer where it is not there.
type Checkpoint interface {
	// Path is what the user called it: a file or a directory.
	Path() string
	// Tensors lists the tensors in the order of their bytes. The slice is shared.
	Tensors() []Tensor
	// Find returns the index of a tensor by name.
	Find(name string) (i int, ok bool)
	// View lends bytes [off, off+n) of tensor i; n is at most mmapio.MaxView.
	View(i int, off, n int64) (mmapio.View, error)
	// Files lists the files that the bytes come from, in order; none if it is not read from files.
	Files() []InputFile
	Close() error
}

// InputFile is one file behind a checkpoint.
type InputFile struct {
	Path   string
	Info   os.FileInfo
	Digest [sha256.Size]byte // of everything but tensor data: headers and indexes
}

// Unchanged fails if a file of a checkpoint is no longer what it was when it was opened.
func Unchanged(c Checkpoint) error {
	for _, f := range c.Files() {
		if err := mmapio.Unchanged(f.Path, f.Info); err != nil {
			return err
		}
	}
	return nil
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
