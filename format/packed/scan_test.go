package packed

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/iotest"

	"weld/format"
)

// TestScan reads a pack a byte at a time, record by record.
func TestScan(t *testing.T) {
	pack := small(t)
	s, err := NewScanner("stream", iotest.OneByteReader(bytes.NewReader(pack)))
	if err != nil {
		t.Fatal(err)
	}
	if s.Kind() != Pack {
		t.Errorf("a %v", s.Kind())
	}
	_, records := recordsIn(pack)
	at := int64(headerSize)
	buffer := make([]byte, 10)
	for _, r := range records[:len(records)-2] { // without index and end
		if s.Place() != at {
			t.Errorf("at byte %d, not %d", s.Place(), at)
		}
		found, err := s.Next(buffer)
		if err != nil {
			t.Fatal(err)
		}
		switch tag(r) {
		case tagFile:
			if found.File == nil || !bytes.Contains(r, []byte(found.File.Name)) {
				t.Errorf("found %+v", found)
			}
		case tagData:
			b := found.Block
			if b == nil || b.Place != at || !b.Intact() || b.Repeated() || b.Relative() || !bytes.Equal(b.Payload(), r[recordSize:]) || b.Type() != elementType(r[20]) {
				t.Errorf("found %+v", found)
			}
			if small := len(r)-recordSize <= cap(buffer); small != (cap(b.Payload()) == cap(buffer)) {
				t.Errorf("a payload of %d bytes lies in %d", len(b.Payload()), cap(b.Payload()))
			}
		default:
			if found.Table == nil || found.Table.Tag != tag(r) || !bytes.Equal(found.Table.Payload, r[recordSize:]) {
				t.Errorf("found %+v", found)
			}
		}
		at += int64(len(r))
	}
	for range 2 {
		if _, err := s.Next(nil); err != io.EOF {
			t.Errorf("at the end: %v", err)
		}
	}
	if a := opened(t, pack); s.Digest() != a.Digest() || s.Content() != a.Content() {
		t.Errorf("digest %x, %d bytes", s.Digest(), s.Content())
	}
}

