package mmapio

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// File is an input file, open for reading. All methods may be called from any
// goroutine. The zero value is not usable; see [Open].
type File struct {
	path  string
	info  os.FileInfo // as it was when opened
	small headers     // serves ReadAt
	maps  mappings    // lends mapped views, where there are any; see map_linux.go
	reads copies      // lends copied ones

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

// Open opens a regular file for reading; views are mapped unless another way is given, or the
// system refuses.
func Open(path string, how ...Reading) (*File, error) {
	file, info, err := OpenRegular(path)
	if err != nil {
		return nil, err
	}
	f := &File{path: path, info: info, sparse: hasHoles(info)}
	f.reads.open(file)
	mayMap := !slices.Contains(how, Copied) && canMap()
	f.reads.only.Store(!mayMap || !boundsViews)
	if err := f.maps.open(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if mayMap {
		if err := f.small.open(file, info.Size()); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return f, nil
}

// Path is the name that the file was opened under.
func (f *File) Path() string { return f.path }

// Size is the length of the file in bytes when it was opened.
func (f *File) Size() int64 { return f.info.Size() }

// Info is what the system said of the file when it was opened.
func (f *File) Info() os.FileInfo { return f.info }

// ReadAt implements [io.ReaderAt], for what is small. Bytes that the file had when it was opened and
// that cannot be read are a [*FaultError].
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > f.Size() {
		return 0, fmt.Errorf("%s: byte %d is not inside its %d: %w", f.path, off, f.Size(), io.EOF)
	}
	inside := p[:min(int64(len(p)), f.Size()-off)]
	read := f.reads.file.ReadAt
	if f.small.covers(off, int64(len(inside))) {
		read = f.small.read
	}
	n, err := read(inside, off)
	switch {
	case n < len(inside):
		return n, f.fault(off+int64(n), err)
	case n < len(p):
		return n, io.EOF
	}
	return n, nil
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
	if f.reads.only.Load() {
		return f.reads.view(f, off, n)
	}
	v, err := f.maps.view(f, off, n)
	if refused := (*unmappedError)(nil); errors.As(err, &refused) {
		refused.notice()
		f.reads.only.Store(true)
		return f.reads.view(f, off, n)
	}
	return v, err
}

// unmappedError is a mapping that the system refuses, as some file systems do, and limits.
type unmappedError struct {
	path string
	err  error
}

func (e *unmappedError) Error() string { return fmt.Sprintf("map %s: %v", e.path, e.err) }
func (e *unmappedError) Unwrap() error { return e.err }

func (e *unmappedError) notice() {
	notice("map "+e.err.Error(), "%s cannot be mapped (%v): it, and whatever else cannot be, is read with pread", e.path, e.err)
}

// Read lends a copy, on any system: of bytes of which no neighbours will be wanted, since mapping
// a few of them costs more than copying them.
func (f *File) Read(off, n int64) (View, error) {
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

// Advise informs the system about a range. It does not wait.
func (f *File) Advise(a Advice, off, n int64) {
	if off >= 0 && n > 0 {
		f.reads.advise(a, off, n)
	}
}

// Unchanged is [Unchanged] for the file, since it was opened.
func (f *File) Unchanged() error { return Unchanged(f.path, f.info) }

// Unchanged compares a file with what it was: size, modification time and identity, and,
// where the system says so, whether it was written to and its times set back. Any difference is a
// [*ChangedError].
func Unchanged(path string, was os.FileInfo) error {
	now, err := os.Stat(path)
	switch {
	case err != nil:
		return &ChangedError{Path: path, What: "its place", Err: err}
	case !os.SameFile(now, was):
		return &ChangedError{Path: path, What: "to another file of the same name"}
	case now.Size() != was.Size():
		return &ChangedError{Path: path, What: fmt.Sprintf("its size from %d to %d bytes", was.Size(), now.Size())}
	case !now.ModTime().Equal(was.ModTime()):
		return &ChangedError{Path: path, What: "its modification time"}
	case setBack(was, now):
		return &ChangedError{Path: path, What: "its content or its times, which were set back,"}
	}
	return nil
}

// Close gives back the mappings. Views must have been released before.
func (f *File) Close() error {
	return errors.Join(f.maps.close(), f.small.close(), f.reads.close())
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
