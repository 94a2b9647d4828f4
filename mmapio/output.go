package mmapio

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sync"
	"sync/atomic"
)

// Bytes that a file is let run ahead of the disk: twice a batch.
const writeBehind = 32 << 20

// WriteBatch is how many bytes of an output that leaves the page cache are brought to the disk at a time, and as many again are waited for,
// where so much memory is available, as [AvailableMemory] says.
func WriteBatch(available int64, known bool) int64 {
	if !known {
		return writeBehind
	}
	return max(writeBehind/8, min(writeBehind, available/64))
}

// osFile is an [OutputFile] of the operating system. What was written is brought to the disk
// steadily, batch by batch, so that the sync at the end has little left to do, and no
// other program meets a cache full of pages that cannot be dropped. Small writes and large
// ones may come from several goroutines.
type osFile struct {
	file   *os.File
	behind behind       // starts and awaits the way to the disk; see output_linux.go
	fresh  atomic.Int64 // the file has zeros up to here that nobody wrote
	sized  atomic.Bool  // its length was given: it does not grow

	// One write at a time: the system lets one into a file, and those who wait for it
	// there keep a processor busy.
	turn  sync.Mutex
	end   int64 // where Write goes on
	aside int64 // space is set aside up to here, of which the file's length tells nothing

	mu       sync.Mutex
	from, to int64     // of the batch that is being written
	written  int64     // bytes of it
	last     fileRange // the batch before, on its way
	err      error     // the first that the way to the disk met
}

// fileRange is a range of a file.
type fileRange struct{ off, n int64 }

func newOSFile(f *os.File, drop bool) *osFile {
	return &osFile{file: f, behind: newBehind(f, drop)}
}

// Truncate implements [OutputFile].
func (o *osFile) Truncate(size int64) error {
	if err := o.behind.reserve(o.file, size); err != nil {
		return err
	}
	if err := o.file.Truncate(size); err != nil {
		return err
	}
	o.fresh.Store(size)
	o.sized.Store(size > 0)
	return nil
}

// WriteAt implements [io.WriterAt]. Zeros where the file has zeros stay a hole.
func (o *osFile) WriteAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) <= o.fresh.Load() && zeros(p) {
		return len(p), nil
	}
	if err := o.failed(); err != nil {
		return 0, err
	}
	o.turn.Lock()
	n, err := o.file.WriteAt(p, off)
	o.turn.Unlock()
	o.wrote(off, int64(n))
	return n, err
}

// Write implements [io.Writer]: one after the other, from the beginning of the file.
func (o *osFile) Write(p []byte) (int, error) {
	if err := o.failed(); err != nil {
		return 0, err
	}
	o.turn.Lock()
	o.setAside(int64(len(p)))
	n, err := o.file.Write(p)
	off := o.end
	o.end += int64(n)
	o.turn.Unlock()
	o.wrote(off, int64(n))
	return n, err
}

// Rewrite implements [OutputFile].
func (o *osFile) Rewrite() { o.fresh.Store(0) }

// asideBytes is how much space a file that grows is given at a time.
const asideBytes = 64 << 20

// setAside has space for n bytes more that will be written to a file that grows, and for many behind them, so that the file lies
// in few pieces. Small files need none. Where it is refused, the write will tell what is wrong; o.turn is held.
func (o *osFile) setAside(n int64) {
	if !o.behind.works || o.end < writeBehind || o.end+n <= o.aside || o.sized.Load() {
		return
	}
	if o.aside = o.end + n + asideBytes; !o.behind.ahead(o.file, o.end, o.aside-o.end) {
		o.aside = math.MaxInt64 // not to be asked again
	}
}

// giveBack frees what was set aside and not written.
func (o *osFile) giveBack() error {
	o.turn.Lock()
	defer o.turn.Unlock()
	if o.aside == 0 {
		return nil
	}
	o.aside = 0
	return o.file.Truncate(o.end)
}

// ReadAt implements [io.ReaderAt].
func (o *osFile) ReadAt(p []byte, off int64) (int, error) { return o.file.ReadAt(p, off) }

// zeros reports whether there is nothing else.
func zeros(p []byte) bool {
	return len(p) == 0 || p[0] == 0 && bytes.Equal(p[1:], p[:len(p)-1])
}

// wrote notes a written range. Whoever completes a batch starts its way to the disk, and
// waits for the end of that of the one before.
func (o *osFile) wrote(off, n int64) {
	if !o.behind.works {
		return
	}
	o.mu.Lock()
	if o.written == 0 {
		o.from, o.to = off, off
	}
	o.from, o.to = min(o.from, off), max(o.to, off+n)
	o.written += n
	if o.written < o.behind.batch {
		o.mu.Unlock()
		return
	}
	batch, before := fileRange{o.from, o.to - o.from}, o.last
	o.written, o.last = 0, batch
	o.mu.Unlock()
	if err := errors.Join(o.behind.start(o.file, batch), o.behind.finish(o.file, before)); err != nil {
		o.fail(err)
	}
}

// fail keeps the first error for whoever writes or syncs next.
func (o *osFile) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
	}
}

func (o *osFile) failed() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// Sync implements [OutputFile]. What the last batches left in the cache can be dropped then.
func (o *osFile) Sync() error {
	if err := errors.Join(o.failed(), o.giveBack(), o.file.Sync()); err != nil {
		return err
	}
	o.behind.forget(o.file)
	return nil
}

// Close implements [OutputFile].
func (o *osFile) Close() error { return o.file.Close() }

// A Copier can take bytes straight from an input file.
type Copier interface {
	// CopyAt copies n bytes of src at from to off. It reports errors.ErrUnsupported
	// where the system cannot do that, with nothing or a part of it copied.
	CopyAt(src *File, from, n, off int64) error
}

// CopyAt implements [Copier]: the bytes do not come into the process, and holes stay holes.
func (o *osFile) CopyAt(src *File, from, n, off int64) error {
	if !o.behind.works && !src.sparse {
		return errors.ErrUnsupported // in memory, page by page, it takes twice the time of a write from a mapping
	}
	for n > 0 {
		data, length, err := src.data(from, n)
		if err != nil {
			return err
		}
		if skip := data - from; skip > 0 {
			if off+skip > o.fresh.Load() {
				return fmt.Errorf("a hole where the output has no zeros: %w", errors.ErrUnsupported)
			}
			from, off, n = from+skip, off+skip, n-skip
		}
		if length == 0 {
			continue
		}
		o.turn.Lock()
		done, err := copyRange(o.file, off, src.reads.file, from, min(length, o.behind.batch))
		o.turn.Unlock()
		o.wrote(off, done)
		from, off, n = from+done, off+done, n-done
		switch {
		case errors.Is(err, errors.ErrUnsupported):
			return err
		case err != nil:
			return src.fault(from, err)
		case done == 0:
			return src.fault(from, io.ErrUnexpectedEOF)
		}
	}
	return nil
}
