package mmapio

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// A directory is replaced in steps, any of which can be the last that a process does:
//
//  1. a record beside the staging directory says which directory is new, which is old, and what of the old
//     one the new one stands for; it is on the disk before anything moves;
//  2. staging directory and output swap their names, in one step where the system can, else by way of
//     a third name;
//  3. what the new one does not stand for moves over to it, the rest of the old one is removed,
//     and then the record.
//
// Whoever meets a record looks where the two directories are, and goes on from there.

// outputNames is the place of an output: the names around it and what is done with them.
type outputNames struct {
	fs    FS
	final string // where the output will appear
	dir   string // where it is written
}

func outputNamesOf(fs FS, final string) outputNames {
	final = finalPath(final)
	return outputNames{fs: fs, final: final, dir: StagingPath(final)}
}

// finalPath is where a final name leads. What a link points at is replaced, not the link,
// and the working directory has its staging directory beside it, not inside.
func finalPath(final string) string {
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

// aside is where the old output waits between the steps of a swap.
func (s outputNames) aside() string      { return s.dir + "-old" }
func (s outputNames) lockPath() string   { return s.dir + ".lock" }
func (s outputNames) recordPath() string { return s.dir + ".json" }

// exchangeRecord is what is known of an exchange, for whoever has to complete it.
type exchangeRecord struct {
	New string `json:"new"` // identity of the new directory
	Old string `json:"old"`
	// Replaced are names in the old one, with slashes, which the new one stands for.
	Replaced []string `json:"replaced"`
}

// maxRecord is the most bytes of a record that are read.
const maxRecord = 64 << 20

// Resume completes the exchange of an output that a process died in, if there is one: the new
// directory is in its place afterwards, with the files of the old one that it does not
// stand for. A living process is left to it.
func Resume(fs FS, final string) error {
	s := outputNamesOf(fs, followed(final))
	if !exists(s.recordPath()) && !exists(s.aside()) {
		return nil
	}
	lock, err := fs.Lock(s.lockPath())
	if errors.Is(err, ErrLocked) {
		return nil
	}
	if err == nil {
		err = errors.Join(s.settle(), lock.Close())
	}
	if err != nil {
		err = fmt.Errorf("complete what an earlier run left of output %s: %w", s.final, err)
	}
	return err
}

// followed is where links lead, even to a name that is not there.
func followed(path string) string {
	for range 40 { // as many as the system follows
		target, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	return path
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// settle goes on with an exchange from wherever it stopped.
func (s outputNames) settle() error {
	r, err := s.readRecord()
	if errors.Is(err, os.ErrNotExist) {
		return s.settleUnrecorded()
	}
	if err != nil {
		return err
	}
	for _, dir := range []string{s.dir, s.aside()} {
		if info, err := os.Lstat(dir); err == nil && !info.IsDir() {
			return inTheWay(dir)
		}
	}
	final, err1 := s.identity(s.final)
	stage, err2 := s.identity(s.dir)
	aside, err3 := s.identity(s.aside())
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	switch {
	case final == r.New && (stage == "" || stage == r.Old) && (aside == "" || aside == r.Old):
		return s.complete(r)
	case final == "" && aside == r.Old && stage == r.New: // between two renames
		return s.restore(s.dir, func() error { return s.complete(r) })
	case final == "" && aside == r.Old && stage == "": // and the new one is gone
		return s.restore(s.aside(), s.forget)
	case final == "" && aside == "" && stage == r.Old: // somebody has removed the new one
		return s.restore(s.dir, s.forget)
	case aside == "" && (stage == "" || stage == r.New): // nothing was moved, or all is long over
		return s.forget()
	}
	return fmt.Errorf("an earlier run died while it replaced the directory, and what is there now is not what it left: look into %s and %s, move what you need, and remove them and %s",
		s.dir, s.aside(), s.recordPath())
}

// restore gives a directory the final name, and goes on.
func (s outputNames) restore(from string, then func() error) error {
	if err := s.fs.Rename(from, s.final); err != nil {
		return err
	}
	if err := s.fs.SyncDir(filepath.Dir(s.final)); err != nil {
		return err
	}
	return then()
}

// settleUnrecorded puts an old output back that waits aside without a record, as versions before
// there were records could leave it.
func (s outputNames) settleUnrecorded() error {
	switch info, err := os.Lstat(s.aside()); {
	case err != nil:
		return nil
	case !info.IsDir():
		return inTheWay(s.aside())
	case exists(s.final):
		return fmt.Errorf("%s holds what is left of an output that was replaced: move what you need of it, and remove it", s.aside())
	}
	return s.restore(s.aside(), func() error { return nil })
}

// identity is "" for what is not there.
func (s outputNames) identity(path string) (string, error) {
	id, err := s.fs.Identify(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return id, err
}

func (s outputNames) readRecord() (*exchangeRecord, error) {
	data, err := s.fs.ReadFile(s.recordPath(), maxRecord)
	if err != nil {
		return nil, err
	}
	r := new(exchangeRecord)
	if err := json.Unmarshal(data, r); err != nil || r.New == "" || r.Old == "" {
		return nil, errors.Join(fmt.Errorf("%s is no record of weld's: look into %s, move what you need of it, and remove both", s.recordPath(), s.dir), err)
	}
	slices.Sort(r.Replaced)
	return r, nil
}

// forget removes the record, for good before anything else gets a name in it.
func (s outputNames) forget() error {
	if err := s.fs.RemoveAll(s.recordPath()); err != nil {
		return err
	}
	return s.fs.SyncDir(filepath.Dir(s.final))
}

// replaceDir puts the staging directory into the place of the directory under the final name.
func (s *Staging) replaceDir(superseded func(name string) bool) error {
	r, err := s.writeRecord(superseded)
	if err == nil {
		err = s.seal()
	}
	if err == nil {
		err = s.swap()
	}
	switch {
	case err == nil:
	case s.moved:
		return s.leftOver(err)
	case exists(s.aside()):
		return fmt.Errorf("the old output is in %s (%s has what weld knows of it): %w", s.aside(), s.recordPath(), err)
	default:
		return errors.Join(err, s.forget())
	}
	if err := s.fs.SyncDir(filepath.Dir(s.final)); err != nil {
		return s.leftOver(err)
	}
	return s.complete(r)
}

// writeRecord brings the record to the disk. It is written in the staging directory, and moved to its
// place when it is whole.
func (s *Staging) writeRecord(superseded func(name string) bool) (*exchangeRecord, error) {
	r := &exchangeRecord{New: s.opened.ID()}
	var err error
	if r.Old, err = s.fs.Identify(s.final); err != nil {
		return nil, err
	}
	if r.Replaced, err = s.replaced(".", superseded); err != nil {
		return nil, err
	}
	slices.Sort(r.Replaced)
	data, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings always marshal
	}
	const name = ".weld-exchange"
	f, err := s.opened.Create(name)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if err := s.fs.Rename(filepath.Join(s.dir, name), s.recordPath()); err != nil {
		return nil, err
	}
	return r, s.fs.SyncDir(filepath.Dir(s.final))
}

// replaced lists what of a directory in the old output the new one stands for.
func (s *Staging) replaced(dir string, superseded func(name string) bool) (names []string, err error) {
	entries, err := s.fs.ReadDir(filepath.Join(s.final, dir))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		fresh, err := s.opened.Stat(name)
		switch {
		case err != nil && !errors.Is(err, os.ErrNotExist):
			return nil, err
		case err == nil && fresh.IsDir() && e.IsDir():
			inside, err := s.replaced(name, superseded)
			if err != nil {
				return nil, err
			}
			names = append(names, inside...)
		case e.IsDir(): // nothing stands for what is in it
		case err == nil || superseded != nil && superseded(e.Name()):
			names = append(names, filepath.ToSlash(name))
		}
	}
	return names, nil
}

// swap puts the staging directory into the place of the old output. If it fails, the old one is back in its
// place, or aside.
func (s *Staging) swap() error {
	err := s.fs.Exchange(s.dir, s.final)
	if err == nil {
		s.moved = true
		if err = s.arrived(); !s.moved {
			err = errors.Join(err, s.fs.Exchange(s.dir, s.final))
		}
	}
	if !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if err := s.fs.Rename(s.final, s.aside()); err != nil {
		return err
	}
	if err := s.rename(s.dir, s.final); err != nil {
		return errors.Join(err, s.fs.Rename(s.aside(), s.final))
	}
	return nil
}

// complete moves what is to be kept of the old output over to the new one, and removes the rest.
func (s outputNames) complete(r *exchangeRecord) error {
	for _, old := range []string{s.dir, s.aside()} {
		if !exists(old) {
			continue
		}
		if err := s.carry(r, old, "."); err != nil {
			return s.leftOver(err)
		}
		if err := s.fs.RemoveAll(old); err != nil {
			return s.leftOver(err)
		}
	}
	return s.forget()
}

// carry moves what is to be kept of a directory over.
func (s outputNames) carry(r *exchangeRecord, old, dir string) error {
	entries, err := s.fs.ReadDir(filepath.Join(old, dir))
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		if _, gone := slices.BinarySearch(r.Replaced, filepath.ToSlash(name)); gone {
			continue
		}
		if err := s.carryOne(r, old, name, e.IsDir()); err != nil {
			return err
		}
	}
	return s.fs.SyncDir(filepath.Join(s.final, dir))
}

// carryOne moves a file or directory over. Where another of that name has appeared since the
// exchange, both are kept.
func (s outputNames) carryOne(r *exchangeRecord, old, name string, isDir bool) error {
	from, to := filepath.Join(old, name), filepath.Join(s.final, name)
	there, err := os.Lstat(to)
	switch own, errOwn := os.Lstat(from); {
	case err != nil:
	case errOwn == nil && os.SameFile(there, own): // linked already, by a process that died before it unlinked
		return nil
	case there.IsDir() && isDir:
		return s.carry(r, old, name)
	default:
		to = spare(to)
	}
	return s.fs.RenameNew(from, to)
}

// spare is a name beside one that is taken: NAME.old, NAME.old2 and so on.
func spare(path string) string {
	name := path + ".old"
	for n := 2; exists(name); n++ {
		name = fmt.Sprintf("%s.old%d", path, n)
	}
	return name
}

// leftOver adds to an error where the old output is, if it is not gone.
func (s outputNames) leftOver(err error) error {
	for _, old := range []string{s.dir, s.aside()} {
		if exists(old) {
			return fmt.Errorf("the new output is in place, the rest of the old one is in %s, and %s says what of it is to be kept; the next run for this output completes that: %w", old, s.recordPath(), err)
		}
	}
	return err
}
