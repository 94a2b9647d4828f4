package mmapio

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Stage is an output under construction: a directory beside the final name, in
// which files are written, and which [Stage.Commit] puts into place. A process
// that dies leaves the stage behind and the final name untouched; the next stage
// for the same name clears it away.
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
	if real, err := filepath.EvalSymlinks(final); err == nil {
		final = real // replace what the link points at, not the link
	}
	s := &Stage{fs: fs, final: filepath.Clean(final), dir: StagePath(final), kind: kind}
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

// Close closes the file early, when it is complete; the stage will not do it again.
func (f *stagedFile) Close() error {
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
		if f.synced {
			continue
		}
		if err := f.Sync(); err != nil {
			return err
		}
		f.synced = true
	}
	return nil
}

// Commit brings every file to the disk, then makes the output appear under its
// final name in one step: a reader sees the old state or the new one. Without
// replace an output that exists is kept, and the error wraps [ErrExists].
//
// A directory that is replaced keeps its other files: whatever the new one does
// not have and superseded does not name moves over.
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
		if err := f.Close(); err != nil {
			return err
		}
	}
	if err := s.fs.SyncDir(s.dir); err != nil {
		return err
	}
	if err := s.publish(replace, superseded); err != nil {
		return err
	}
	return s.fs.SyncDir(filepath.Dir(s.final))
}

func (s *Stage) publish(replace bool, superseded func(name string) bool) error {
	state, err := s.occupied()
	if err != nil {
		return err
	}
	if state == taken && !replace {
		return &os.PathError{Op: "publish", Path: s.final, Err: ErrExists}
	}
	if s.kind == SingleFile {
		if len(s.files) != 1 {
			return fmt.Errorf("a single-file output has %d files", len(s.files))
		}
		return s.fs.Rename(filepath.Join(s.dir, s.files[0].name), s.final)
	}
	if state == taken {
		return s.swap(superseded)
	}
	if state == emptyDir { // not every system lets a rename replace it
		if err := s.fs.RemoveAll(s.final); err != nil {
			return err
		}
	}
	return s.fs.Rename(s.dir, s.final)
}

type occupancy int

const (
	vacant occupancy = iota
	emptyDir
	taken
)

func (s *Stage) occupied() (occupancy, error) {
	info, err := os.Lstat(s.final)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return vacant, nil
	case err != nil:
		return 0, err
	case !info.IsDir() || s.kind == SingleFile:
		return taken, nil
	}
	entries, err := s.fs.ReadDir(s.final)
	if err != nil {
		return 0, err
	}
	if len(entries) == 0 {
		return emptyDir, nil
	}
	return taken, nil
}

// swap exchanges the new directory with the old, then saves from the old what is
// not replaced. The rest of the old goes with the stage.
func (s *Stage) swap(superseded func(name string) bool) error {
	old := s.dir // after the exchange
	switch err := s.fs.Exchange(s.dir, s.final); {
	case errors.Is(err, errors.ErrUnsupported):
		old = s.dir + "-old"
		if err := s.fs.Rename(s.final, old); err != nil {
			return err
		}
		if err := s.fs.Rename(s.dir, s.final); err != nil {
			return errors.Join(err, s.fs.Rename(old, s.final))
		}
	case err != nil:
		return err
	}
	fresh := make(map[string]bool)
	for _, f := range s.files {
		top, _, _ := strings.Cut(filepath.ToSlash(f.name), "/")
		fresh[top] = true
	}
	entries, err := s.fs.ReadDir(old)
	if err != nil {
		s.keep = true
		return fmt.Errorf("the new output is in place, the old one is in %s: %w", old, err)
	}
	for _, e := range entries {
		if fresh[e.Name()] || superseded(e.Name()) {
			continue
		}
		if err := s.fs.Rename(filepath.Join(old, e.Name()), filepath.Join(s.final, e.Name())); err != nil {
			s.keep = true
			return fmt.Errorf("the new output is in place, but %s could not be moved over from %s: %w", e.Name(), old, err)
		}
	}
	return s.fs.RemoveAll(old)
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
		errs = append(errs, f.Close())
	}
	if !s.keep {
		errs = append(errs, s.fs.RemoveAll(s.dir))
	}
	return errors.Join(append(errs, s.lock.Close())...)
}
