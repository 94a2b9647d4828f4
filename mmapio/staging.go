package mmapio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// Staging is an output under construction: a directory beside the final name, in
// which files are written, and which [Staging.Commit] puts into place. The directory is
// made once and held open: when it, a file in it or the directory around it is removed,
// renamed or replaced, the output is given up and the old one stays. A process
// that dies leaves the staging directory behind and the final name untouched; the next staging directory
// for the same name clears it away. Create, Sync, Commit and Discard are for one
// goroutine at a time, but Discard may interrupt Sync; Scratch may be called, and the files may be written to,
// from several.
type Staging struct {
	outputNames
	kind   StagingKind
	opened OpenDir // of site.dir, as it was made
	lock   io.Closer
	files  []*stagedFile
	spare  scratchFiles
	done   bool
	moved  bool // the directory is the output now
}

// StagingKind says what appears under the final name.
type StagingKind int

const (
	// SingleFile publishes the one file that was created.
	SingleFile StagingKind = iota
	// Directory publishes a directory with all of them.
	Directory
)

// ErrExists is wrapped by the error of a commit or a staging directory whose final name is
// taken.
var ErrExists = errors.New("already exists")

// StagingPath is where the staging directory for a final name lives.
func StagingPath(final string) string {
	final = filepath.Clean(final)
	return filepath.Join(filepath.Dir(final), "."+filepath.Base(final)+".weld-tmp")
}

// NewStaging makes the staging directory for an output. It completes an exchange that an earlier process
// died in, clears what else one left there, and fails with [ErrLocked] while a
// living one writes. A link or a file in the place of the staging directory is refused.
func NewStaging(fs FS, final string, kind StagingKind) (*Staging, error) {
	s := &Staging{outputNames: outputNamesOf(fs, final), kind: kind}
	failed := func(err error) error { return fmt.Errorf("prepare output %s: %w", s.final, err) }
	var err error
	if s.lock, err = fs.Lock(s.lockPath()); err != nil {
		return nil, failed(err)
	}
	if err := s.begin(); err != nil {
		return nil, errors.Join(failed(err), s.lock.Close())
	}
	return s, nil
}

func (s *Staging) begin() error {
	if err := s.settle(); err != nil {
		return err
	}
	if err := s.clear(); err != nil {
		return err
	}
	var err error
	s.opened, err = s.fs.MakeDir(s.dir)
	return err
}

// clear removes the staging directory of a dead process.
func (s *Staging) clear() error {
	switch info, err := os.Lstat(s.dir); {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.IsDir():
		return inTheWay(s.dir)
	}
	return s.fs.RemoveAll(s.dir)
}

// inTheWay is the error for what is under a name where weld only leaves directories.
func inTheWay(path string) error {
	return fmt.Errorf("%s is in the way and no directory, as what weld leaves there is: look at it and remove it", path)
}

// Create makes a file of the output, size bytes long; 0 for one that grows. The
// name may lead into a subdirectory. The file belongs to the staging directory, which syncs and
// closes it.
func (s *Staging) Create(name string, size int64) (OutputFile, error) {
	if !filepath.IsLocal(name) {
		return nil, fmt.Errorf("%q is not a name inside the output %s", name, s.final)
	}
	file, err := s.opened.Create(name)
	if err != nil {
		return nil, errors.Join(s.inPlace(), err)
	}
	f := &stagedFile{OutputFile: file, name: name}
	s.files = append(s.files, f)
	if f.info, err = s.opened.Stat(name); err != nil {
		return nil, errors.Join(s.inPlace(), err)
	}
	if size > 0 {
		if err := f.Truncate(size); err != nil {
			return nil, fmt.Errorf("reserve %d bytes: %w", size, err)
		}
	}
	return f, nil
}

// inPlace demands that the staging directory's name still leads to the directory that is held.
func (s *Staging) inPlace() error {
	id, err := s.fs.Identify(s.dir)
	if err == nil && id != s.opened.ID() {
		err = errors.New("something else has its name")
	}
	if err != nil {
		return fmt.Errorf("the stage %s was removed or renamed while weld was writing to it: %w", s.dir, err)
	}
	return nil
}

// Sync brings what was written to the disk. It is part of Commit; those who want to
// stop waiting for a slow disk call it first, from a goroutine of its own.
func (s *Staging) Sync() error {
	for _, f := range s.files {
		if err := f.flush(); err != nil {
			return err
		}
	}
	return nil
}

