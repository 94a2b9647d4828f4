package fuzz

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"weld/format"
	"weld/format/torch"
	"weld/internal/torchsave"
	"weld/mmapio"
)

// inMemory is a file that is not on a disk.
type inMemory struct {
	*bytes.Reader
	path   string
	data   []byte
	beyond bool // more was asked for than is there
}

func (m *inMemory) Path() string                       { return m.path }
func (m *inMemory) Info() os.FileInfo                  { return nil }
func (m *inMemory) Advise(mmapio.Advice, int64, int64) {}
func (m *inMemory) Unchanged() error                   { return nil }
func (m *inMemory) Close() error                       { return nil }

func (m *inMemory) View(off, n int64) (mmapio.View, error) {
	if off < 0 || n < 0 || off > int64(len(m.data))-n {
		m.beyond = true
		return mmapio.View{}, os.ErrInvalid
	}
	return mmapio.Lend(m.data[off:off+n:off+n], nobody{}, 0), nil
}

func (m *inMemory) Read(off, n int64) (mmapio.View, error) { return m.View(off, n) }

// torchGoldens are the files of torch's own.
func torchGoldens(f *testing.F) (files [][]byte) {
	f.Helper()
	paths, err := filepath.Glob("../format/torch/testdata/*.pt")
	if err != nil || len(paths) < 20 {
		f.Fatal(paths, err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		files = append(files, data)
	}
	return files
}

// FuzzTorchFile reads arbitrary files as what torch.save wrote: they are refused with a fault that says what, or their tensors are
// within the file, and the same whole and in parts.
func FuzzTorchFile(f *testing.F) {
	for _, file := range slices.Concat(torchGoldens(f), seeds(f, "torch")) {
		f.Add(file, "")
		f.Add(file, torch.Whole)
	}
	f.Fuzz(checkTorch)
}

// FuzzTorchPickle reads arbitrary pickles in a sound archive with storages of a few sizes.
func FuzzTorchPickle(f *testing.F) {
	for _, file := range slices.Concat(torchGoldens(f), seeds(f, "torch")) {
		s := bytes.Index(file, []byte("\x80\x02}"))
		if e := bytes.Index(file, []byte("PK\x01\x02")); s >= 0 && e > s {
			if stop := bytes.Index(file[s:e], []byte(".PK")); stop > 0 {
				f.Add(file[s:s+stop+1], "")
			}
		}
	}
	f.Add(torchState.Data, "a")
	f.Fuzz(func(t *testing.T, pickle []byte, key string) {
		entries := []torchsave.Entry{{Name: "data.pkl", Data: pickle}}
		for i, size := range []int{8, 24, 64, 0} {
			entries = append(entries, torchsave.Entry{Name: "data/" + string(rune('0'+i)), Data: make([]byte, size)})
		}
		checkTorch(t, torchsave.Archive("a", false, entries...), key)
	})
}

// mostRead bounds what is read of a tensor, which a stride of 0 makes as large as it likes.
const mostRead = 1 << 16

func checkTorch(t *testing.T, file []byte, key string) {
	if len(file) > 1<<16 {
		return
	}
	before := allocated()
	const path = "x.pt"
	src := &inMemory{Reader: bytes.NewReader(file), path: path, data: file}
	c, err := torch.OpenFile(path, src, key)
	if err != nil {
		checkFault(t, err, path)
	} else {
		for i := range c.Tensors() {
			checkViews(t, c, i)
		}
	}
	if src.beyond {
		t.Fatal("bytes beyond the file are asked for")
	}
	checkAllocated(t, before, len(file))
}

// checkViews reads the beginning of a tensor whole and in two parts.
func checkViews(t *testing.T, c format.Checkpoint, i int) {
	t.Helper()
	x := c.Tensors()[i]
	if j, ok := c.Find(x.Name); !ok || j != i {
		t.Fatalf("%q is tensor %d, and found as %d", x.Name, i, j)
	}
	n := min(x.Bytes(), mostRead)
	whole, err := decoded(c, i, 0, n)
	if err != nil {
		t.Fatal(err)
	}
	cut := n / 3
	first, err1 := decoded(c, i, 0, cut)
	second, err2 := decoded(c, i, cut, n-cut)
	if err1 != nil || err2 != nil || !bytes.Equal(slices.Concat(first, second), whole) {
		t.Fatalf("%q has other bytes in parts (%v, %v)", x.Name, err1, err2)
	}
}
