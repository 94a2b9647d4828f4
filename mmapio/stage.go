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

// Stage is an output under construction: a directory beside the final name, in
// which files are written, and which [Stage.Commit] puts into place. The directory is
// made once and held open: when it, a file in it or the directory around it is removed,
// renamed or replaced, the output is given up and the old one stays. A process
// that dies leaves the stage behind and the final name untouched; the next stage
// for the same name clears it away. Create, Sync, Commit and Discard are for one
// goroutine at a time, but Discard may interrupt Sync; the files may be written to
// from several.
type Stage struct {
	site
	kind  StageKind
	held  HeldDir // of site.dir, as it was made
	lock  io.Closer
	files []*stagedFile
	done  bool
	moved bool // the directory is the output now
}

// StageKind says what appears under the final name.
type StageKind int

const (
	// SingleFile publishes the one file that was created.
	SingleFile StageKind = iota
	// Directory publishes a directory with all of them.
	Directory
)

// ErrExists is wrapped by the error of a commit or a stage whose final name is
// taken.
var ErrExists = errors.New("already exists")

// StagePath is where the stage for a final name lives.
func StagePath(final string) string {
	final = filepath.Clean(final)
	return filepath.Join(filepath.Dir(final), "."+filepath.Base(final)+".weld-tmp")
}

// NewStage makes the stage for an output. It completes an exchange that an earlier process
// died in, clears what else one left there, and fails with [ErrLocked] while a
// living one writes. A link or a file in the place of the stage is refused.
func NewStage(fs FS, final string, kind StageKind) (*Stage, error) {
	s := &Stage{site: siteOf(fs, final), kind: kind}
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

func (s *Stage) begin() error {
	if err := s.settle(); err != nil {
		return err
	}
	if err := s.clear(); err != nil {
		return err
	}
	var err error
	s.held, err = s.fs.MakeDir(s.dir)
	return err
}

// clear removes the stage of a dead process.
func (s *Stage) clear() error {
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
// name may lead into a subdirectory. The file belongs to the stage, which syncs and
// closes it.
func (s *Stage) Create(name string, size int64) (OutputFile, error) {
	if !filepath.IsLocal(name) {
		return nil, fmt.Errorf("%q is not a name inside the output %s", name, s.final)
	}
	file, err := s.held.Create(name)
	if err != nil {
		return nil, errors.Join(s.inPlace(), err)
	}
	f := &stagedFile{OutputFile: file, name: name}
	s.files = append(s.files, f)
	if f.info, err = s.held.Stat(name); err != nil {
		return nil, errors.Join(s.inPlace(), err)
	}
	if size > 0 {
		if err := f.Truncate(size); err != nil {
			return nil, fmt.Errorf("reserve %d bytes: %w", size, err)
		}
	}
	return f, nil
}

// inPlace demands that the stage's name still leads to the directory that is held.
func (s *Stage) inPlace() error {
	id, err := s.fs.Identify(s.dir)
	if err == nil && id != s.held.ID() {
		err = errors.New("something else has its name")
	}
	if err != nil {
		return fmt.Errorf("the stage %s was removed or renamed while weld was writing to it: %w", s.dir, err)
	}
	return nil
}

// Sync brings what was written to the disk. It is part of Commit; those who want to
// stop waiting for a slow disk call it first, from a goroutine of its own.
func (s *Stage) Sync() error {
	for _, f := range s.files {
		if err := f.flush(); err != nil {
			return err
		}
	}
	return nil
}

// SyncUntil is Sync, which can take long, unless ctx ends before.
func (s *Stage) SyncUntil(ctx context.Context) error {
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
// the old one is; the next stage under that name, or [Resume], moves it over.
func (s *Stage) Commit(replace bool, superseded func(name string) bool) error {
	err := s.commit(replace, superseded)
	if err != nil {
		err = fmt.Errorf("commit output %s: %w", s.final, err)
	}
	return errors.Join(err, s.Discard())
}

func (s *Stage) commit(replace bool, superseded func(name string) bool) error {
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

// seal closes the files and demands that they are in the stage and the stage is in its place. It looks
// before they are closed, while no others can have their identities, and as the last thing
// before they are published.
func (s *Stage) seal() error {
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

// whole demands that the stage and all files in it are the ones that were made.
func (s *Stage) whole() error {
	if err := s.inPlace(); err != nil {
		return err
	}
	for _, f := range s.files {
		if err := f.inPlace(s.held); err != nil {
			return errors.Join(s.inPlace(), err)
		}
	}
	return nil
}

// syncDirs makes the names in the stage durable.
func (s *Stage) syncDirs() error {
	dirs := []string{"."}
	for _, f := range s.files {
		for dir := filepath.Dir(f.name); dir != "."; dir = filepath.Dir(dir) {
			dirs = append(dirs, dir)
		}
	}
	slices.Sort(dirs)
	for _, dir := range slices.Compact(dirs) {
		if err := s.held.Sync(dir); err != nil {
			return err
		}
	}
	return nil
}

// publishFile moves the one file to the final name.
func (s *Stage) publishFile(replace bool) error {
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

// publishDir moves the stage to the final name, where nothing is, or an empty directory.
func (s *Stage) publishDir() error {
	if err := s.seal(); err != nil {
		return err
	}
	if err := s.rename(s.dir, s.final); err != nil {
		return s.taken(err)
	}
	return s.fs.SyncDir(filepath.Dir(s.final))
}

// rename moves the stage.
func (s *Stage) rename(from, to string) error {
	if !heldWhileRenamed {
		if err := s.held.Close(); err != nil {
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

// arrived demands that it is the stage that has the final name now: between the last look and the
// move another could have taken its place.
func (s *Stage) arrived() error {
	id, err := s.fs.Identify(s.final)
	if err == nil && id != s.held.ID() {
		s.moved = false
		err = fmt.Errorf("%s is another directory than the one that was written: something took the stage's place", s.final)
	}
	return err
}

// taken explains why a move to the final name failed.
func (s *Stage) taken(err error) error {
	if errors.Is(err, os.ErrExist) || errors.Is(err, syscall.ENOTDIR) {
		return errors.Join(&os.PathError{Op: "publish", Path: s.final, Err: ErrExists}, err)
	}
	return errors.Join(err, s.inPlace())
}

// occupied tells whether something is under the final name that the output may
// replace; it is an error if it may not. An empty directory is nothing.
func (s *Stage) occupied(replace bool) (bool, error) {
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

// Discard ends the stage and removes what it holds. After a commit it does
// nothing; it may be called twice.
func (s *Stage) Discard() error {
	if s.done {
		return nil
	}
	s.done = true
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.shut())
	}
	if !s.moved {
		errs = append(errs, s.remove())
	}
	if heldWhileRenamed || !s.moved {
		errs = append(errs, s.held.Close())
	}
	return errors.Join(append(errs, s.lock.Close())...)
}

// remove removes the stage: under its name, or, if that leads elsewhere by now, the files that
// were written, wherever the directory is.
func (s *Stage) remove() error {
	switch id, err := s.fs.Identify(s.dir); {
	case err == nil && id == s.held.ID():
		return s.fs.RemoveAll(s.dir)
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return err
	}
	if id, err := s.fs.Identify(s.final); err == nil && id == s.held.ID() {
		return nil // it is the output, whatever the rename said
	}
	var errs []error
	for _, f := range s.files {
		if err := s.held.Remove(f.name); !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
