package mmapio

import (
	"errors"
	"testing"
)

// withScratch publishes a file of what waited in two others, of which one is closed.
func withScratch(fs FS, final string) (err error) {
	s, err := NewStaging(fs, final, SingleFile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Discard()) }()
	out, err := s.Create("out", 0)
	if err != nil {
		return err
	}
	for _, closed := range []bool{true, false} {
		f, err := s.Scratch()
		if err != nil {
			return err
		}
		for _, at := range []int64{4, 0} { // in any order
			if _, err := f.WriteAt([]byte("wait"), at); err != nil {
				return err
			}
		}
		waited := make([]byte, 8)
		if _, err := f.ReadAt(waited, 0); err != nil {
			return err
		}
		if _, err := out.Write(waited); err != nil {
			return err
		}
		if !closed {
			continue
		}
		if err := errors.Join(f.Close(), f.Close()); err != nil {
			return err
		}
	}
	if err := s.Sync(); err != nil {
		return err
	}
	return s.Commit(false, nil)
}

// What waits is no part of the output, and nothing of it is left, whether it was closed or not, and whatever fails.
func TestScratch(t *testing.T) {
	for n := 0; ; n++ {
		dir, final := outputDir(t, nil)
		disk := &errorFS{FS: OS, failAt: n}
		err := withScratch(disk, final)
		tree := readTree(t, dir)
		switch {
		case len(disk.failed) > 0 && !errors.Is(err, errInjected):
			t.Errorf("%s: the failure does not surface: %v", disk.failed[0], err)
		case err == nil && (len(tree) != 1 || tree["out"] != "waitwaitwaitwait"):
			t.Errorf("there is %v", tree)
		case err != nil && !errors.Is(err, errInjected):
			t.Fatal(err)
		case err != nil:
			checkLeftovers(t, disk.failed[0], dir, err)
		}
		if n > 0 && disk.failed == nil {
			if n < 20 {
				t.Errorf("%d operations only", n)
			}
			return
		}
	}
}

// Beside the files of a directory there is no place: it would be published with them.
func TestNoScratchInDirectories(t *testing.T) {
	_, final := outputDir(t, nil)
	s, err := NewStaging(OS, final, Directory)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Discard()
	if f, err := s.Scratch(); err == nil {
		f.Close()
		t.Error("there is one")
	}
}
