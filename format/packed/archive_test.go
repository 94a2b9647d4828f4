package packed

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"weld/format"
	"weld/mmapio"
)

// small is a pack of which every byte can be tried.
func small(t testing.TB) []byte {
	return packOf(t, []sampleFile{sample()[1], {name: "b", data: []byte("bytes")}, {name: "empty"}}, Printed{[4]byte{'B', 'A', 'S', 'E'}, text("table")})
}

// TestEveryByteCounts changes every byte of a pack: opening it, its table or a file of it fails, and so does reading it
// from the beginning.
func TestEveryByteCounts(t *testing.T) {
	pack := small(t)
	for i := range pack {
		damaged := bytes.Clone(pack)
		damaged[i] ^= 0x5a
		a, err := OpenStorage(&inMemory{data: damaged})
		if err == nil {
			if _, err = readAll(a); err == nil {
				_, err = a.Table([4]byte{'B', 'A', 'S', 'E'})
			}
		}
		_, _, errScan := scanAll(damaged)
		if errScan == nil {
			t.Errorf("byte %d of %d: scanned as if it were whole", i, len(pack))
		}
		// The heads of file records are for those who read from the beginning.
		if err == nil && !inFileRecord(pack, i) {
			t.Errorf("byte %d of %d: read as if it were whole", i, len(pack))
		}
	}
}

// inFileRecord reports whether a byte belongs to the record of a file, or to the digest over all.
func inFileRecord(pack []byte, i int) bool {
	at := headerSize
	_, records := recordsIn(pack)
	for _, r := range records {
		if at <= i && i < at+len(r) {
			return tag(r) == tagFile
		}
		at += len(r)
	}
	return false
}

// TestCut cuts a pack everywhere.
func TestCut(t *testing.T) {
	pack := small(t)
	for n := range pack {
		m := &inMemory{data: pack[:n]}
		_, err := OpenStorage(m)
		if format.KindOf(err) != format.KindTruncated {
			t.Errorf("%d bytes of %d: %v", n, len(pack), err)
		}
		if m.closed != 1 {
			t.Errorf("%d bytes: closed %d times", n, m.closed)
		}
		if _, _, err := scanAll(pack[:n]); format.KindOf(err) != format.KindTruncated {
			t.Errorf("%d bytes of %d, scanned: %v", n, len(pack), err)
		}
	}
}

// TestOpenKinds opens files that are something else than what is asked for.
func TestOpenKinds(t *testing.T) {
	dir := t.TempDir()
	pack, patch := filepath.Join(dir, "x.weld"), filepath.Join(dir, "x.weldpatch")
	var out bytes.Buffer
	w := NewPatchWriter(&out, 1, func(int64, []byte) (mmapio.View, error) { return mmapio.View{}, nil })
	if err := errors.Join(w.Small("a", []byte("x")), w.Complete(), os.WriteFile(pack, small(t), 0o666), os.WriteFile(patch, out.Bytes(), 0o666)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path string
		open func(string, ...mmapio.Reading) (*Archive, error)
		kind format.Kind
	}{
		{pack, Open, ""}, {patch, OpenPatch, ""}, {pack, OpenPatch, format.KindUnsupported}, {patch, Open, format.KindUnsupported},
		{filepath.Join(dir, "none"), Open, format.KindMissing}, {dir, Open, format.KindUnsupported}, {dir, OpenPatch, format.KindUnsupported},
	} {
		a, err := c.open(c.path)
		if format.KindOf(err) != c.kind || (err == nil) != (c.kind == "") {
			t.Errorf("%s: %v, want %q", c.path, err, c.kind)
		}
		if err == nil {
			a.Close()
		}
	}
	for name, is := range map[string]bool{"a.weld": true, "A.WELD": true, "a.weldpatch": false, "weld": false} {
		if IsName(name) != is {
			t.Errorf("%s: %v", name, !is)
		}
	}
}

