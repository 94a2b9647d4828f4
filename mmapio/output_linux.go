package mmapio

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// behind follows a file that is being written with sync_file_range(2) and fadvise(2).
type behind struct {
	works bool // false in memory: there is no disk to be brought to
	drop  bool
	batch int64 // bytes that are started at a time
}

func newBehind(f *os.File, drop bool) behind {
	var st unix.Statfs_t
	err := unix.Fstatfs(int(f.Fd()), &st)
	b := behind{works: err == nil && st.Type != unix.TMPFS_MAGIC && st.Type != unix.RAMFS_MAGIC, drop: drop, batch: writeBehind}
	if b.works && drop {
		b.batch = WriteBatch(AvailableMemory())
	}
	return b
}

// reserve sets the space aside, so that the disk is full now or not at all, and the file
// lies in one piece. A file system that cannot is written without.
func (b behind) reserve(f *os.File, size int64) error {
	if !b.works || size == 0 {
		return nil
	}
	for {
		switch err := unix.Fallocate(int(f.Fd()), 0, 0, size); {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT), errors.Is(err, unix.EFBIG):
			return &os.PathError{Op: "allocate", Path: f.Name(), Err: err}
		default:
			return nil
		}
	}
}

// ahead sets space aside behind the end of a file, which stays where it is.
func (behind) ahead(f *os.File, off, n int64) bool {
	for {
		err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, off, n)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}

// start begins to write a range back.
func (b behind) start(f *os.File, e fileRange) error {
	return b.sync(f, e, unix.SYNC_FILE_RANGE_WRITE)
}

// finish waits until a range is on the disk, and drops it from the cache.
func (b behind) finish(f *os.File, e fileRange) error {
	if e.n == 0 {
		return nil
	}
	err := b.sync(f, e, unix.SYNC_FILE_RANGE_WAIT_BEFORE|unix.SYNC_FILE_RANGE_WRITE|unix.SYNC_FILE_RANGE_WAIT_AFTER)
	if b.drop {
		_ = unix.Fadvise(int(f.Fd()), e.off, e.n, unix.FADV_DONTNEED)
	}
	return err
}

// forget drops all of a file that is on the disk from the cache.
func (b behind) forget(f *os.File) {
	if b.works && b.drop {
		_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
	}
}

// sync is sync_file_range(2), where the file system has it. Its errors count: the system
// reports each once, and would not repeat it at the final sync.
func (behind) sync(f *os.File, e fileRange, flags int) error {
	for {
		switch err := unix.SyncFileRange(int(f.Fd()), e.off, e.n, flags); {
		case errors.Is(err, unix.EINTR):
		case err == nil, errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ESPIPE), errors.Is(err, errors.ErrUnsupported):
			return nil
		default:
			return &os.PathError{Op: "write", Path: f.Name(), Err: err}
		}
	}
}

// copyRange copies inside the kernel, by reference where the file system can.
func copyRange(dst *os.File, to int64, src *os.File, from, n int64) (int64, error) {
	for {
		done, err := unix.CopyFileRange(int(src.Fd()), &from, int(dst.Fd()), &to, int(n), 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EXDEV), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS),
			errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EPERM), errors.Is(err, unix.EBADF):
			return 0, errors.ErrUnsupported
		}
		return int64(max(done, 0)), err
	}
}
