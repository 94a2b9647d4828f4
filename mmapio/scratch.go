package mmapio

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
)

// Scratch makes a file beside those of an output, for what has to wait until it is written there. It is no part of
// the output: closing it removes it, and so do a commit and the end of the staging directory.
func (s *Staging) Scratch() (OutputFile, error) {
	f, err := s.spare.create(s.opened)
	if err != nil {
		return nil, errors.Join(s.inPlace(), err)
	}
	return f, nil
}

// scratchFiles are those that were not closed yet.
type scratchFiles struct {
	mu   sync.Mutex
	made int
	open map[*scratchFile]struct{}
}

// scratchFile removes itself when it is closed.
type scratchFile struct {
	OutputFile
	of   *scratchFiles
	dir  OpenDir
	name string
}

func (l *scratchFiles) create(dir OpenDir) (*scratchFile, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := &scratchFile{of: l, dir: dir, name: fmt.Sprintf(".scratch-%d", l.made)}
	var err error
	if f.OutputFile, err = dir.Create(f.name); err != nil {
		return nil, err
	}
	if l.made++; l.open == nil {
		l.open = make(map[*scratchFile]struct{})
	}
	l.open[f] = struct{}{}
	return f, nil
}

// Close closes the file and removes it. It may be called twice.
func (f *scratchFile) Close() error {
	f.of.mu.Lock()
	_, open := f.of.open[f]
	delete(f.of.open, f)
	f.of.mu.Unlock()
	if !open {
		return nil
	}
	errs := []error{f.OutputFile.Close()}
	if err := f.dir.Remove(f.name); !errors.Is(err, os.ErrNotExist) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// shut closes all.
func (l *scratchFiles) shut() error {
	l.mu.Lock()
	open := slices.Collect(maps.Keys(l.open))
	l.mu.Unlock()
	var errs []error
	for _, f := range open {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
