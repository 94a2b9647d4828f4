package mmapio

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// noise is content in which no two places look alike.
func noise(n int) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(data)
	return data
}

// openFile opens a new file with the given content.
func openFile(t *testing.T, data []byte) *File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// checkView borrows a range in every way and compares it.
func checkView(t *testing.T, f *File, off int64, want []byte) {
	t.Helper()
	copied, err := Open(f.Path(), Copied)
	if err != nil {
		t.Error(err)
		return
	}
	defer copied.Close()
	for name, lend := range map[string]func(off, n int64) (View, error){"View": f.View, "Read": f.Read, "copied View": copied.View} {
		v, err := lend(off, int64(len(want)))
		if err != nil {
			t.Errorf("%s(%d, %d): %v", name, off, len(want), err)
			continue
		}
		if !bytes.Equal(v.Data, want) {
			t.Errorf("%s(%d, %d) differs from the file", name, off, len(want))
		}
		v.Release()
	}
}

func TestViewAnywhere(t *testing.T) {
	data := noise(int(9*pageSize) + 77)
	f := openFile(t, data)
	size, page := int64(len(data)), pageSize
	for _, off := range []int64{0, 1, 7, page - 1, page, page + 1, 4*page - 3, 8 * page, size - 1, size} {
		for _, n := range []int64{0, 1, 2, 8, page - 1, page, page + 1, 3*page + 5, size - off} {
			if off+n <= size {
				checkView(t, f, off, data[off:off+n])
			}
		}
	}
}

func TestViewBounds(t *testing.T) {
	const size = 1000
	f := openFile(t, noise(size))
	for _, c := range []struct{ off, n int64 }{
		{-1, 1}, {0, -1}, {0, size + 1}, {size, 1}, {size + 1, 0}, {1, size}, {math.MinInt64, 1},
		{0, math.MaxInt64}, {math.MaxInt64, 1}, {math.MaxInt64, math.MaxInt64}, {1, math.MinInt64},
	} {
		v, err := f.View(c.off, c.n)
		if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), f.Path()) {
			t.Errorf("View(%d, %d): error %v, want io.ErrUnexpectedEOF with the path", c.off, c.n, err)
		}
		v.Release() // of the zero view: nothing
	}
}

func TestViewLimit(t *testing.T) {
	f := openFile(t, nil)
	if err := os.Truncate(f.Path(), MaxView+1); err != nil {
		t.Fatal(err)
	}
	f, err := Open(f.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if v, err := f.View(1, MaxView); err != nil || len(v.Data) != MaxView {
		t.Errorf("View of MaxView: %d bytes, %v", len(v.Data), err)
	} else {
		v.Release()
	}
	if _, err := f.View(0, MaxView+1); err == nil {
		t.Error("a view over MaxView was lent")
	}
}

func TestViewsConcurrently(t *testing.T) {
	data := noise(1<<20 + 13)
	f := openFile(t, data)
	var g sync.WaitGroup
	for seed := range uint64(8) {
		g.Go(func() {
			r := rand.New(rand.NewPCG(seed, 0))
			var held []View
			for range 200 {
				off := r.IntN(len(data))
				n := r.IntN(min(len(data)-off, 100_000))
				v, err := f.View(int64(off), int64(n))
				if err != nil {
					t.Error(err)
					return
				}
				if held = append(held, v); len(held) > 3 {
					held[0].Release() // its border pages are shared with others
					held = held[1:]
				}
				if !bytes.Equal(v.Data, data[off:off+n]) {
					t.Errorf("View(%d, %d) differs from the file", off, n)
				}
			}
			for i := range held {
				held[i].Release()
			}
		})
	}
	g.Wait()
}

func TestReadAt(t *testing.T) {
	data := noise(10_000)
	f := openFile(t, data)
	buf := make([]byte, 300)
	if n, err := f.ReadAt(buf, 4000); n != 300 || err != nil || !bytes.Equal(buf, data[4000:4300]) {
		t.Errorf("ReadAt inside: %d, %v", n, err)
	}
	if n, err := f.ReadAt(buf, 9900); n != 100 || err != io.EOF || !bytes.Equal(buf[:100], data[9900:]) {
		t.Errorf("ReadAt across the end: %d, %v, want 100, EOF", n, err)
	}
	for _, off := range []int64{-1, 10_001, math.MaxInt64} {
		if n, err := f.ReadAt(buf, off); n != 0 || err == nil {
			t.Errorf("ReadAt(%d): %d, %v, want an error", off, n, err)
		}
	}
}

func TestEmptyFile(t *testing.T) {
	f := openFile(t, nil)
	if f.Size() != 0 {
		t.Errorf("size %d", f.Size())
	}
	checkView(t, f, 0, nil)
	if _, err := f.View(0, 1); err == nil {
		t.Error("a byte of an empty file was lent")
	}
	f.Advise(Soon, 0, 0)
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("Open of a directory: %v", err)
	}
	if _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of nothing: %v", err)
	}
}

