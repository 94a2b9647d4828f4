package mmapio

import (
	"errors"
	"os"
	"path/filepath"
)

// osDir is a [OpenDir] of the operating system.
type osDir struct {
	root *os.Root
	id   string
	drop bool
}

// MakeDir implements [FS].
func (fs osFS) MakeDir(path string) (OpenDir, error) {
	if err := os.Mkdir(path, 0o777); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	d := &osDir{root: root, drop: fs.drop}
	if err := d.open(path); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// open demands that what is held is what the path names, and no link's target.
func (d *osDir) open(path string) error {
	held, err := d.root.Stat(".")
	if err != nil {
		return err
	}
	named, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !os.SameFile(held, named) {
		return &os.PathError{Op: "hold", Path: path, Err: errors.New("something else took the place of the directory that was made there")}
	}
	d.id, err = identify(path)
	return err
}

func (d *osDir) ID() string { return d.id }

func (d *osDir) Create(name string) (OutputFile, error) {
	if dir := filepath.Dir(name); dir != "." {
		if err := d.root.MkdirAll(dir, 0o777); err != nil {
			return nil, d.named(err)
		}
	}
	f, err := d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, d.named(err)
	}
	return newOSFile(f, d.drop), nil
}

func (d *osDir) Stat(name string) (os.FileInfo, error) {
	info, err := d.root.Lstat(name)
	return info, d.named(err)
}

func (d *osDir) Remove(name string) error { return d.named(d.root.Remove(name)) }

func (d *osDir) Sync(name string) error {
	f, err := d.root.Open(name)
	if err != nil {
		return d.named(err)
	}
	return errors.Join(syncDir(f), f.Close())
}

// Close may be called twice.
func (d *osDir) Close() error { return d.root.Close() }

// named gives an error the whole path.
func (d *osDir) named(err error) error {
	if e := (*os.PathError)(nil); errors.As(err, &e) {
		return &os.PathError{Op: e.Op, Path: filepath.Join(d.root.Name(), e.Path), Err: e.Err}
	}
	return err
}
