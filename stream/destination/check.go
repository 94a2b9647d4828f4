package destination

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"weld/format"
	"weld/mmapio"
)

// InUse is something that is read for an output, and must not be where that goes.
type InUse struct {
	Role  string // "base", for messages
	Path  string // as the user named it
	Files []format.InputFile
}

// Candidate is an output before it is begun.
type Candidate struct {
	Name   string
	Kind   mmapio.StagingKind
	Force  bool // what has the name is replaced
	Inputs []InUse
	// Resume is the file system on which an exchange is completed that an earlier run died in; nil leaves everything as it is.
	Resume mmapio.FS
}

// Check demands that the output can be put where it is wanted.
func (o Candidate) Check() error {
	parent := filepath.Dir(filepath.Clean(o.Name))
	switch info, err := os.Stat(parent); {
	case errors.Is(err, os.ErrNotExist), err == nil && !info.IsDir():
		return fmt.Errorf("output %s: there is no directory %s", o.Name, parent)
	case err != nil:
		return fmt.Errorf("output %s: %w", o.Name, err)
	}
	if o.Resume != nil {
		if err := mmapio.Resume(o.Resume, o.Name); err != nil {
			return err
		}
	}
	if err := o.checkNotInput(); err != nil {
		return err
	}
	return o.checkVacant()
}

// checkNotInput refuses an output that would replace or hold an input.
func (o Candidate) checkNotInput() error {
	out, err := os.Stat(o.Name)
	if err != nil {
		return nil // nothing there yet
	}
	for _, in := range o.Inputs {
		for _, f := range in.Files {
			if os.SameFile(out, f.Info) || (out.IsDir() && (below(out, f.Path) || below(out, resolved(f.Path)))) {
				return fmt.Errorf("output %s %s the %s %s: choose another", o.Name, isOrHolds(out, f.Path), in.Role, in.Path)
			}
		}
	}
	return nil
}

// isOrHolds says how an output that is in the way lies to an input's file: it is its place, or a folder further up.
func isOrHolds(out os.FileInfo, path string) string {
	for _, path := range []string{path, resolved(path)} {
		if dir, err := os.Stat(filepath.Dir(path)); !out.IsDir() || err == nil && os.SameFile(out, dir) {
			return "is the place of"
		}
	}
	return "holds"
}

// below reports whether a path leads through a directory.
func below(dir os.FileInfo, path string) bool {
	path, err := filepath.Abs(path)
	if err != nil {
		return false
	}
	for parent := filepath.Dir(path); parent != path; path, parent = parent, filepath.Dir(parent) {
		if info, err := os.Stat(parent); err == nil && os.SameFile(dir, info) {
			return true
		}
	}
	return false
}

// resolved is a path without links, as far as they can be followed.
func resolved(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// checkVacant demands that nothing is in the way, or Force. An empty directory is nothing.
func (o Candidate) checkVacant() error {
	info, err := os.Lstat(o.Name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if real, err := os.Stat(o.Name); err == nil {
		info = real
	}
	wantDir := o.Kind == mmapio.Directory
	if info.IsDir() != wantDir {
		return fmt.Errorf("output %s: a %s of that name is in the way; name another output, or move it away", o.Name, map[bool]string{true: "directory", false: "file"}[info.IsDir()])
	}
	if wantDir {
		if entries, err := os.ReadDir(o.Name); err == nil && len(entries) == 0 {
			return nil
		}
	}
	if !o.Force {
		return fmt.Errorf("output %s %w: --force replaces it", o.Name, mmapio.ErrExists)
	}
	return nil
}