// TestFileReader reads ranges of a file in a pack.
func TestFileReader(t *testing.T) {
	files := sample()
	m := &inMemory{data: packOf(t, files)}
	a, err := OpenStorage(m)
	if err != nil {
		t.Fatal(err)
	}
	i, _ := a.Find("sub/m.safetensors")
	src, data := a.Source(i), files[1].data
	size := int64(len(data))
	if src.Name() != "sub/m.safetensors" || src.Path() != "memory/sub/m.safetensors" || src.Size() != size {
		t.Errorf("%s, %s, %d bytes", src.Name(), src.Path(), src.Size())
	}
	for off := int64(0); off <= size; off += 13 {
		for n := int64(0); off+n <= size; n += 29 {
			for _, lend := range []func(off, n int64) (mmapio.View, error){src.View, src.Read} {
				v, err := lend(off, n)
				if err != nil || !bytes.Equal(v.Data, data[off:off+n]) {
					t.Fatalf("[%d, %d): %v", off, off+n, err)
				}
				v.Release()
			}
		}
	}
	for _, bad := range [][2]int64{{-1, 1}, {0, size + 1}, {size, 1}, {1, -1}} {
		if _, err := src.View(bad[0], bad[1]); err == nil {
			t.Errorf("a view of %d bytes at %d of %d", bad[1], bad[0], size)
		}
	}
	p := make([]byte, 10)
	if n, err := src.ReadAt(p, size-4); n != 4 || err != io.EOF || !bytes.Equal(p[:4], data[size-4:]) {
		t.Errorf("at the end: %d bytes, %v", n, err)
	}
	for _, off := range []int64{-1, size + 1} {
		if n, err := src.ReadAt(p, off); n != 0 || err != io.EOF {
			t.Errorf("at %d: %d bytes, %v", off, n, err)
		}
	}
	src.Advise(mmapio.Soon, 24, 1)
	if place, _, _ := a.Extent(2); !slices.Equal(m.advice, []int64{place}) {
		t.Errorf("advice about %v, want %d", m.advice, place)
	}
	if src.ViewCost(100) <= 100 {
		t.Errorf("a view of decoded bytes costs %d", src.ViewCost(100))
	}
	if err := errors.Join(src.Close(), src.Unchanged()); err != nil || m.closed != 0 {
		t.Errorf("%v, closed %d times", err, m.closed)
	}
	if err := a.ReadContent(p, 3); err != nil || !bytes.Equal(p, append(files[0].data[3:len(files[0].data):len(files[0].data)], data...)[:10]) {
		t.Errorf("content %q, %v", p, err)
	}
}

// TestIndexAgainstRecords has the index say something else of a block than its record does.
func TestIndexAgainstRecords(t *testing.T) {
	header, records := recordsIn(small(t))
	last := len(records) - 2
	for name, at := range map[string]int{"its type": 8, "its coding": 9, "its checksum": 12} {
		changed := slices.Clone(records)
		index := bytes.Clone(records[last])
		block := index[len(index)-blockEntry:]
		block[at] ^= 1
		changed[last] = reseal(index)
		a, err := OpenStorage(&inMemory{data: joined(header, changed)})
		if err != nil {
			t.Fatal(err)
		}
		_, err = readAll(a)
		kindAnd(t, name, err, format.KindChecksum, "it is not the block that the index says")
	}
	// The index may stand elsewhere than behind the last record.
	pack := joined(header, records)
	end := len(pack) - endPayload
	pack[end]++
	reseal(pack[end-recordSize:])
	if _, err := OpenStorage(&inMemory{data: pack}); format.KindOf(err) != format.KindRecord {
		t.Error(err)
	}
}

// TestRepeatedBlocks reads a tensor that comes again from where it came first.
func TestRepeatedBlocks(t *testing.T) {
	f := sample()[1]
	var out bytes.Buffer
	w := NewWriter(&out, 1)
	w.Repeats()
	first, err := w.Shard("first", f.header, f.tensors, nil)
	if err == nil {
		_, err = first.WriteAt(f.data, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	again, err := w.Shard("again", f.header, f.tensors, f.data[:f.header])
	if err == nil {
		err = again.Repeat(f.header, 420, first.Begin()+f.header)
	}
	if err == nil {
		_, err = again.WriteAt(f.data[f.header+420:], f.header+420)
	}
	if err := errors.Join(err, w.Complete()); err != nil {
		t.Fatal(err)
	}
	pack := out.Bytes()
	files, err := readAll(opened(t, pack))
	if err != nil || !bytes.Equal(files["first"], f.data) || !bytes.Equal(files["again"], f.data) {
		t.Errorf("other files, %v", err)
	}
	if _, _, err := scanAll(pack); err != nil {
		t.Error(err)
	}
	// Version 1 has no such blocks.
	header, records := recordsIn(pack)
	old := joined(appendHeader(nil, Pack, version), records)
	a, err := OpenStorage(&inMemory{data: old})
	if err == nil {
		_, err = readAll(a)
	}
	if err == nil {
		t.Error("version 1 repeats a block")
	}
	_, _, err = scanAll(old)
	kindAnd(t, "version 1", err, format.KindRecord, "version 1 does not have")
	// One that names a place where nothing begins.
	i := slices.IndexFunc(records, func(r []byte) bool { return tag(r) == tagData && r[21] == byte(repeated) })
	damaged := slices.Clone(records)
	damaged[i] = bytes.Clone(records[i])
	damaged[i][recordSize]++
	_, err = readAll(opened(t, joined(header, damaged)))
	kindAnd(t, "a damaged origin", err, format.KindChecksum, "its checksum differs")
	records[i][recordSize]++
	reseal(records[i])
	index := records[len(records)-2]
	copy(index[bytes.Index(index, binary.LittleEndian.AppendUint32(nil, binary.LittleEndian.Uint32(damaged[i][24:]))):], records[i][24:28])
	reseal(index)
	_, err = readAll(opened(t, joined(header, records)))
	kindAnd(t, "another origin, by the index", err, format.KindChecksum, "no earlier block begins")
	_, _, err = scanAll(joined(header, records))
	kindAnd(t, "another origin", err, format.KindRecord, "no earlier block begins")
}
