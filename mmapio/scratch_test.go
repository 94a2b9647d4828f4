package mmapio

import (
	"errors"
	"path/filepath"
	"testing"
)

// withScratch publishes a file of what waited in two others, of which one is closed.
func withScratch(fs FS, final string, kind StagingKind) (err error) {
	s, err := NewStaging(fs, final, kind)
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
	for kind, name := range map[StagingKind]string{SingleFile: "out", Directory: filepath.Join("out", "out")} {
		t.Run(name, func(t *testing.T) { failScratch(t, kind, name) })
	}
}

// failScratch fails every operation in turn.
func failScratch(t *testing.T, kind StagingKind, name string) {
	for n := 0; ; n++ {
		dir, final := outputDir(t, nil)
		disk := &errorFS{FS: OS, failAt: n}
		err := withScratch(disk, final, kind)
		tree := readTree(t, dir)
		switch {
		case len(disk.failed) > 0 && !errors.Is(err, errInjected):
			t.Errorf("%s: the failure does not surface: %v", disk.failed[0], err)
		case err == nil && (len(tree) != 1 || tree[name] != "waitwaitwaitwait"):
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