// TestScanFails passes on what fails below.
func TestScanFails(t *testing.T) {
	pack, failed := small(t), errors.New("failed")
	for n := range pack {
		_, err := NewScanner("stream", io.MultiReader(bytes.NewReader(pack[:n]), iotest.ErrReader(failed)))
		if n < headerSize && !errors.Is(err, failed) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
	s, _ := NewScanner("stream", io.MultiReader(bytes.NewReader(pack[:100]), iotest.ErrReader(failed)))
	for {
		if _, err := s.Next(nil); errors.Is(err, failed) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// fileRecord is a record of a file.
func fileRecord(f FileInfo) []byte { return appendRecord(nil, tagFile, f.Begin, appendFile(nil, f)) }

// dataRecord is a block of bytes that are stored as they are.
func dataRecord(offset int64, content string) []byte {
	r := make([]byte, recordSize, recordSize+len(content))
	record{tag: tagData, offset: offset, content: uint32(len(content))}.put(r)
	r = append(r, content...)
	binary.LittleEndian.PutUint32(r[4:], uint32(len(content)))
	return reseal(r)
}

// TestScanRefuses reads records that are sound one by one, and not together.
func TestScanRefuses(t *testing.T) {
	a, b := FileInfo{"a", 4, 0}, FileInfo{"b", 2, 4}
	sound := [][]byte{fileRecord(a), dataRecord(0, "aa"), dataRecord(2, "aa"), fileRecord(b), dataRecord(4, "bb"), appendRecord(nil, tag{'T', 'A', 'B', 'L'}, 6, []byte("t"))}
	x := &index{end: headerSize}
	x.file(a)
	x.data(record{payload: 2, offset: 0, content: 2, sum: binary.LittleEndian.Uint32(sound[1][24:])})
	x.data(record{payload: 2, offset: 2, content: 2, sum: binary.LittleEndian.Uint32(sound[2][24:])})
	x.file(b)
	x.data(record{payload: 2, offset: 4, content: 2, sum: binary.LittleEndian.Uint32(sound[4][24:])})
	x.table(tag{'T', 'A', 'B', 'L'}, 1)
	sound = append(sound, appendRecord(nil, tagIndex, 6, printed(t, x)), appendRecord(nil, tagEnd, 6, binary.LittleEndian.AppendUint64(make([]byte, 8), 6)))
	end := len(sound) - 1
	sound[end] = reseal(append(sound[end], make([]byte, 32)...))
	header := appendHeader(nil, Pack, version)
	if files, _, err := scanAll(joined(header, sound)); err != nil || string(files["a"]) != "aaaa" || string(files["b"]) != "bb" {
		t.Fatalf("%q, %v", files, err)
	}
	with := func(i int, r []byte) [][]byte {
		list := slices.Clone(sound)
		list[i] = r
		return list
	}
	for _, c := range []struct {
		name    string
		records [][]byte
		kind    format.Kind
		says    string
	}{
		{"a block before any file", sound[1:], format.KindRecord, "reaches beyond the end"},
		{"a block too many", slices.Insert(slices.Clone(sound), 3, dataRecord(4, "aa")), format.KindRecord, "beyond the end of file \"a\""},
		{"a block too few", slices.Delete(slices.Clone(sound), 2, 3), format.KindRecord, "the one before ended at 2"},
		{"a block elsewhere", with(2, dataRecord(3, "a")), format.KindRecord, "it belongs to byte 3"},
		{"a file that begins too early", [][]byte{sound[0], sound[1], fileRecord(FileInfo{"b", 2, 2})}, format.KindRecord, "begins before \"a\" ends"},
		{"a file twice", with(3, fileRecord(FileInfo{"a", 2, 4})), format.KindDuplicate, "appears twice"},
		{"a file in a file", with(3, fileRecord(FileInfo{"a/b", 2, 4})), format.KindDuplicate, "lies inside the file"},
		{"a file elsewhere", with(3, fileRecord(FileInfo{"../b", 2, 4})), format.KindShardName, "../b"},
		{"a file of a negative size", with(3, fileRecord(FileInfo{"b", -2, 4})), format.KindRecord, "names no file"},
		{"a file that is too large", with(3, fileRecord(FileInfo{"b", 1<<63 - 3, 4})), format.KindRecord, "names no file"},
		{"a file with bytes behind its name", with(3, appendRecord(nil, tagFile, 4, append(appendFile(nil, b), 0))), format.KindRecord, "names no file"},
		{"a file without a name", with(3, appendRecord(nil, tagFile, 4, make([]byte, 9))), format.KindRecord, "names no file"},
		{"a block after a table", slices.Insert(slices.Clone(sound), 6, fileRecord(FileInfo{"c", 0, 6})), format.KindRecord, "after a table"},
		{"the index too early", slices.Delete(slices.Clone(sound), 4, 6), format.KindRecord, "content"},
		{"the index inside a file", [][]byte{sound[0], sound[1], appendRecord(nil, tagIndex, 2, nil)}, format.KindRecord, "comes before file \"a\" ends"},
		{"another index", with(6, appendRecord(nil, tagIndex, 6, printed(t, sampleIndex()))), format.KindRecord, "lists something else"},
		{"no index", slices.Delete(slices.Clone(sound), 6, 7), format.KindRecord, "the end comes before the index"},
		{"no end", with(end, fileRecord(FileInfo{"c", 0, 6})), format.KindTruncated, "ends inside"},
		{"another end", with(end, append(fileRecord(FileInfo{"c", 0, 6}), make([]byte, endSize)...)[:endSize]), format.KindRecord, "the last record is damaged"},
		{"bytes behind the end", append(slices.Clone(sound), []byte("x\x00\x00\x00")), format.KindRecord, "bytes follow the end"},
	} {
		_, _, err := scanAll(joined(header, c.records))
		kindAnd(t, c.name, err, c.kind, c.says)
	}
	pack := joined(header, sound)
	for at, name := range map[int]string{0: "the index's place", 8: "the length", 16: "the digest"} {
		changed := bytes.Clone(pack)
		last := changed[len(changed)-endSize:]
		last[recordSize+at] ^= 1
		reseal(last)
		_, _, err := scanAll(changed)
		kindAnd(t, name, err, format.KindChecksum, "that of something else")
	}
	damaged := bytes.Clone(pack)
	damaged[headerSize+5] ^= 1
	_, _, err := scanAll(damaged)
	kindAnd(t, "a damaged head", err, format.KindRecord, "the head of a record is damaged")
	_, _, err = scanAll(joined(header, with(5, append(bytes.Clone(sound[5][:recordSize]), 'x'))))
	kindAnd(t, "a damaged table", err, format.KindChecksum, "its payload is damaged")
	s, _ := NewScanner("", bytes.NewReader(pack))
	s.seen.named = maxIndex
	_, err = s.Next(nil)
	kindAnd(t, "too many names", err, format.KindRecord, "an index of more than")
	long := appendRecord(nil, tagFile, 0, nil)
	binary.LittleEndian.PutUint32(long[4:], fileEntry+maxName+1)
	record{tag: tagFile, payload: fileEntry + maxName + 1}.put(long)
	_, _, err = scanAll(append(bytes.Clone(header), long...))
	kindAnd(t, "a long record", err, format.KindRecord, "over the limit")
}
