package stream

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"weld/mmapio"
)

// hookFS calls hook for every operation before it is done; an error from hook is
// what the operation returns instead. What is closed is closed all the same.
type hookFS struct {
	mmapio.FS
	hook func(op, path string) error
}

func hooked(hook func(op, path string) error) hookFS { return hookFS{mmapio.OS, hook} }

func (f hookFS) Lock(path string) (io.Closer, error) {
	if err := f.hook("lock", path); err != nil {
		return nil, err
	}
	lock, err := f.FS.Lock(path)
	return hookLock{lock, path, f.hook}, err
}

func (f hookFS) MakeDir(path string) (mmapio.OpenDir, error) {
	if err := f.hook("mkdir", path); err != nil {
		return nil, err
	}
	dir, err := f.FS.MakeDir(path)
	return hookDir{dir, path, f.hook}, err
}

func (f hookFS) Identify(path string) (string, error) {
	if err := f.hook("identify", path); err != nil {
		return "", err
	}
	return f.FS.Identify(path)
}

func (f hookFS) ReadFile(path string, limit int64) ([]byte, error) {
	if err := f.hook("read", path); err != nil {
		return nil, err
	}
	return f.FS.ReadFile(path, limit)
}

func (f hookFS) RenameNew(from, to string) error {
	if err := f.hook("rename", to); err != nil {
		return err
	}
	return f.FS.RenameNew(from, to)
}

func (f hookFS) Rename(from, to string) error {
	if err := f.hook("rename", to); err != nil {
		return err
	}
	return f.FS.Rename(from, to)
}

func (f hookFS) Exchange(a, b string) error {
	if err := f.hook("exchange", b); err != nil {
		return err
	}
	return f.FS.Exchange(a, b)
}

func (f hookFS) RemoveAll(path string) error {
	if err := f.hook("remove", path); err != nil {
		return err
	}
	return f.FS.RemoveAll(path)
}

func (f hookFS) ReadDir(dir string) ([]os.DirEntry, error) {
	if err := f.hook("readdir", dir); err != nil {
		return nil, err
	}
	return f.FS.ReadDir(dir)
}

func (f hookFS) SyncDir(dir string) error {
	if err := f.hook("syncdir", dir); err != nil {
		return err
	}
	return f.FS.SyncDir(dir)
}

type hookDir struct {
	mmapio.OpenDir
	path string
	hook func(op, path string) error
}

func (d hookDir) Create(name string) (mmapio.OutputFile, error) {
	path := filepath.Join(d.path, name)
	if err := d.hook("create", path); err != nil {
		return nil, err
	}
	file, err := d.OpenDir.Create(name)
	return hookFile{file, path, d.hook}, err
}

func (d hookDir) Stat(name string) (os.FileInfo, error) {
	if err := d.hook("stat", filepath.Join(d.path, name)); err != nil {
		return nil, err
	}
	return d.OpenDir.Stat(name)
}

func (d hookDir) Remove(name string) error {
	if err := d.hook("remove", filepath.Join(d.path, name)); err != nil {
		return err
	}
	return d.OpenDir.Remove(name)
}

func (d hookDir) Sync(name string) error {
	if err := d.hook("syncdir", filepath.Join(d.path, name)); err != nil {
		return err
	}
	return d.OpenDir.Sync(name)
}

type hookLock struct {
	io.Closer
	path string
	hook func(op, path string) error
}

func (l hookLock) Close() error { return errors.Join(l.Closer.Close(), l.hook("unlock", l.path)) }

type hookFile struct {
	mmapio.OutputFile
	path string
	hook func(op, path string) error
}

func (f hookFile) Write(p []byte) (int, error) {
	if err := f.hook("write", f.path); err != nil {
		return 0, err
	}
	return f.OutputFile.Write(p)
}

func (f hookFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.hook("writeat", f.path); err != nil {
		return 0, err
	}
	return f.OutputFile.WriteAt(p, off)
}

func (f hookFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.hook("readat", f.path); err != nil {
		return 0, err
	}
	return f.OutputFile.ReadAt(p, off)
}

func (f hookFile) Truncate(size int64) error {
	if err := f.hook("truncate", f.path); err != nil {
		return err
	}
	return f.OutputFile.Truncate(size)
}

func (f hookFile) Sync() error {
	if err := f.hook("sync", f.path); err != nil {
		return err
	}
	return f.OutputFile.Sync()
}

func (f hookFile) Close() error { return errors.Join(f.OutputFile.Close(), f.hook("close", f.path)) }