// SyncUntil is Sync, which can take long, unless ctx ends before.
func (s *Staging) SyncUntil(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- s.Sync() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Commit brings every file to the disk, then makes the output appear under its
// final name in one step: a reader sees the old state or the new one. Without
// replace an output that exists is kept, also one that appeared a moment ago, and the
// error wraps [ErrExists].
//
// A directory that is replaced keeps its other files: whatever the new one does
// not have and superseded does not name moves over, in subdirectories too. Where that
// fails, the new output is complete and in place, and the error says where the rest of
// the old one is; the next staging directory under that name, or [Resume], moves it over.
func (s *Staging) Commit(replace bool, superseded func(name string) bool) error {
	err := s.commit(replace, superseded)
	if err != nil {
		err = fmt.Errorf("commit output %s: %w", s.final, err)
	}
	return errors.Join(err, s.Discard())
}

func (s *Staging) commit(replace bool, superseded func(name string) bool) error {
	if err := s.spare.shut(); err != nil {
		return err
	}
	if err := s.Sync(); err != nil {
		return err
	}
	if err := s.inPlace(); err != nil {
		return err
	}
	if err := s.syncDirs(); err != nil {
		return err
	}
	there, err := s.occupied(replace)
	if err != nil {
		return err
	}
	switch {
	case s.kind == SingleFile:
		return s.publishFile(replace)
	case there:
		return s.replaceDir(superseded)
	}
	return s.publishDir()
}

// seal closes the files and demands that they are in the staging directory and the staging directory is in its place. It looks
// before they are closed, while no others can have their identities, and as the last thing
// before they are published.
func (s *Staging) seal() error {
	if err := s.whole(); err != nil {
		return err
	}
	for _, f := range s.files {
		if err := f.shut(); err != nil {
			return err
		}
	}
	return s.whole()
}

// whole demands that the staging directory and all files in it are the ones that were made.
func (s *Staging) whole() error {
	if err := s.inPlace(); err != nil {
		return err
	}
	for _, f := range s.files {
		if err := f.inPlace(s.opened); err != nil {
			return errors.Join(s.inPlace(), err)
		}
	}
	return nil
}

// syncDirs makes the names in the staging directory durable.
func (s *Staging) syncDirs() error {
	dirs := []string{"."}
	for _, f := range s.files {
		for dir := filepath.Dir(f.name); dir != "."; dir = filepath.Dir(dir) {
			dirs = append(dirs, dir)
		}
	}
	slices.Sort(dirs)
	for _, dir := range slices.Compact(dirs) {
		if err := s.opened.Sync(dir); err != nil {
			return err
		}
	}
	return nil
}

// publishFile moves the one file to the final name.
func (s *Staging) publishFile(replace bool) error {
	if len(s.files) != 1 {
		return fmt.Errorf("a single-file output has %d files", len(s.files))
	}
	if err := s.seal(); err != nil {
		return err
	}
	f := s.files[0]
	move := s.fs.RenameNew
	if replace {
		move = s.fs.Rename
	}
	if err := move(filepath.Join(s.dir, f.name), s.final); err != nil {
		return s.taken(err)
	}
	if info, err := os.Lstat(s.final); err != nil || !os.SameFile(info, f.info) {
		return errors.Join(fmt.Errorf("%s is another file than the one that was written", s.final), err)
	}
	return s.fs.SyncDir(filepath.Dir(s.final))
}

// publishDir moves the staging directory to the final name, where nothing is, or an empty directory.
func (s *Staging) publishDir() error {
	if err := s.seal(); err != nil {
		return err
	}
	if err := s.rename(s.dir, s.final); err != nil {
		return s.taken(err)
	}
	return s.fs.SyncDir(filepath.Dir(s.final))
}

// rename moves the staging directory.
func (s *Staging) rename(from, to string) error {
	if !renamesOpenDirs {
		if err := s.opened.Close(); err != nil {
			return err
		}
	}
	if err := s.fs.Rename(from, to); err != nil {
		return err
	}
	s.moved = true
	err := s.arrived()
	if !s.moved {
		err = errors.Join(err, s.fs.Rename(to, from))
	}
	return err
}

// arrived demands that it is the staging directory that has the final name now: between the last look and the
// move another could have taken its place.
func (s *Staging) arrived() error {
	id, err := s.fs.Identify(s.final)
	if err == nil && id != s.opened.ID() {
		s.moved = false
		err = fmt.Errorf("%s is another directory than the one that was written: something took the stage's place", s.final)
	}
	return err
}

// taken explains why a move to the final name failed.
func (s *Staging) taken(err error) error {
	if errors.Is(err, os.ErrExist) || errors.Is(err, syscall.ENOTDIR) {
		return errors.Join(&os.PathError{Op: "publish", Path: s.final, Err: ErrExists}, err)
	}
	return errors.Join(err, s.inPlace())
}

// occupied reports whether something is under the final name that the output may
// replace; it is an error if it may not. An empty directory is nothing.
func (s *Staging) occupied(replace bool) (bool, error) {
	info, err := os.Lstat(s.final)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if info.IsDir() != (s.kind == Directory) {
		return false, &os.PathError{Op: "publish", Path: s.final, Err: fmt.Errorf("something of another kind %w", ErrExists)}
	}
	if info.IsDir() {
		if entries, err := s.fs.ReadDir(s.final); err != nil || len(entries) == 0 {
			return false, err
		}
	}
	if replace {
		return true, nil
	}
	return false, &os.PathError{Op: "publish", Path: s.final, Err: ErrExists}
}

// Discard ends the staging directory and removes what it holds. After a commit it does
// nothing; it may be called twice.
func (s *Staging) Discard() error {
	if s.done {
		return nil
	}
	s.done = true
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.shut())
	}
	errs = append(errs, s.spare.shut())
	if !s.moved {
		errs = append(errs, s.remove())
	}
	if renamesOpenDirs || !s.moved {
		errs = append(errs, s.opened.Close())
	}
	return errors.Join(append(errs, s.lock.Close())...)
}

// remove removes the staging directory: under its name, or, if that leads elsewhere by now, the files that
// were written, wherever the directory is.
func (s *Staging) remove() error {
	switch id, err := s.fs.Identify(s.dir); {
	case err == nil && id == s.opened.ID():
		return s.fs.RemoveAll(s.dir)
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return err
	}
	if id, err := s.fs.Identify(s.final); err == nil && id == s.opened.ID() {
		return nil // it is the output, whatever the rename said
	}
	var errs []error
	for _, f := range s.files {
		if err := s.opened.Remove(f.name); !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
