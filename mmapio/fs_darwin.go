package mmapio

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// exchange swaps two names with renameatx_np(2), where the file system can.
func exchange(a, b string) error {
	return renameatx(a, b, unix.RENAME_SWAP)
}

// renameExclusive renames without replacement, where the file system can.
func renameExclusive(from, to string) error {
	return renameatx(from, to, unix.RENAME_EXCL)
}

func renameatx(from, to string, flags uint32) error {
	err := unix.RenameatxNp(unix.AT_FDCWD, from, unix.AT_FDCWD, to, flags)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return errors.ErrUnsupported
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}
