package mmapio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// Stage is an output under construction: a directory beside the final name, in
// which files are written, and which [Stage.Commit] puts into place. A process
// that dies leaves the stage behind and the final name untouched; the next stage
// for the same name clears it away. Create, Sync, Commit and Discard are for one
// goroutine at a time, but Discard may interrupt Sync; the files may be written to
// from several.
type Stage struct {
	fs    FS
	final string // where the output will appear
	dir   string // where it is written
	kind  StageKind
	lock  io.Closer
	files []*stagedFile
	done  bool
	keep  bool // the stage's directory holds what must not be lost
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

type stagedFile struct {
	OutputFile
	name   string
	synced bool
	closed bool
}

// StagePath is where the stage for a final name lives.
func StagePath(final string) string {
	final = filepath.Clean(final)
	return filepath.Join(filepath.Dir(final), "."+filepath.Base(final)+".weld-tmp")
}

// NewStage makes the stage for an output. It clears what an earlier, dead process
// left there, and fails with [ErrLocked] while a living one writes.
func NewStage(fs FS, final string, kind StageKind) (*Stage, error) {
	final = place(final)
	s := &Stage{fs: fs, final: final, dir: StagePath(final), kind: kind}
	lock, err := fs.Lock(s.dir)
	if err != nil {
		return nil, fmt.Errorf("prepare output %s: %w", final, err)
	}
	s.lock = lock
	if err := s.clear(); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare output %s: %w", final, err), s.Discard())
	}
	return s, nil
}

// place is where a final name leads. What a link points at is replaced, not the link,
// and the working directory has its stage beside it, not inside.
func place(final string) string {
	if real, err := filepath.EvalSymlinks(final); err == nil {
		final = real
	}
	if base := filepath.Base(final); base == "." || base == ".." {
		if abs, err := filepath.Abs(final); err == nil {
			final = abs
		}
	}
	return filepath.Clean(final)
}

// aside is where the old output waits while the new one takes its place.
func (s *Stage) aside() string { return s.dir + "-old" }

