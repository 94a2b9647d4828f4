package mmapio

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// FS is what a [Stage] does to the file system, as an interface so that every
// failure can be rehearsed. [OS] is the real one.
type FS interface {
	// Create makes an empty file that must not exist yet, and the directory it is in.
	Create(path string) (OutputFile, error)
	// Lock makes the directory, if it is not there, and keeps others from locking that
	// name until the returned Closer is closed, wherever the directory goes meanwhile.
	Lock(dir string) (io.Closer, error)
	// Rename moves a file or directory. A file may replace a file.
	Rename(from, to string) error
	// Exchange swaps two names atomically, or fails with errors.ErrUnsupported.
	Exchange(a, b string) error
	RemoveAll(path string) error
	ReadDir(dir string) ([]os.DirEntry, error)
	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error
}

// OutputFile is a file being written.
type OutputFile interface {
	io.Writer
	io.WriterAt
	io.Closer
	// Truncate makes a new file so long, with zeros, and sets the space aside where the
	// system can.
	Truncate(size int64) error
	Sync() error
}

// OS is the operating system's file system. DropBehind is the same, but what was written
// leaves the page cache, for outputs that would push everything else out of it.
var (
	OS         FS = osFS{}
	DropBehind FS = osFS{drop: true}
)

// ErrLocked is wrapped by the error of a Lock that another process holds.
var ErrLocked = errors.New("another process is writing there")

type osFS struct{ drop bool }

func (fs osFS) Create(path string) (OutputFile, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	return newOutput(f, fs.drop), nil
}

func (osFS) Lock(dir string) (io.Closer, error) {
	lock, err := lockFile(dir + ".lock") // beside it: the directory will be renamed
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o777); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

func (osFS) Rename(from, to string) error              { return os.Rename(from, to) }
func (osFS) Exchange(a, b string) error                { return exchange(a, b) }
func (osFS) RemoveAll(path string) error               { return os.RemoveAll(path) }
func (osFS) ReadDir(dir string) ([]os.DirEntry, error) { return os.ReadDir(dir) }
func (osFS) SyncDir(dir string) error                  { return syncDir(dir) }
