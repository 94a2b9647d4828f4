package packed

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"weld/format"
	"weld/format/planes"
)

func newDecoder() *planes.Decoder { return new(planes.Decoder) }

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
}

// TestRoundTrip packs files of all kinds, and reads them anywhere and from the beginning.
func TestRoundTrip(t *testing.T) {
	files := sample()
	tables := []Printed{{[4]byte{'B', 'A', 'S', 'E'}, text("one table")}, {[4]byte{'N', 'O', 'N', 'E'}, text("")}}
	pack := packOf(t, files, tables...)
	a := opened(t, pack)
	read, err := readAll(a)
	if err != nil {
		t.Fatal(err)
	}
	scanned, found, err := scanAll(pack)
	if err != nil {
		t.Fatal(err)
	}
	begin := int64(0)
	for i, f := range files {
		if !bytes.Equal(read[f.name], f.data) || !bytes.Equal(scanned[f.name], f.data) {
			t.Errorf("%s is another one", f.name)
		}
		if got := a.Files()[i]; got != (FileInfo{f.name, int64(len(f.data)), begin}) {
			t.Errorf("%s: %+v", f.name, got)
		}
		if k, ok := a.Find(f.name); !ok || k != i {
			t.Errorf("%s is found as number %d", f.name, k)
		}
		begin += int64(len(f.data))
	}
	if len(read) != len(files) || len(scanned) != len(files) || a.Content() != begin {
		t.Errorf("%d and %d files of %d, %d bytes of %d", len(read), len(scanned), len(files), a.Content(), begin)
	}
	if len(found) != 2 || string(found[0].Payload) != "one table" || len(found[1].Payload) != 0 {
		t.Errorf("tables %q", found)
	}
	for i, table := range tables {
		if got, err := a.Table(table.Tag); err != nil || !bytes.Equal(got, found[i].Payload) {
			t.Errorf("%s: %q, %v", table.Tag, got, err)
		}
	}
	_, err = a.Table([4]byte{'G', 'O', 'N', 'E'})
	kindAnd(t, "a table that is not there", err, format.KindMissing, "GONE")
	if _, ok := a.Find("sub"); ok {
		t.Error("a folder is a file")
	}
}

// TestBlocksEndWithTensors has no block hold two tensors, and no type but theirs.
func TestBlocksEndWithTensors(t *testing.T) {
	files := sample()
	a := opened(t, packOf(t, files))
	var types []format.DType
	for i, b := range a.blocks {
		types = append(types, elementType(b.elem))
		if _, begin, end := a.Extent(i); end-begin > BlockSize {
			t.Errorf("block %d has %d bytes", i, end-begin)
		}
	}
	none := format.Invalid
	if want := []format.DType{none, none, format.BF16, format.F32, none, none}; !slices.Equal(types, want) {
		t.Errorf("types %v, want %v", types, want)
	}
	if want := []int64{8, 32, 32 + 420, 32 + 420 + 200, 652 + BlockSize, 652 + BlockSize + 1000}; !slices.Equal(a.cuts, want) {
		t.Errorf("blocks end at %v, want %v", a.cuts, want)
	}
}

// TestOrder writes the bytes of files from several goroutines, in pieces: the pack is the same.
func TestOrder(t *testing.T) {
	files := sample()
	for i := range files {
		files[i].tensors = nil
	}
	want := packOf(t, files)
	var out bytes.Buffer
	w := NewWriter(&out, 3)
	type piece struct {
		file *FileWriter
		off  int64
		data []byte
	}
	var pieces []piece
	for _, f := range files {
		file, err := w.Bytes(f.name, int64(len(f.data)))
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(1, 2))
		for off := 0; off < len(f.data); {
			n := min(1+r.IntN(BlockSize/2), len(f.data)-off)
			pieces = append(pieces, piece{file, int64(off), f.data[off : off+n]})
			off += n
		}
	}
	var group sync.WaitGroup
	next := make(chan piece)
	for range 3 {
		group.Go(func() {
			for p := range next {
				if n, err := p.file.WriteAt(p.data, p.off); err != nil || n != len(p.data) {
					t.Errorf("%d bytes, %v", n, err)
				}
			}
		})
	}
	for _, p := range pieces {
		next <- p
	}
	close(next)
	group.Wait()
	if err := w.Complete(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), want) {
		t.Error("another pack")
	}
	if w.Content() != opened(t, want).Content() {
		t.Errorf("%d bytes", w.Content())
	}
	// A writer has the digest that readers find.
	s, err := NewScanner("", bytes.NewReader(out.Bytes()))
	for err == nil {
		_, err = s.Next(nil)
	}
	if err != io.EOF || w.Digest() != s.Digest() || w.Digest() != opened(t, out.Bytes()).Digest() {
		t.Errorf("digests %x, %x, %v", w.Digest(), s.Digest(), err)
	}
}

// TestGivenHeader has a header that is known beforehand stored at once; writing it again changes nothing.
func TestGivenHeader(t *testing.T) {
	f := sample()[1]
	want := packOf(t, []sampleFile{f})
	for _, from := range []int64{0, 10, f.header} {
		var out bytes.Buffer
		w := NewWriter(&out, 1)
		file, err := w.Shard(f.name, f.header, f.tensors, f.data[:f.header])
		if err != nil {
			t.Fatal(err)
		}
		if n, err := file.WriteAt(f.data[from:], from); err != nil || n != len(f.data)-int(from) {
			t.Errorf("from %d: %d bytes, %v", from, n, err)
		}
		if err := w.Complete(); err != nil || !bytes.Equal(out.Bytes(), want) {
			t.Errorf("from %d: another pack, %v", from, err)
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	for _, name := range []string{"", ".", "../x", "/x", "a//b", `a\b`, "c:x", "nul", "x.", strings.Repeat("n", maxName+1)} {
		w := NewWriter(io.Discard, 1)
		if err := w.Small(name, nil); err == nil {
			t.Errorf("%.20q is taken", name)
		}
	}
	w := NewWriter(io.Discard, 1)
	if _, err := w.Bytes("a", 10); err != nil {
		t.Fatal(err)
	}
	if err := w.Complete(); err == nil {
		t.Error("complete without all bytes")
	}
	w = NewWriter(io.Discard, 1)
	f, _ := w.Bytes("a", 10)
	failed := errors.New("failed")
	f.Abort(failed)
	if _, err := f.WriteAt(make([]byte, 10), 0); err != failed {
		t.Errorf("after an abort: %v", err)
	}
	if f.Begin() != 0 {
		t.Errorf("it begins at %d", f.Begin())
	}
}

// TestFS has the standard library look at a pack as a file system.
func TestFS(t *testing.T) {
	a := opened(t, packOf(t, sample()))
	if err := fstest.TestFS(a.FS(), "config.json", "sub/m.safetensors", "empty", "sub/deep/large.bin"); err != nil {
		t.Error(err)
	}
	if _, err := a.FS().Open("sub/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
