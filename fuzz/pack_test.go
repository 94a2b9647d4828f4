package fuzz

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weld/format"
	"weld/format/packed"
	"weld/format/planes"
	"weld/mmapio"
)

// packBytes is a pack of two small files, one of them a shard with a tensor.
func packBytes() []byte {
	var out bytes.Buffer
	w := packed.NewWriter(&out, 1)
	header := `{"w":{"dtype":"BF16","shape":[100,10],"data_offsets":[0,2000]}}`
	head := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	head = append(head, header...)
	data := make([]byte, 2000)
	for i := range data {
		data[i] = byte(i*i>>3) | byte(i&1)*0x3c
	}
	must(w.Small("tokenizer_ab.json", []byte(strings.Repeat("{\"a\": 1}", 30))))
	f, err := w.Shard("model.safetensors", int64(len(head)), []format.Tensor{{Name: "w", DType: format.BF16, Shape: []int64{100, 10}}}, head)
	must(err)
	_, err = f.WriteAt(data, int64(len(head)))
	must(err)
	must(w.Complete())
	return out.Bytes()
}

// repeatingPack is a pack of version 2: a tensor, and two times the same again.
func repeatingPack() []byte {
	var out bytes.Buffer
	w := packed.NewWriter(&out, 1)
	w.Repeats()
	header := `{"a":{"dtype":"BF16","shape":[1000],"data_offsets":[0,2000]},"b":{"dtype":"BF16","shape":[1000],"data_offsets":[2000,4000]},"c":{"dtype":"BF16","shape":[1000],"data_offsets":[4000,6000]}}`
	head := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	head = append(head, header...)
	data := make([]byte, 2000)
	for i := range data {
		data[i] = byte(i*i>>3) | byte(i&1)*0x3c
	}
	t := format.Tensor{DType: format.BF16, Shape: []int64{1000}}
	f, err := w.Shard("model.safetensors", int64(len(head)), []format.Tensor{t, t, t}, head)
	must(err)
	_, err = f.WriteAt(data, int64(len(head)))
	must(err)
	must(f.Repeat(int64(len(head))+2000, 2000, int64(len(head))))
	must(f.Repeat(int64(len(head))+4000, 2000, int64(len(head))))
	must(w.Complete())
	return out.Bytes()
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// packRecord is where a record lies.
type packRecord struct {
	tag      string
	at, size int
}

// packRecords lists the records of a pack that is whole.
func packRecords(file []byte) (list []packRecord) {
	for at := 16; at < len(file); {
		size := 32 + int(binary.LittleEndian.Uint32(file[at+4:]))
		list = append(list, packRecord{string(file[at : at+4]), at, size})
		at += size
	}
	return list
}

// malformedPacks have one fault each, behind checksums that are right where the fault is not in them.
var malformedPacks = func() (list []specimen) {
	whole := packBytes()
	records := packRecords(whole)
	add := func(name string, kind format.Kind, change func(file []byte) []byte) {
		list = append(list, specimen{name: name, kind: kind, bytes: change(bytes.Clone(whole))})
	}
	// in changes record i; the checksums follow.
	in := func(name string, kind format.Kind, i int, change func(r []byte)) {
		add(name, kind, func(file []byte) []byte {
			r := file[records[i].at:][:records[i].size]
			change(r)
			binary.LittleEndian.PutUint32(r[24:], crc32.ChecksumIEEE(r[32:]))
			binary.LittleEndian.PutUint32(r[28:], crc32.ChecksumIEEE(r[:28]))
			return file
		})
	}
	set := func(at int, v ...byte) func(r []byte) { return func(r []byte) { copy(r[at:], v) } }
	const file1, data1, file2, data2, index, end = 0, 1, 2, 4, 5, 6 // 3 is the header of the shard

	add("empty", format.KindTruncated, func([]byte) []byte { return nil })
	add("header-cut", format.KindTruncated, func(f []byte) []byte { return f[:9] })
	add("header-alone", format.KindTruncated, func(f []byte) []byte { return f[:16] })
	add("magic", format.KindUnsupported, func(f []byte) []byte { f[3] = 'x'; return f })
	add("line-ends", format.KindUnsupported, func(f []byte) []byte { return append(f[:5], f[6:]...) })
	add("version-0", format.KindUnsupported, func(f []byte) []byte { f[8] = 0; return f })
	add("version-3", format.KindUnsupported, func(f []byte) []byte { f[8] = 3; return f })
	add("kind-0", format.KindUnsupported, func(f []byte) []byte { f[10] = 0; return f })
	add("kind-9", format.KindUnsupported, func(f []byte) []byte { f[10] = 9; return f })
	add("header-reserved", format.KindUnsupported, func(f []byte) []byte { f[13] = 1; return f })
	for i, r := range records {
		add("cut-in-head-"+strings.TrimSpace(r.tag)+string(rune('0'+i)), format.KindTruncated, func(f []byte) []byte { return f[:r.at+20] })
		add("cut-in-payload-"+strings.TrimSpace(r.tag)+string(rune('0'+i)), format.KindTruncated, func(f []byte) []byte { return f[:r.at+r.size-1] })
		add("head-flipped-"+strings.TrimSpace(r.tag)+string(rune('0'+i)), format.KindRecord, func(f []byte) []byte { f[r.at+9] ^= 4; return f })
		kind := format.KindChecksum
		if i == end {
			kind = format.KindRecord
		}
		add("payload-flipped-"+strings.TrimSpace(r.tag)+string(rune('0'+i)), kind, func(f []byte) []byte { f[r.at+r.size-1] ^= 4; return f })
	}
	in("record-reserved", format.KindRecord, data1, set(22, 1))
	in("tag-unknown-before-files", format.KindRecord, file1, set(0, 'X'))
	in("file-with-content", format.KindRecord, file1, set(16, 1))
	in("file-with-type", format.KindRecord, file1, set(20, 1))
	in("file-size-negative", format.KindRecord, file1, set(32+7, 0x80))
	in("file-size-larger", format.KindRecord, file1, set(32, 0xff, 0xff))
	in("file-size-smaller", format.KindRecord, file1, set(32, 1, 0))
	in("file-name-longer", format.KindRecord, file1, set(40, 200))
	in("file-name-shorter", format.KindRecord, file1, set(40, 2))
	in("file-name-out", format.KindShardName, file1, set(42, []byte("../")...))
	in("file-name-absolute", format.KindShardName, file1, set(42, '/'))
	in("file-name-backslash", format.KindShardName, file1, set(43, '\\'))
	in("file-name-device", format.KindShardName, file1, set(42, []byte("NUL.")...))
	in("file-name-utf8", format.KindShardName, file1, set(42, 0xff))
	in("file-name-twice", format.KindDuplicate, file2, set(42, []byte("tokenizer_ab.json")...))
	in("block-offset", format.KindRecord, data1, set(8, 1))
	in("block-offset-negative", format.KindRecord, data1, set(15, 0x80))
	in("block-empty", format.KindRecord, data1, set(16, 0, 0, 0, 0))
	in("block-too-long", format.KindRecord, data2, set(16, 1, 0, 0x40, 0))
	in("block-beyond-file", format.KindRecord, data2, set(16, 0xff, 0xff))
	in("block-type-unknown", format.KindRecord, data2, set(20, 99))
	in("block-type-other", format.KindChecksum, data2, set(20, 18))
	in("block-coding-unknown", format.KindChecksum, data2, set(21, 9))
	in("block-coding-relative", format.KindChecksum, data2, set(21, 16))
	in("plane-coding", format.KindChecksum, data2, set(32, 77))
	in("plane-length", format.KindChecksum, data2, set(33, 0xff, 0xff, 0xff, 0x7f))
	in("plane-length-0", format.KindChecksum, data2, set(33, 0, 0, 0, 0))
	in("index-files", format.KindRecord, index, set(32, 0xff, 0xff, 0xff, 0xff))
	in("index-no-files", format.KindRecord, index, set(32, 0))
	in("index-name", format.KindRecord, index, set(32+4+10, 'k'))
	in("index-content", format.KindRecord, index, func(r []byte) { r[len(r)-12]++ })
	in("index-checksum", format.KindRecord, index, func(r []byte) { r[len(r)-1]++ })
	in("index-shorter", format.KindRecord, index, func(r []byte) { r[len(r)-24-16-16]++ })
	in("end-place", format.KindChecksum, end, func(r []byte) { r[32]++ })
	in("end-content", format.KindChecksum, end, func(r []byte) { r[40]++ })
	in("end-digest", format.KindChecksum, end, set(60, 7, 7, 7))
	in("end-tag", format.KindRecord, end, set(0, 'N'))
	add("trailing", format.KindRecord, func(f []byte) []byte { return append(f, 0) })
	drop := func(name string, kind format.Kind, i int) {
		add(name, kind, func(f []byte) []byte { return append(f[:records[i].at], f[records[i].at+records[i].size:]...) })
	}
	drop("no-file", format.KindRecord, file2)
	drop("no-block", format.KindRecord, data1)
	drop("no-tensor", format.KindRecord, data2)
	drop("no-index", format.KindRecord, index)
	drop("no-end", format.KindTruncated, end)

	// Blocks that repeat others: the same tensor twice, then a short file.
	whole = repeatingPack()
	records = packRecords(whole)
	const header, first, second, third = 1, 2, 3, 4 // blocks
	at := binary.LittleEndian.Uint64(whole[records[first].at+8:])
	repeats := func(origin uint64) func(r []byte) {
		return func(r []byte) { binary.LittleEndian.PutUint64(r[32:], origin) }
	}
	add("repeat-in-version-1", format.KindRecord, func(f []byte) []byte { f[8] = 1; return f })
	in("repeat-itself", format.KindRecord, second, repeats(at+2000))
	in("repeat-later", format.KindRecord, second, repeats(at+4000))
	in("repeat-beyond", format.KindRecord, second, repeats(1<<40))
	in("repeat-negative", format.KindRecord, second, repeats(1<<63))
	in("repeat-no-block", format.KindRecord, second, repeats(at+1))
	in("repeat-other-length", format.KindRecord, second, repeats(0))
	in("repeat-repeated", format.KindRecord, third, repeats(at+2000))
	in("repeat-other-type", format.KindRecord, second, set(20, 14))
	return list
}()

// scanPack reads a pack from its beginning and decodes all of it.
func scanPack(path string, file []byte) error {
	_, err := new(packReader).scan(path, file)
	return err
}

// packReader reads packs, in memory that serves one after the other.
type packReader struct {
	decoder planes.Decoder
	payload []byte
	content []byte // of all blocks
	buffer  []byte
}

// scan returns the content, in which repeated blocks are zeros.
func (p *packReader) scan(path string, file []byte) ([]byte, error) {
	s, err := packed.NewScanner(path, bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	p.content = p.content[:0]
	for {
		part, err := s.Next(p.payload)
		if err == io.EOF {
			return p.content, nil
		}
		if err != nil {
			return nil, err
		}
		b := part.Block
		if b == nil {
			continue
		}
		p.payload = b.Payload()
		at := len(p.content)
		p.content = append(p.content, make([]byte, b.Bytes)...)
		if b.Repeated() {
			continue
		}
		if err := b.Decode(&p.decoder, p.content[at:], nil); err != nil {
			return nil, &format.Error{Path: path, Kind: format.KindChecksum, Detail: "a block is damaged", Err: err}
		}
	}
}

// open reads a pack by its index, all of it.
func (p *packReader) open(path string, file []byte) ([]byte, error) {
	a, err := packed.OpenStorage(memory{bytes.NewReader(file), path, file})
	if err != nil {
		return nil, err
	}
	defer a.Close()
	content := make([]byte, a.Content())
	return content, a.ReadContent(content, 0)
}

// recover checks every block that can be found.
func (p *packReader) recover(path string, file []byte) {
	a, _, err := packed.RecoverStorage(memory{bytes.NewReader(file), path, file})
	if err != nil {
		return
	}
	defer a.Close()
	if p.buffer == nil {
		p.buffer = make([]byte, packed.MaxBlock)
	}
	for i := range a.Blocks() {
		a.Check(i, p.buffer)
	}
}

// memory is a file that lies in memory.
type memory struct {
	*bytes.Reader
	path string
	data []byte
}

func (m memory) Path() string                       { return m.path }
func (m memory) Info() os.FileInfo                  { return nil }
func (m memory) Advise(mmapio.Advice, int64, int64) {}
func (m memory) Unchanged() error                   { return nil }
func (m memory) Close() error                       { return nil }
func (m memory) View(off, n int64) (mmapio.View, error) {
	if off < 0 || n < 0 || off > int64(len(m.data))-n {
		return mmapio.View{}, io.ErrUnexpectedEOF
	}
	return mmapio.View{Data: m.data[off : off+n : off+n]}, nil
}

// openPack reads a pack by its index, all of it.
func openPack(path string) error {
	a, err := packed.Open(path)
	if err != nil {
		return err
	}
	defer a.Close()
	for i, f := range a.Files() {
		if _, err := io.Copy(io.Discard, io.NewSectionReader(a.Source(i), 0, f.Size)); err != nil {
			return err
		}
	}
	return nil
}

// By its index, too, a damaged pack is refused, unless the damage is where nobody looks then: in
// records of files, which the index repeats, and in the digest.
func TestMalformedPacksByIndex(t *testing.T) {
	for _, s := range malformedPacks {
		lax := strings.HasPrefix(s.name, "file-") || strings.HasPrefix(s.name, "tag-") || strings.Contains(s.name, "flipped-FILE") || s.name == "end-digest" || s.name == "index-name"
		path := filepath.Join(t.TempDir(), "x.weld")
		must(os.WriteFile(path, s.bytes, 0o666))
		if err := openPack(path); !lax && format.KindOf(err) == "" {
			t.Errorf("%s: %v", s.name, err)
		}
	}
}

// mostContent bounds what a specimen decodes to: a record of 40 bytes may stand for 4 MiB.
const mostContent = 1 << 18

// FuzzPack reads whatever it is given: from the beginning, by the index, and by what records can be found. What is sound from
// the beginning is by its index, and has the same content. All of it stays in memory.
func FuzzPack(f *testing.F) {
	f.Add(packBytes())
	f.Add(repeatingPack())
	for _, s := range malformedPacks {
		f.Add(s.bytes)
	}
	const path = "x.weld"
	var reader packReader
	f.Fuzz(func(t *testing.T, file []byte) {
		if len(file) > 1<<16 {
			return
		}
		content := 0
		for _, r := range fixable(file) { // or nothing but checksums would be tested
			binary.LittleEndian.PutUint32(r[28:], crc32.ChecksumIEEE(r[:28]))
			content += int(binary.LittleEndian.Uint32(r[16:]))
		}
		if content > mostContent {
			return
		}
		scanned, err := reader.scan(path, file)
		var known *format.Error
		if err != nil && !errors.As(err, &known) {
			t.Errorf("scan: %v", err)
		}
		opened, byIndex := reader.open(path, file)
		if byIndex != nil && !errors.As(byIndex, &known) {
			t.Errorf("open: %v", byIndex)
		}
		if err == nil && file[10] == byte(packed.Pack) {
			checkOpened(t, scanned, opened, byIndex)
		}
		reader.recover(path, file)
	})
}

// checkOpened compares what was read by the index with what was read before, but for zeros, which may repeat
// something.
func checkOpened(t *testing.T, scanned, opened []byte, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("scanned, but not opened: %v", err)
		return
	}
	if len(scanned) != len(opened) {
		t.Fatalf("%d bytes, by the index %d", len(scanned), len(opened))
	}
	for i, b := range scanned {
		if b != 0 && b != opened[i] {
			t.Fatalf("byte %d is another one by the index", i)
		}
	}
}

// fixable are the heads of records, as far as they follow one another.
func fixable(file []byte) (heads [][]byte) {
	for at := 16; at+32 <= len(file); {
		r := file[at:]
		heads = append(heads, r[:32:32])
		size := int(binary.LittleEndian.Uint32(r[4:]))
		if size > len(r)-32 {
			break
		}
		binary.LittleEndian.PutUint32(r[24:], crc32.ChecksumIEEE(r[32:32+size]))
		at += 32 + size
	}
	return heads
}
