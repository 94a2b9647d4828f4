package mmapio

import (
	"errors"
	"fmt"
	"os"
	"sync"
)

// stagedFile is a file of a [Staging]: it knows who it is and how long it was written, so that
// no other file is published in its place.
type stagedFile struct {
	OutputFile
	name   string
	info   os.FileInfo // when it was made
	synced bool
	closed bool

	mu       sync.Mutex
	appended int64 // by Write
	length   int64
}

// inPlace demands that the file's name leads to it, and that it is as long as it was written.
func (f *stagedFile) inPlace(dir OpenDir) error {
	now, err := dir.Stat(f.name)
	switch {
	case err != nil:
		return fmt.Errorf("the file %s was removed from the stage while weld was writing: %w", f.name, err)
	case !os.SameFile(now, f.info):
		return fmt.Errorf("the file %s was replaced in the stage while weld was writing", f.name)
	case now.Size() != f.length:
		return fmt.Errorf("the file %s has %d bytes in the stage, %d were written", f.name, now.Size(), f.length)
	}
	return nil
}

// Truncate implements [OutputFile].
func (f *stagedFile) Truncate(size int64) error {
	err := f.OutputFile.Truncate(size)
	if err == nil {
		f.mu.Lock()
		f.length = size
		f.mu.Unlock()
	}
	return err
}

// Write implements [OutputFile].
func (f *stagedFile) Write(p []byte) (int, error) {
	n, err := f.OutputFile.Write(p)
	f.mu.Lock()
	f.appended += int64(n)
	f.length = max(f.length, f.appended)
	f.mu.Unlock()
	return n, err
}

// WriteAt implements [OutputFile].
func (f *stagedFile) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.OutputFile.WriteAt(p, off)
	f.wrote(off, int64(n))
	return n, err
}

// CopyAt implements [Copier], where the file system's files do.
func (f *stagedFile) CopyAt(src *File, from, n, off int64) error {
	c, ok := f.OutputFile.(Copier)
	if !ok {
		return errors.ErrUnsupported
	}
	err := c.CopyAt(src, from, n, off)
	if err == nil {
		f.wrote(off, n)
	}
	return err
}

func (f *stagedFile) wrote(off, n int64) {
	if n == 0 {
		return
	}
	f.mu.Lock()
	f.length = max(f.length, off+n)
	f.mu.Unlock()
}

// Close brings the file to the disk and closes it early, when it is complete; the
// staging directory will not do it again.
func (f *stagedFile) Close() error {
	if f.closed {
		return nil
	}
	return errors.Join(f.flush(), f.shut())
}

func (f *stagedFile) flush() error {
	if f.synced {
		return nil
	}
	if err := f.OutputFile.Sync(); err != nil {
		return err
	}
	f.synced = true
	return nil
}

func (f *stagedFile) shut() error {
	if f.closed {
		return nil
	}
	f.closed = true
	return f.OutputFile.Close()
}
