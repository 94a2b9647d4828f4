//go:build unix

package mmapio

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A file system without locks is written to without, and said to be one; any other failure is one.
func TestNoLocks(t *testing.T) {
	for _, errno := range []unix.Errno{unix.ENOLCK, unix.EINVAL, unix.ENOSYS, unix.EOPNOTSUPP} {
		path := filepath.Join(t.TempDir(), "lock")
		lock, err := lockBy(path, func(int, int) error { return errno })
		if err != nil {
			t.Errorf("%v: %v", errno, err)
			continue
		}
		if notes := strings.Join(Notices(), "\n"); !strings.Contains(notes, filepath.Dir(path)+": the file system has no locks") {
			t.Errorf("%v: noted is %q", errno, notes)
		}
		if err := lock.Close(); err != nil || exists(path) {
			t.Errorf("%v: closed with %v, there: %v", errno, err, exists(path))
		}
	}
	for errno, want := range map[unix.Errno]error{unix.EIO: unix.EIO, unix.EWOULDBLOCK: ErrLocked} {
		_, err := lockBy(filepath.Join(t.TempDir(), "lock"), func(int, int) error { return errno })
		if !errors.Is(err, want) || len(Notices()) > 0 {
			t.Errorf("%v: %v", errno, err)
		}
	}
	calls := 0
	lock, err := lockBy(filepath.Join(t.TempDir(), "lock"), func(int, int) error {
		if calls++; calls == 1 {
			return unix.EINTR
		}
		return nil
	})
	if err != nil || calls != 2 {
		t.Fatalf("interrupted: %v after %d calls", err, calls)
	}
	lock.Close()
}

// A FIFO in the place of a lock does not hang the run.
func TestLockIsAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	if err := unix.Mkfifo(path, 0o666); err != nil {
		t.Skip(err)
	}
	if _, err := lockFile(path); !errors.Is(err, errNotRegular) {
		t.Errorf("a FIFO as lock: %v", err)
	}
}

// The way without a call of the system's own gives the same results.
func TestRenameNew(t *testing.T) {
	for name, move := range map[string]func(from, to string) error{
		"renameNew": func(from, to string) error { return renameNew(from, to) },
		"linkNew":   func(from, to string) error { return linkNew(from, to) },
	} {
		dir := t.TempDir()
		file, sub, taken, full := filepath.Join(dir, "file"), filepath.Join(dir, "sub"), filepath.Join(dir, "taken"), filepath.Join(dir, "full")
		writeFile(t, file, "new")
		writeFile(t, taken, "mine")
		tree{"x": "y"}.write(t, sub)
		tree{"mine": "z"}.write(t, full)
		for _, from := range []string{file, sub} {
			for _, to := range []string{taken, full} {
				if err := move(from, to); !errors.Is(err, os.ErrExist) {
					t.Errorf("%s: %s to %s: %v", name, from, to, err)
				}
			}
		}
		if readFile(t, taken) != "mine" || !readTree(t, full).equal(tree{"mine": "z"}) {
			t.Errorf("%s: what was there is gone", name)
		}
		if err := errors.Join(move(file, file+"2"), move(sub, sub+"2")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if exists(file) || readFile(t, file+"2") != "new" || exists(sub) || !readTree(t, sub+"2").equal(tree{"x": "y"}) {
			t.Errorf("%s: moved is not what was there", name)
		}
		if err := move(file, file+"3"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: what is not there: %v", name, err)
		}
	}
}
