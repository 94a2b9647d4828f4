package mmapio

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// errInjected is in the chain of every rehearsed failure.
var errInjected = errors.New("injected")

// errorFS is a file system that fails on purpose: the idea is pebble's errorfs. The
// n-th operation fails, counted from 1, and every later one too if the disk is broken
// for good. What fails is not done, but for Close. Nothing waits for the real disk.
type errorFS struct {
	FS
	failAt  int
	forGood bool
	plain   bool                  // names cannot be exchanged
	before  func(op, path string) // called before each operation that is done

	mu     sync.Mutex
	count  int
	failed []string // the operations that failed
}

func (e *errorFS) step(op, path string) error {
	e.mu.Lock()
	e.count++
	fails := e.count == e.failAt || e.forGood && e.failAt > 0 && e.count > e.failAt
	if fails {
		e.failed = append(e.failed, op+" "+path)
	}
	e.mu.Unlock()
	if fails {
		return &os.PathError{Op: op, Path: path, Err: errInjected}
	}
	if e.before != nil {
		e.before(op, path)
	}
	return nil
}

func (e *errorFS) Lock(path string) (io.Closer, error) {
	if err := e.step("lock", path); err != nil {
		return nil, err
	}
	c, err := e.FS.Lock(path)
	if err != nil {
		return nil, err
	}
	return errorLock{c, e, path}, nil
}

func (e *errorFS) MakeDir(path string) (OpenDir, error) {
	if err := e.step("mkdir", path); err != nil {
		return nil, err
	}
	d, err := e.FS.MakeDir(path)
	if err != nil {
		return nil, err
	}
	return errorDir{d, e, path}, nil
}

func (e *errorFS) Identify(path string) (string, error) {
	if err := e.step("identify", path); err != nil {
		return "", err
	}
	return e.FS.Identify(path)
}

func (e *errorFS) ReadFile(path string, limit int64) ([]byte, error) {
	if err := e.step("read", path); err != nil {
		return nil, err
	}
	return e.FS.ReadFile(path, limit)
}

func (e *errorFS) RenameNew(from, to string) error {
	if err := e.step("rename", from+" to "+to); err != nil {
		return err
	}
	return e.FS.RenameNew(from, to)
}

func (e *errorFS) Rename(from, to string) error {
	if err := e.step("rename", from+" to "+to); err != nil {
		return err
	}
	return e.FS.Rename(from, to)
}

func (e *errorFS) Exchange(a, b string) error {
	if e.plain {
		return fmt.Errorf("exchange: %w", errors.ErrUnsupported)
	}
	if err := e.step("exchange", a+" and "+b); err != nil {
		return err
	}
	return e.FS.Exchange(a, b)
}

func (e *errorFS) RemoveAll(path string) error {
	if err := e.step("remove", path); err != nil {
		return err
	}
	return e.FS.RemoveAll(path)
}

func (e *errorFS) ReadDir(dir string) ([]os.DirEntry, error) {
	if err := e.step("list", dir); err != nil {
		return nil, err
	}
	return e.FS.ReadDir(dir)
}

func (e *errorFS) SyncDir(dir string) error {
	return e.step("sync", dir)
}

// errorDir is a [OpenDir] that fails with its file system.
type errorDir struct {
	OpenDir
	fs   *errorFS
	path string
}

func (d errorDir) Create(name string) (OutputFile, error) {
	path := filepath.Join(d.path, name)
	if err := d.fs.step("create", path); err != nil {
		return nil, err
	}
	f, err := d.OpenDir.Create(name)
	if err != nil {
		return nil, err
	}
	return &errorFile{f, d.fs, path}, nil
}

func (d errorDir) Stat(name string) (os.FileInfo, error) {
	if err := d.fs.step("stat", filepath.Join(d.path, name)); err != nil {
		return nil, err
	}
	return d.OpenDir.Stat(name)
}

func (d errorDir) Remove(name string) error {
	if err := d.fs.step("remove", filepath.Join(d.path, name)); err != nil {
		return err
	}
	return d.OpenDir.Remove(name)
}

func (d errorDir) Sync(name string) error {
	return d.fs.step("sync", filepath.Join(d.path, name))
}

type errorLock struct {
	io.Closer
	fs  *errorFS
	dir string
}

func (l errorLock) Close() error {
	return errors.Join(l.fs.step("unlock", l.dir), l.Closer.Close())
}

type errorFile struct {
	OutputFile
	fs   *errorFS
	path string
}

func (f *errorFile) Write(p []byte) (int, error) {
	if err := f.fs.step("write", f.path); err != nil {
		return 0, err
	}
	return f.OutputFile.Write(p)
}

func (f *errorFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.fs.step("write", f.path); err != nil {
		return 0, err
	}
	return f.OutputFile.WriteAt(p, off)
}

func (f *errorFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.fs.step("read", f.path); err != nil {
		return 0, err
	}
	return f.OutputFile.ReadAt(p, off)
}

func (f *errorFile) Truncate(size int64) error {
	if err := f.fs.step("truncate", f.path); err != nil {
		return err
	}
	return f.OutputFile.Truncate(size)
}

func (f *errorFile) Sync() error {
	return f.fs.step("sync", f.path)
}

func (f *errorFile) Close() error {
	return errors.Join(f.fs.step("close", f.path), f.OutputFile.Close())
}
