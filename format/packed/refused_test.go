package packed

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"weld/format"
	"weld/format/planes"
	"weld/mmapio"
)

// TestOpenRefuses opens packs whose last records are sound one by one, and not what they should be.
func TestOpenRefuses(t *testing.T) {
	le := binary.LittleEndian
	pack := small(t)
	header, records := recordsIn(pack)
	end := len(records) - 1
	last := func(change func(r []byte)) []byte {
		changed := bytes.Clone(pack)
		change(changed[len(changed)-endSize:])
		return changed
	}
	const notThere = "the record at the end is not there"
	for _, c := range []struct {
		name string
		pack []byte
		kind format.Kind
		says string
	}{
		{"a damaged head", last(func(r []byte) { r[9] ^= 1 }), format.KindTruncated, notThere},
		{"a damaged end", last(func(r []byte) { r[recordSize+3] ^= 1 }), format.KindTruncated, notThere},
		{"another record", last(func(r []byte) { copy(r, "TABL"); reseal(r) }), format.KindTruncated, notThere},
		{"another length", last(func(r []byte) {
			le.PutUint32(r[4:], endPayload-1)
			le.PutUint32(r[28:], crc32.ChecksumIEEE(r[:28]))
		}), format.KindTruncated, notThere},
		{"another content", last(func(r []byte) { r[recordSize+8]++; reseal(r) }), format.KindRecord, "the records of the index end at byte"},
		{"an index in the header", last(func(r []byte) { le.PutUint64(r[recordSize:], 3); reseal(r) }), format.KindRecord, "does not fit the file"},
		{"an index behind the end", last(func(r []byte) { le.PutUint64(r[recordSize:], uint64(len(pack))); reseal(r) }), format.KindRecord, "does not fit the file"},
		{"an index before the file", last(func(r []byte) { le.PutUint64(r[recordSize:], 1<<63); reseal(r) }), format.KindRecord, "does not fit the file"},
		{"an index elsewhere", last(func(r []byte) { le.PutUint64(r[recordSize:], headerSize); reseal(r) }), format.KindRecord, "found \"FILE\""},
		{"no index", joined(header, func() [][]byte {
			changed := slices.Clone(records)
			changed[end-1] = reseal(append([]byte("TABL"), records[end-1][4:]...))
			return changed
		}()), format.KindRecord, "it does not fit the file"},
		{"a record that the index does not list", joined(header, slices.Insert(slices.Clone(records), end-1, appendRecord(nil, tag{'M', 'O', 'R', 'E'}, 0, nil))), format.KindRecord, "the records of the index end at byte"},
		{"a damaged index", func() []byte {
			changed := bytes.Clone(pack)
			changed[len(pack)-endSize-1] ^= 1
			return changed
		}(), format.KindChecksum, "is damaged"},
	} {
		m := &inMemory{data: c.pack}
		_, err := OpenStorage(m)
		kindAnd(t, c.name, err, c.kind, c.says)
		if m.closed != 1 {
			t.Errorf("%s: closed %d times", c.name, m.closed)
		}
	}
}

// TestRecordsAgainstIndex changes what the record of a block says, under a checksum that is right.
func TestRecordsAgainstIndex(t *testing.T) {
	pack := small(t)
	place, begin, end := opened(t, pack).Extent(1) // the elements of BF16
	for name, change := range map[string]func(r []byte){
		"its place in the content": func(r []byte) { r[8]++ },
		"what it decodes to":       func(r []byte) { r[16]-- },
		"its payload":              func(r []byte) { r[4]-- },
		"its type":                 func(r []byte) { r[20]-- },
		"its head":                 func(r []byte) { r[28]++ },
	} {
		changed := bytes.Clone(pack)
		r := changed[place : place+recordSize]
		change(r)
		if name != "its head" {
			binary.LittleEndian.PutUint32(r[28:], crc32.ChecksumIEEE(r[:28]))
		}
		err := opened(t, changed).ReadContent(make([]byte, end-begin), begin)
		kindAnd(t, name, err, format.KindChecksum, "is damaged (")
	}
}

// TestCheckDecodes has a block whose checksums are all right hold nothing that decodes.
func TestCheckDecodes(t *testing.T) {
	header, records := recordsIn(small(t))
	i := slices.IndexFunc(records, func(r []byte) bool { return tag(r) == tagData && r[20] == elementCodes[format.BF16] })
	before := bytes.Clone(records[i][24:28])
	for k := recordSize; k < len(records[i]); k++ {
		records[i][k] = 0xff
	}
	records[i][21] = byte(planes.Split)
	reseal(records[i])
	index := records[len(records)-2]
	sum := bytes.Index(index, before) // the last of the block's entry
	index[sum-3] = byte(planes.Split)
	copy(index[sum:], records[i][24:28])
	reseal(index)
	a := opened(t, joined(header, records))
	buffer := make([]byte, MaxBlock)
	for k := range a.Blocks() {
		if err := a.Check(k, buffer); (err == nil) != (elementType(a.blocks[k].elem) != format.BF16) {
			t.Errorf("block %d: %v", k, err)
		}
	}
}

