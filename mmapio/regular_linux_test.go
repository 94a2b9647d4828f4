package mmapio

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestOpenRegular opens what is no regular file, by its name and through a link, by every way to open
// a file, and has its error at once.
func TestOpenRegular(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(unix.Mkfifo(at("pipe"), 0o666), os.Mkdir(at("directory"), 0o777), os.WriteFile(at("file"), []byte("x"), 0o666)); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", at("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for name, target := range map[string]string{"device": "/dev/zero", "to-pipe": "pipe", "to-socket": "socket", "to-directory": "directory", "to-file": "file"} {
		if err := os.Symlink(target, at(name)); err != nil {
			t.Fatal(err)
		}
	}
	ways := map[string]func(name string) error{
		"OpenRegular": func(name string) error {
			f, _, err := OpenRegular(at(name))
			if err == nil {
				f.Close()
			}
			return err
		},
		"Open": func(name string) error {
			f, err := Open(at(name))
			if err == nil {
				f.Close()
			}
			return err
		},
		"Files": func(name string) error {
			_, err := fs.ReadFile(Files(dir), name)
			return err
		},
	}
	for name, what := range map[string]string{
		"pipe": "a pipe", "socket": "a socket", "directory": "a directory", "device": "a device",
		"to-pipe": "a pipe", "to-socket": "a socket", "to-directory": "a directory",
	} {
		for way, open := range ways {
			done := make(chan error, 1)
			go func() { done <- open(name) }()
			select {
			case err := <-done:
				var odd *NotRegularError
				if !errors.As(err, &odd) || odd.what() != what {
					t.Errorf("%s of %s: %v", way, name, err)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("%s of %s waits", way, name)
			}
		}
	}
	for _, name := range []string{"file", "to-file"} {
		for way, open := range ways {
			if err := open(name); err != nil {
				t.Errorf("%s of %s: %v", way, name, err)
			}
		}
	}
	for way, open := range ways {
		if err := open("nothing"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s of nothing: %v", way, err)
		}
	}
}

// TestOpenDoesNotWait opens pipes without having looked at them before: as where a file is replaced in between.
func TestOpenDoesNotWait(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o666); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		f, _, err := openNow(path)
		if err == nil {
			f.Close()
		}
		done <- err
	}()
	select {
	case err := <-done:
		if odd := (*NotRegularError)(nil); !errors.As(err, &odd) {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it waits")
	}
}

// Files stays below its directory, as every fs.FS does, and its errors have the names that were asked for.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "sub"), 0o777), os.WriteFile(filepath.Join(dir, "sub", "x"), []byte("y"), 0o666)); err != nil {
		t.Fatal(err)
	}
	files := Files(dir)
	if raw, err := fs.ReadFile(files, "sub/x"); string(raw) != "y" || err != nil {
		t.Errorf("%q, %v", raw, err)
	}
	if entries, err := fs.ReadDir(files, "sub"); len(entries) != 1 || err != nil {
		t.Errorf("%v, %v", entries, err)
	}
	for _, name := range []string{"../x", "/etc/passwd", "sub/../sub/x", "", "sub/"} {
		if _, err := fs.ReadFile(files, name); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := fs.Stat(files, "none")
	if e := (*fs.PathError)(nil); !errors.As(err, &e) || e.Path != "none" || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
