package mmapio

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// FS is what a [Staging] does to the file system, as an interface so that every
// failure can be rehearsed. [OS] is the real one.
type FS interface {
	// Lock keeps others from locking a name until the returned Closer is closed. It makes
	// a file of that name, and never follows a link there.
	Lock(path string) (io.Closer, error)
	// MakeDir makes a directory that must not exist yet, and holds it.
	MakeDir(path string) (OpenDir, error)
	// Identify distinguishes what a name stands for from all else on its file system, for other
	// processes too. Links are not followed.
	Identify(path string) (string, error)
	// Rename moves a file or directory. A file may replace a file, and a directory an
	// empty one.
	Rename(from, to string) error
	// RenameNew moves a file or directory to a name that must not be taken.
	RenameNew(from, to string) error
	// Exchange swaps two names atomically, or fails with errors.ErrUnsupported.
	Exchange(a, b string) error
	RemoveAll(path string) error
	ReadDir(dir string) ([]os.DirEntry, error)
	// ReadFile reads a regular file of at most so many bytes.
	ReadFile(path string, limit int64) ([]byte, error)
	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error
}

// OpenDir is a directory that is held open: what is done in it is done there, wherever it is
// moved and whatever takes its name.
type OpenDir interface {
	// ID is what Identify says of the directory.
	ID() string
	// Create makes an empty file that must not exist yet, and the directories inside that
	// lead to it.
	Create(name string) (OutputFile, error)
	// Stat says what is under a name. Links are not followed.
	Stat(name string) (os.FileInfo, error)
	Remove(name string) error
	// Sync makes the names in the directory, or in one inside, durable.
	Sync(name string) error
	Close() error
}

// OutputFile is a file being written.
type OutputFile interface {
	io.Writer
	io.WriterAt
	io.ReaderAt // what was written
	io.Closer
	// Truncate makes a new file so long, with zeros, and sets the space aside where the
	// system can.
	Truncate(size int64) error
	// Rewrite says that places will be written to that were written to before: zeros are no longer taken for what the file has
	// anyway.
	Rewrite()
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

func (osFS) Lock(path string) (io.Closer, error)       { return lockFile(path) }
func (osFS) Identify(path string) (string, error)      { return identify(path) }
func (osFS) Rename(from, to string) error              { return rename(from, to) }
func (osFS) RenameNew(from, to string) error           { return renameNew(from, to) }
func (osFS) Exchange(a, b string) error                { return exchange(a, b) }
func (osFS) RemoveAll(path string) error               { return os.RemoveAll(path) }
func (osFS) ReadDir(dir string) ([]os.DirEntry, error) { return os.ReadDir(dir) }

func (osFS) SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(syncDir(f), f.Close())
}

func (osFS) ReadFile(path string, limit int64) ([]byte, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &os.PathError{Op: "read", Path: path, Err: errNotRegular}
	}
	f, _, err := OpenRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = &os.PathError{Op: "read", Path: path, Err: fmt.Errorf("it has more than %d bytes", limit)}
	}
	return data, err
}

var errNotRegular = errors.New("not a regular file")