// TestCodedAgainstBase writes a patch, and reads it with its base, without, and with another.
func TestCodedAgainstBase(t *testing.T) {
	f := sample()[1]
	base := bytes.Clone(f.data)
	for i := 40; i < len(base); i += 50 {
		base[i] ^= 1
	}
	failed := errors.New("failed")
	lent := 0
	var out bytes.Buffer
	w := NewPatchWriter(&out, 1, func(offset int64, content []byte) (mmapio.View, error) {
		if offset < f.header {
			return mmapio.View{}, nil // the header is coded by itself
		}
		lent++
		return mmapio.View{Data: base[offset : offset+int64(len(content))]}, nil
	})
	write(t, w, f)
	if err := w.Complete(); err != nil || lent != 2 {
		t.Fatalf("%v, the base was asked for %d blocks", err, lent)
	}
	patch := out.Bytes()
	if len(patch) >= len(packOf(t, []sampleFile{f})) {
		t.Errorf("a patch of %d bytes", len(patch))
	}
	relative := 0
	a := opened(t, patch)
	buffer := make([]byte, MaxBlock)
	for i := range a.Blocks() {
		place, _, _ := a.Extent(i)
		if a.blocks[i].coding.Relative() {
			relative++
		}
		if err := a.Check(i, buffer); err != nil {
			t.Errorf("block %d: %v", i, err)
		}
		damaged := bytes.Clone(patch)
		damaged[place+recordSize] ^= 1
		kindAnd(t, "a damaged block", opened(t, damaged).Check(i, buffer), format.KindChecksum, "its checksum differs")
	}
	if relative != 2 {
		t.Fatalf("%d blocks are coded against the base", relative)
	}
	_, err := readAll(a)
	kindAnd(t, "without a base", err, format.KindChecksum, "coded by a base, which is not there")
	read := func(base []byte, fails error) ([]byte, error) {
		a := opened(t, patch)
		a.SetBase(func(offset, n int64) (mmapio.View, error) {
			if fails != nil {
				return mmapio.View{}, fails
			}
			return mmapio.View{Data: base[offset : offset+n]}, nil
		})
		if fails != nil {
			if err := a.Check(2, buffer); !errors.Is(err, fails) {
				t.Errorf("a check without the base's bytes: %v", err)
			}
		}
		files, err := readAll(a)
		return files[f.name], err
	}
	if got, err := read(base, nil); err != nil || !bytes.Equal(got, f.data) {
		t.Errorf("on its base another file, %v", err)
	}
	if got, err := read(f.data, nil); err == nil && bytes.Equal(got, f.data) {
		t.Error("on another base the same file")
	}
	if _, err := read(nil, failed); !errors.Is(err, failed) {
		t.Errorf("a base that cannot be read: %v", err)
	}
	w = NewPatchWriter(io.Discard, 1, func(int64, []byte) (mmapio.View, error) { return mmapio.View{}, failed })
	file, err := w.Bytes("a", 1)
	if err == nil {
		_, err = file.WriteAt([]byte("x"), 0)
	}
	if !errors.Is(err, failed) {
		t.Errorf("written against a base that cannot be read: %v", err)
	}
}

// TestWriterLimits refuses what no reader would take.
func TestWriterLimits(t *testing.T) {
	w := NewWriter(io.Discard, 1)
	w.named = maxIndex
	if err := w.Small("a", nil); err == nil {
		t.Error("more names than an index holds")
	}
	w = NewWriter(io.Discard, 1)
	if err := w.CompleteWith(Printed{tagEnd, text(string(make([]byte, endPayload+1)))}); err == nil {
		t.Error("a record that is too long")
	}
}

// TestRecover opens packs by name: a sound one by its index, another by its records.
func TestRecover(t *testing.T) {
	dir := t.TempDir()
	pack := small(t)
	sound, cut, none := filepath.Join(dir, "sound"), filepath.Join(dir, "cut"), filepath.Join(dir, "none")
	if err := errors.Join(os.WriteFile(sound, pack, 0o666), os.WriteFile(cut, pack[:len(pack)-1], 0o666)); err != nil {
		t.Fatal(err)
	}
	for path, indexed := range map[string]bool{sound: true, cut: false} {
		a, lost, err := Recover(path)
		if err != nil || len(lost) > 0 || len(whole(a)) != 3 {
			t.Fatalf("%s: lost %v, %v", path, lost, err)
		}
		if (a.Digest() != Digest{}) != indexed {
			t.Errorf("%s: digest %x", path, a.Digest())
		}
		a.Close()
	}
	if _, _, err := Recover(none); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	// A header alone, and blocks before any file.
	for _, data := range [][]byte{pack[:headerSize], slices.Concat(pack[:headerSize], dataRecord(0, "aa"))} {
		if a, _ := recovered(t, data); len(a.Files()) != 0 {
			t.Errorf("files %v", a.Files())
		}
	}
}