func TestUnchanged(t *testing.T) {
	replaceBy := func(path string, data []byte, mtime time.Time) error {
		fresh := path + ".new"
		return errors.Join(os.WriteFile(fresh, data, 0o666), os.Chtimes(fresh, mtime, mtime), os.Rename(fresh, path))
	}
	cases := map[string]struct {
		change func(f *File) error
		says   string // "" if Unchanged must succeed
	}{
		"nothing": {func(f *File) error { return nil }, ""},
		"linked":  {func(f *File) error { return os.Link(f.Path(), f.Path()+".2") }, ""},
		"chmod":   {func(f *File) error { return os.Chmod(f.Path(), 0o640) }, ""},
		"overwritten, times set back": {func(f *File) error {
			return errors.Join(os.WriteFile(f.Path(), noise(10_000)[5000:], 0o666), os.Chtimes(f.Path(), time.Time{}, f.Info().ModTime()))
		}, map[bool]string{true: "set back"}[runtime.GOOS == "linux" || runtime.GOOS == "darwin"]},
		"shorter": {func(f *File) error { return os.Truncate(f.Path(), 10) }, "from 5000 to 10 bytes"},
		"longer":  {func(f *File) error { return os.Truncate(f.Path(), 6000) }, "from 5000 to 6000 bytes"},
		"mtime": {func(f *File) error {
			later := f.Info().ModTime().Add(time.Second)
			return os.Chtimes(f.Path(), later, later)
		}, "modification time"},
		"replaced": {func(f *File) error { return replaceBy(f.Path(), noise(5000), f.Info().ModTime()) }, "another file"},
		"removed":  {func(f *File) error { return os.Remove(f.Path()) }, "its place"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := openFile(t, noise(5000))
			time.Sleep(20 * time.Millisecond) // a tick of the clock that change times are taken from
			if err := c.change(f); err != nil {
				t.Skip(err) // a system may forbid it while the file is mapped
			}
			err := f.Unchanged()
			if c.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var changed *ChangedError
			if !errors.As(err, &changed) || changed.Path != f.Path() || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want a *ChangedError that says %q", err, c.says)
			}
			if name == "removed" && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v does not wrap the cause", err)
			}
		})
	}
}

// lender counts what comes back.
type lender struct{ tokens []int64 }

func (l *lender) TakeBack(_ []byte, token int64) { l.tokens = append(l.tokens, token) }

func TestLend(t *testing.T) {
	var l lender
	v := Lend([]byte("abc"), &l, 42)
	if string(v.Data) != "abc" {
		t.Errorf("data %q", v.Data)
	}
	v.Release()
	v.Release() // the zero View by now
	if len(l.tokens) != 1 || l.tokens[0] != 42 || v.Data != nil {
		t.Errorf("taken back: %v, left: %v", l.tokens, v.Data)
	}
}