func (s *Stage) clear() error {
	entries, err := s.fs.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := s.fs.RemoveAll(filepath.Join(s.dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// Create makes a file of the output, size bytes long; 0 for one that grows. The
// name may lead into a subdirectory. The file belongs to the stage, which syncs and
// closes it.
func (s *Stage) Create(name string, size int64) (OutputFile, error) {
	if !filepath.IsLocal(name) {
		return nil, fmt.Errorf("%q is not a name inside the output %s", name, s.final)
	}
	file, err := s.fs.Create(filepath.Join(s.dir, name))
	if err != nil {
		return nil, err
	}
	f := &stagedFile{OutputFile: file, name: name}
	s.files = append(s.files, f)
	if size > 0 {
		if err := file.Truncate(size); err != nil {
			return nil, fmt.Errorf("reserve %d bytes: %w", size, err)
		}
	}
	return f, nil
}

// Close brings the file to the disk and closes it early, when it is complete; the
// stage will not do it again.
func (f *stagedFile) Close() error {
	if f.closed {
		return nil
	}
	return errors.Join(f.flush(), f.shut())
}

// CopyAt implements [Copier], where the file system's files do.
func (f *stagedFile) CopyAt(src *File, from, n, off int64) error {
	if c, ok := f.OutputFile.(Copier); ok {
		return c.CopyAt(src, from, n, off)
	}
	return errors.ErrUnsupported
}

func (f *stagedFile) flush() error {
	if f.synced {
		return nil
	}
	if err := f.OutputFile.Sync(); err != nil {
		return err
	}
	f.synced = true
	return nil
}

func (f *stagedFile) shut() error {
	if f.closed {
		return nil
	}
	f.closed = true
	return f.OutputFile.Close()
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
// replace an output that exists is kept, and the error wraps [ErrExists].
//
// A directory that is replaced keeps its other files: whatever the new one does
// not have and superseded does not name moves over. Where that fails, the new output
// is complete and in place, and the error says where the rest of the old one is; the
// next commit under that name moves it over.
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
	for _, f := range s.files {
		if err := f.shut(); err != nil {
			return err
		}
	}
	if err := s.syncDirs(); err != nil {
		return err
	}
	if s.kind == SingleFile {
		return s.publishFile(replace)
	}
	return s.publishDir(replace, superseded)
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
		if err := s.fs.SyncDir(filepath.Join(s.dir, dir)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Stage) publishFile(replace bool) error {
	if len(s.files) != 1 {
		return fmt.Errorf("a single-file output has %d files", len(s.files))
	}
	if _, err := s.occupied(replace); err != nil {
		return err
	}
	if err := s.fs.Rename(filepath.Join(s.dir, s.files[0].name), s.final); err != nil {
		return err
	}
	return s.fs.SyncDir(filepath.Dir(s.final))
}

func (s *Stage) publishDir(replace bool, superseded func(name string) bool) error {
	there, err := s.occupied(replace)
	if err != nil {
		return err
	}
	if there {
		if err := s.carry(superseded); err != nil { // what a dead process left
			return err
		}
		err = s.swap()
	} else {
		err = s.fs.Rename(s.dir, s.final)
	}
	if err != nil {
		return err
	}
	if err := s.fs.SyncDir(filepath.Dir(s.final)); err != nil {
		return s.leftOver(err)
	}
	return s.carry(superseded)
}

// occupied tells whether something is under the final name that the output may
// replace; it is an error if it may not.
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
	if replace {
		return true, nil
	}
	if info.IsDir() {
		if entries, err := s.fs.ReadDir(s.final); err != nil || len(entries) == 0 {
			return true, err
		}
	}
	return false, &os.PathError{Op: "publish", Path: s.final, Err: ErrExists}
}

// swap puts the new directory into the place of the old, which it sets aside. If it
// fails the old one is back in its place.
func (s *Stage) swap() error {
	err := s.fs.Exchange(s.dir, s.final)
	if errors.Is(err, errors.ErrUnsupported) {
		return s.swapInSteps()
	}
	if err != nil {
		return err
	}
	if err := s.fs.Rename(s.dir, s.aside()); err != nil {
		undo := s.fs.Exchange(s.dir, s.final)
		if undo != nil {
			s.keep = true
			undo = fmt.Errorf("the new output is in place, the old one is in %s: %w", s.dir, undo)
		}
		return errors.Join(err, undo)
	}
	return nil
}

// swapInSteps is swap where two names cannot be exchanged: between the renames there
// is neither the old output nor the new.
func (s *Stage) swapInSteps() error {
	if err := s.fs.Rename(s.final, s.aside()); err != nil {
		return err
	}
	if err := s.fs.Rename(s.dir, s.final); err != nil {
		undo := s.fs.Rename(s.aside(), s.final)
		if undo != nil {
			undo = fmt.Errorf("the old output is in %s: %w", s.aside(), undo)
		}
		return errors.Join(err, undo)
	}
	return nil
}

// carry moves what is to be kept of the old output over from aside, if there is one,
// and removes the rest.
func (s *Stage) carry(superseded func(name string) bool) error {
	entries, err := s.fs.ReadDir(s.aside())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return s.leftOver(err)
	}
	for _, e := range entries {
		to := filepath.Join(s.final, e.Name())
		if _, err := os.Lstat(to); err == nil || (superseded != nil && superseded(e.Name())) {
			continue
		}
		if err := s.fs.Rename(filepath.Join(s.aside(), e.Name()), to); err != nil {
			return s.leftOver(err)
		}
	}
	if err := s.fs.SyncDir(s.final); err != nil {
		return s.leftOver(err)
	}
	if err := s.fs.RemoveAll(s.aside()); err != nil {
		return s.leftOver(err)
	}
	return nil
}

// leftOver adds to an error where the old output is, if it is not gone.
func (s *Stage) leftOver(err error) error {
	if _, gone := os.Lstat(s.aside()); gone != nil {
		return err
	}
	return fmt.Errorf("the rest of the old output is in %s: %w", s.aside(), err)
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
	if !s.keep {
		errs = append(errs, s.fs.RemoveAll(s.dir))
	}
	return errors.Join(append(errs, s.lock.Close())...)
}
