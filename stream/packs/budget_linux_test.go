package packs

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"weld/stream/run"

	"golang.org/x/sys/unix"
)

// cached counts the pages of a file that are in the page cache.
func cached(t *testing.T, path string) (pages int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	m, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(m)
	there := make([]byte, (len(m)+os.Getpagesize()-1)/os.Getpagesize())
	if _, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&m[0])), uintptr(len(m)), uintptr(unsafe.Pointer(&there[0]))); errno != 0 {
		t.Fatal(errno)
	}
	for _, page := range there {
		pages += int(page & 1)
	}
	return pages
}

// synced writes files back, so that nothing but somebody's wish keeps them in the cache.
func synced(t *testing.T, paths ...string) {
	t.Helper()
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
}

func TestTheCacheIsDroppedWhenAskedFor(t *testing.T) {
	dir := write(t, tensors(), 1, nil)
	shards, err := filepath.Glob(filepath.Join(dir, "*.safetensors"))
	if err != nil || len(shards) == 0 {
		t.Fatal(shards, err)
	}
	synced(t, shards...)
	measure := func(c run.Cache) (in, out int) {
		o := options(nil, new(bytes.Buffer))
		o.Cache = c
		pack := filepath.Join(t.TempDir(), "x.weld")
		if _, err := Pack(context.Background(), dir, pack, o); err != nil {
			t.Fatal(err)
		}
		for _, s := range shards {
			in += cached(t, s)
		}
		return in, cached(t, pack)
	}
	if onTmpfs(dir) {
		t.Skip("a RAM disk is nothing but page cache")
	}
	in, out := measure(run.CacheKeep)
	if in == 0 || out == 0 {
		t.Errorf("%d pages of the input and %d of the output are left, though they were to be kept", in, out)
	}
	// The system may hold on to a page that is under way.
	if i, o := measure(run.CacheDrop); i > in/10 || o > out/10 {
		t.Errorf("%d pages of the input and %d of the output are left", i, o)
	}
}

func onTmpfs(dir string) bool {
	var s unix.Statfs_t
	return unix.Statfs(dir, &s) == nil && s.Type == unix.TMPFS_MAGIC
}

func TestMemoryBoundsTheWorkers(t *testing.T) {
	for memory, want := range map[int64]int{0: 21, 1 << 30: 64, 64 << 20: 5, 32 << 20: 1, 1: 1} {
		o := options(nil, nil)
		o.Threads, o.Memory = 64, memory
		if o.fit(nil, 0); o.Threads != want {
			t.Errorf("a budget of %d bytes: %d workers, want %d", memory, o.Threads, want)
		}
	}
}

// Inputs leave the cache while they are read, not only at the end.
func TestInputsAreDroppedOnTheWay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "input")
	if onTmpfs(filepath.Dir(path)) {
		t.Skip("a RAM disk is nothing but page cache")
	}
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o666); err != nil {
		t.Fatal(err)
	}
	synced(t, path)
	d := &dropping{paths: []string{path}}
	d.advance(dropEvery - 1)
	if n := cached(t, path); n < 200 {
		t.Errorf("%d of 256 pages are there, though it is too early to drop them", n)
	}
	d.advance(1)
	if n := cached(t, path); n > 25 {
		t.Errorf("%d pages are left", n)
	}
}
