package mmapio

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"

	"golang.org/x/exp/mmap"
)

// File is an input file, open for reading. All methods may be called from any
// goroutine. The zero value is not usable; see [Open].
type File struct {
	path  string
	info  os.FileInfo    // as it was when opened
	small *mmap.ReaderAt // headers
	maps  mappings       // lends mapped views, where there are any; see map_linux.go
	reads copies         // lends copied ones

	sparse bool // it has holes
}

// Reading is how views get at a file's bytes.
type Reading uint8

const (
	// Mapped views are windows of a mapping, on systems where their memory can be bounded
	// (Linux), and Copied elsewhere.
	Mapped Reading = iota
	// Copied views are buffers that are read into: the better choice on network file
	// systems, which read mappings page by page and turn their faults into signals.
	Copied
)

// Readings are the names of the ways to read.
var Readings = []string{Mapped: "mmap", Copied: "pread"}

func (r Reading) String() string { return Readings[r] }

// Open opens a regular file for reading; views are mapped unless another way is given.
func Open(path string, how ...Reading) (*File, error) {
	file, info, err := OpenRegular(path)
	if err != nil {
		return nil, err
	}
	small, err := mmap.Open(path)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	f := &File{path: path, info: info, small: small, reads: copies{file: file}}
	f.sparse = hasHoles(info)
	f.reads.only = !canMap || slices.Contains(how, Copied)
	if int64(small.Len()) != info.Size() {
		return nil, errors.Join(&ChangedError{Path: path, What: "its size while it was opened"}, f.Close())
	}
	if err := f.maps.open(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Path is the name that the file was opened under.
func (f *File) Path() string { return f.path }

// Size is the length of the file in bytes when it was opened.
func (f *File) Size() int64 { return f.info.Size() }

// Info is what the system said of the file when it was opened.
func (f *File) Info() os.FileInfo { return f.info }

// ReadAt implements [io.ReaderAt]. A fault of the mapping is a [*FaultError].
func (f *File) ReadAt(p []byte, off int64) (n int, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			if _, ok := faultAddress(r); !ok {
				panic(r)
			}
			n, err = 0, f.fault(off, errors.New("the mapping cannot be read"))
		}
	}()
	return f.small.ReadAt(p, off)
}

// View lends n bytes from offset off. The bytes are resident when View returns,
// stay valid until [View.Release], and must not be written to. n is at most
// [MaxView].
func (f *File) View(off, n int64) (View, error) {
	if err := f.covers(off, n); err != nil || n == 0 {
		return View{}, err
	}
	if v, ok := f.hole(off, n); ok {
		return v, nil
	}
	if f.reads.only {
		return f.reads.view(f, off, n)
	}
	return f.maps.view(f, off, n)
}

// Peek lends bytes of which no neighbours will be wanted: a copy, on any system, since
// mapping a few bytes costs more than copying them.
func (f *File) Peek(off, n int64) (View, error) {
	if err := f.covers(off, n); err != nil || n == 0 {
		return View{}, err
	}
	return f.reads.view(f, off, n)
}

// covers refuses what no view can show.
func (f *File) covers(off, n int64) error {
	switch {
	case off < 0 || n < 0 || off > f.Size()-n:
		return fmt.Errorf("%s: bytes [%d, %d) are not inside its %d: %w", f.path, off, off+n, f.Size(), io.ErrUnexpectedEOF)
	case n > MaxView:
		return fmt.Errorf("%s: a view of %d bytes is over the limit of %d", f.path, n, int64(MaxView))
	}
	return nil
}

// Advice is what a reader knows about a range.
type Advice uint8

const (
	// Soon: it will be read.
	Soon Advice = iota
	// Done: it will not be read again, and need not stay in the page cache.
	Done
)

// Advise tells the system about a range. It does not wait.
func (f *File) Advise(a Advice, off, n int64) {
	if off >= 0 && n > 0 {
		f.reads.advise(a, off, n)
	}
}

// Unchanged compares the file with what it was when opened: size, modification
// time and identity. Any difference is a [*ChangedError].
func (f *File) Unchanged() error {
	now, err := os.Stat(f.path)
	switch {
	case err != nil:
		return &ChangedError{Path: f.path, What: "its place", Err: err}
	case !os.SameFile(now, f.info):
		return &ChangedError{Path: f.path, What: "to another file of the same name"}
	case now.Size() != f.info.Size():
		return &ChangedError{Path: f.path, What: fmt.Sprintf("its size from %d to %d bytes", f.info.Size(), now.Size())}
	case !now.ModTime().Equal(f.info.ModTime()):
		return &ChangedError{Path: f.path, What: "its modification time"}
	}
	return nil
}

// Close gives back the mappings. Views must have been released before.
func (f *File) Close() error {
	return errors.Join(f.maps.close(), f.reads.close(), f.small.Close())
}

// fault explains why the bytes at off cannot be read.
func (f *File) fault(off int64, cause error) *FaultError {
	if known := (*FaultError)(nil); errors.As(cause, &known) {
		return known
	}
	e := &FaultError{Path: f.path, Offset: off, Err: cause}
	if now, err := os.Stat(f.path); err == nil && now.Size() < f.info.Size() {
		e.Err = fmt.Errorf("the file shrank from %d to %d bytes while it was read", f.info.Size(), now.Size())
		e.Offset = max(off, now.Size())
	}
	return e
}

// ChangedError reports an input that is no longer what it was when opened.
type ChangedError struct {
	Path string
	What string // what changed: "its size …"
	Err  error
}

func (e *ChangedError) Error() string {
	s := e.Path + ": the file changed " + e.What + " while weld was reading it"
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *ChangedError) Unwrap() error { return e.Err }
