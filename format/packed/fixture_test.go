package packed

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"testing"

	"weld/format"
	"weld/mmapio"
)

// inMemory is a pack that lies in memory.
type inMemory struct {
	data   []byte
	advice []int64 // where it began
	closed int
}

func (m *inMemory) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(m.data).ReadAt(p, off)
}
func (m *inMemory) Path() string      { return "memory" }
func (m *inMemory) Info() os.FileInfo { return info{name: "memory"} }
func (m *inMemory) Size() int64       { return int64(len(m.data)) }
func (m *inMemory) View(off, n int64) (mmapio.View, error) {
	if off < 0 || n < 0 || off > m.Size()-n {
		return mmapio.View{}, io.ErrUnexpectedEOF
	}
	return mmapio.View{Data: m.data[off : off+n]}, nil
}
func (m *inMemory) Advise(_ mmapio.Advice, off, _ int64) { m.advice = append(m.advice, off) }
func (m *inMemory) Unchanged() error                     { return nil }
func (m *inMemory) Close() error                         { m.closed++; return nil }

// sampleFile is a file of the sample pack, and the types of its tensors' elements.
type sampleFile struct {
	name    string
	data    []byte
	header  int64
	tensors []format.Tensor
}

// sample are files of all kinds: text, a shard, a larger one than a block, an empty one.
func sample() []sampleFile {
	numbers := func(n, step int) []byte {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(i * step >> 3)
		}
		return data
	}
	tensors := []format.Tensor{{Name: "a", DType: format.BF16, Shape: []int64{30, 7}}, {Name: "none", DType: format.F32, Shape: []int64{0}}, {Name: "b", DType: format.F32, Shape: []int64{50}}}
	return []sampleFile{
		{name: "config.json", data: []byte(`{"a": 1}`)},
		{name: "sub/m.safetensors", data: numbers(24+2*210+4*50, 7), header: 24, tensors: tensors},
		{name: "empty"},
		{name: "sub/deep/large.bin", data: numbers(BlockSize+1000, 11)},
	}
}

// packOf packs files, with the tables that are given.
func packOf(t testing.TB, files []sampleFile, tables ...Printed) []byte {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out, 1)
	for _, f := range files {
		write(t, w, f)
	}
	if err := w.CompleteWith(tables...); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func write(t testing.TB, w *Writer, f sampleFile) {
	t.Helper()
	var file *FileWriter
	var err error
	if f.tensors != nil {
		file, err = w.Shard(f.name, f.header, f.tensors, nil)
	} else {
		file, err = w.Bytes(f.name, int64(len(f.data)))
	}
	if err == nil {
		_, err = file.WriteAt(f.data, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// opened opens a pack in memory.
func opened(t testing.TB, data []byte) *Archive {
	t.Helper()
	a, err := OpenStorage(&inMemory{data: data})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// readAll reads every file of a pack, which is expected to fail where it is damaged.
func readAll(a *Archive) (files map[string][]byte, err error) {
	files = make(map[string][]byte)
	for i, f := range a.Files() {
		data := make([]byte, f.Size)
		if _, err := a.Source(i).ReadAt(data, 0); err != nil {
			return nil, err
		}
		files[f.Name] = data
	}
	return files, nil
}

// scanAll reads a pack from its beginning, and decodes every block that repeats no other.
func scanAll(data []byte) (files map[string][]byte, tables []Table, err error) {
	s, err := NewScanner("stream", bytes.NewReader(data))
	if err != nil {
		return nil, nil, err
	}
	files = make(map[string][]byte)
	name := ""
	w := newDecoder()
	for {
		found, err := s.Next(nil)
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return files, tables, nil
		}
		switch {
		case err != nil:
			return nil, nil, err
		case found.File != nil:
			name = found.File.Name
			files[name] = nil
		case found.Table != nil:
			tables = append(tables, *found.Table)
		default:
			content := make([]byte, found.Block.Bytes)
			if !found.Block.Repeated() {
				if err := found.Block.Decode(w, content, nil); err != nil {
					return nil, nil, err
				}
			}
			files[name] = append(files[name], content...)
		}
	}
}

// recordsIn takes a pack that is whole apart: what precedes the first record, and the records.
func recordsIn(pack []byte) (header []byte, records [][]byte) {
	for at := headerSize; at < len(pack); {
		size := recordSize + int(binary.LittleEndian.Uint32(pack[at+4:]))
		records = append(records, bytes.Clone(pack[at:at+size]))
		at += size
	}
	return bytes.Clone(pack[:headerSize]), records
}

// reseal makes the checksums of a record right.
func reseal(r []byte) []byte {
	le := binary.LittleEndian
	le.PutUint32(r[4:], uint32(len(r)-recordSize))
	le.PutUint32(r[24:], crc32.ChecksumIEEE(r[recordSize:]))
	le.PutUint32(r[28:], crc32.ChecksumIEEE(r[:28]))
	return r
}

// joined puts a pack together again, with an end that is right for what it holds.
func joined(header []byte, records [][]byte) []byte {
	pack := bytes.Clone(header)
	digest := sha256.New()
	digest.Write(header)
	index := int64(0)
	for _, r := range records {
		switch tag(r) {
		case tagEnd:
			r = bytes.Clone(r)
			binary.LittleEndian.PutUint64(r[recordSize:], uint64(index))
			copy(r[recordSize+16:], digest.Sum(nil))
			reseal(r)
		case tagIndex:
			index = int64(len(pack))
			digest.Write(r)
		case tagData:
			digest.Write(r[:recordSize])
		default:
			digest.Write(r)
		}
		pack = append(pack, r...)
	}
	return pack
}

// kindAnd demands an error of a kind that says something.
func kindAnd(t *testing.T, what string, err error, kind format.Kind, says string) {
	t.Helper()
	if format.KindOf(err) != kind || !bytes.Contains([]byte(err.Error()), []byte(says)) {
		t.Errorf("%s: %v; want %s, %q", what, err, kind, says)
	}
}
