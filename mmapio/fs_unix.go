//go:build unix

package mmapio

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// renamesOpenDirs: a directory can be renamed while it is held.
const renamesOpenDirs = true

// lockFile takes an advisory lock that ends with the process, so that what a killed
// run left can be distinguished from what a running one writes.
func lockFile(path string) (io.Closer, error) { return lockBy(path, unix.Flock) }

// lockBy is lockFile by flock, or what a test has for it.
func lockBy(path string, flock func(fd, how int) error) (io.Closer, error) {
	failed := func(err error) error { return &os.PathError{Op: "lock", Path: path, Err: err} }
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o666)
		if errors.Is(err, unix.ELOOP) {
			return nil, failed(errors.New("a symbolic link is in the place of the lock: remove it"))
		}
		if err != nil {
			return nil, err
		}
		if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
			return nil, errors.Join(failed(fmt.Errorf("%w is in the place of the lock: remove it", errNotRegular)), err, f.Close())
		}
		err = flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case errors.Is(err, unix.EINTR):
			f.Close()
			continue
		case hasNoLocks(err): // some network file systems; that is no reason not to write there
			notice("lock "+path, "%s: the file system has no locks (%v): nothing keeps another run from writing the same output meanwhile", filepath.Dir(path), err)
		case errors.Is(err, unix.EWOULDBLOCK):
			return nil, errors.Join(failed(ErrLocked), f.Close())
		case err != nil:
			return nil, errors.Join(failed(err), f.Close())
		}
		if isAt(f, path) {
			return fileLock{f}, nil
		}
		f.Close() // the holder before has removed it since it was opened
	}
}

// hasNoLocks reports whether the error says that the file system does not lock.
func hasNoLocks(err error) bool {
	return errors.Is(err, unix.ENOLCK) || errors.Is(err, unix.EINVAL) || errors.Is(err, errors.ErrUnsupported)
}

func isAt(f *os.File, path string) bool {
	held, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(path)
	return err == nil && os.SameFile(held, named)
}

// fileLock removes its file before it lets go of it, if it is still there.
type fileLock struct{ file *os.File }

func (l fileLock) Close() error {
	var err error
	if isAt(l.file, l.file.Name()) {
		err = os.Remove(l.file.Name())
	}
	return errors.Join(err, l.file.Close())
}

// identify has the number of the inode alone: that of the device may change from one mount
// to the next.
func identify(path string) (string, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	return strconv.FormatUint(uint64(info.Sys().(*syscall.Stat_t).Ino), 10), nil
}

// rename is the system's: that of package os does not replace an empty directory.
func rename(from, to string) error {
	if err := unix.Rename(from, to); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

func renameNew(from, to string) error {
	err := renameExclusive(from, to)
	if errors.Is(err, errors.ErrUnsupported) {
		err = linkNew(from, to)
	}
	return err
}

// linkNew is renameNew where the system has no call for it. A file gets a second name and
// loses the first. What cannot have two names (a directory, a file on FAT) is renamed
// when nothing is seen in the way; a file that appears between the two calls is replaced then.
func linkNew(from, to string) error {
	err := os.Link(from, to)
	if err == nil {
		return os.Remove(from)
	}
	if errors.Is(err, os.ErrExist) || errors.Is(err, os.ErrNotExist) {
		return err
	}
	if _, err := os.Lstat(to); !errors.Is(err, os.ErrNotExist) {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: errors.Join(os.ErrExist, err)}
	}
	return os.Rename(from, to)
}

// syncDir leaves it at what the file system can do: some cannot sync a directory.
func syncDir(f *os.File) error {
	err := f.Sync()
	if errors.Is(err, unix.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	return err
}

// FreeSpace says how many bytes a user may still write below dir; ok is false
// where the system does not say.
func FreeSpace(dir string) (free int64, ok bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, false
	}
	return int64(st.Bavail) * int64(st.Bsize), true
}
