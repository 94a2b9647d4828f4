package packed

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"sync"

	"weld/format"
	"weld/format/frames"
	"weld/format/planes"
	"weld/mmapio"
)

// BlockSize is the content of a block, in bytes; the last of a tensor is smaller.
const BlockSize = 512 << 10

// MaxBlock is the most content that a block of any pack has.
const MaxBlock = planes.MaxContent

// Writer appends a pack to a file. Its methods may be called from any goroutine, but files are
// announced in order.
type Writer struct {
	frames   *frames.Writer
	out      io.Writer
	findBase BaseFinder
	spare    sync.Pool // of *planes.Encoder

	mu      sync.Mutex
	kinds   []uint8 // codes of the element types of all blocks
	files   []FileInfo
	named   int   // bytes of their names
	content int64 // of all files

	// What was written, by one goroutine at a time:
	index  index
	digest hash.Hash
	header []byte // to be written before the first record
}

// BaseFinder finds what a block is to be coded by: the bytes of another checkpoint that stand for the
// same elements, or none. It is called once for each block, on any goroutine, with the offset of
// the block in the content.
type BaseFinder func(offset int64, content []byte) (base mmapio.View, err error)

// NewWriter begins a pack. workers is the number of goroutines that call WriteAt.
func NewWriter(out io.Writer, workers int) *Writer { return newWriter(out, Pack, workers, nil) }

// NewPatchWriter begins a patch.
func NewPatchWriter(out io.Writer, workers int, base BaseFinder) *Writer {
	return newWriter(out, Patch, workers, base)
}

func newWriter(out io.Writer, kind FileKind, workers int, base BaseFinder) *Writer {
	w := &Writer{out: out, findBase: base, digest: sha256.New(), index: index{end: headerSize}, header: appendHeader(nil, kind, version)}
	w.spare.New = func() any { return new(planes.Encoder) }
	w.frames = frames.NewWriter(workers, w.encode, w.put)
	return w
}

// WindowBytes bounds what a writer for so many workers holds.
func WindowBytes(workers int) int64 {
	return int64(frames.Window(workers))*2*BlockSize + int64(workers)*encoderBytes
}

// encoderBytes is about what one encoder takes.
const encoderBytes = 2 << 20

// Shard announces the next file, of the safetensors layout: a header of so many bytes, and tensors. The
// bytes are then written to what is returned, at any place; a header that is given need not be.
func (w *Writer) Shard(name string, header int64, tensors []format.Tensor, given []byte) (*FileWriter, error) {
	runs := []run{{bytes: header}}
	for _, t := range tensors {
		runs = append(runs, run{t.Bytes(), t.DType})
	}
	return w.file(name, given, runs)
}

// Bytes announces the next file, which holds no tensors.
func (w *Writer) Bytes(name string, size int64) (*FileWriter, error) {
	return w.file(name, nil, []run{{bytes: size}})
}

// Small adds a whole file that holds no tensors.
func (w *Writer) Small(name string, data []byte) error {
	_, err := w.file(name, data, []run{{bytes: int64(len(data))}})
	return err
}

// run is a part of a file with elements of one type; Invalid for bytes that are none.
type run struct {
	bytes int64
	dtype format.DType
}

func (w *Writer) file(name string, given []byte, runs []run) (*FileWriter, error) {
	if fault := checkName(name); fault != "" {
		return nil, fmt.Errorf("file %q %s", name, fault)
	}
	w.mu.Lock()
	f := &FileWriter{w: w, begin: w.content, given: int64(len(given))}
	var cuts []int64
	at := f.begin
	for _, run := range runs {
		for end := at + run.bytes; at < end; {
			at = min(at+BlockSize, end)
			cuts = append(cuts, at)
			w.kinds = append(w.kinds, elementCodes[run.dtype])
		}
	}
	if fault := full(len(w.kinds), len(w.files)+1, w.named+len(name)); fault != "" {
		w.mu.Unlock()
		return nil, fmt.Errorf("file %q: a pack holds no %s", name, fault)
	}
	w.content = at
	w.named += len(name)
	w.files = append(w.files, FileInfo{Name: name, Size: at - f.begin, Begin: f.begin})
	w.mu.Unlock()
	if err := w.frames.Extend(cuts...); err != nil {
		return nil, err
	}
	return f, w.frames.Prepare(given, f.begin)
}

// FileWriter is a file in a pack that is being written.
type FileWriter struct {
	w     *Writer
	begin int64
	given int64 // bytes that need not be written
}

// Begin is where the file begins in the content.
func (f *FileWriter) Begin() int64 { return f.begin }

// WriteAt implements [io.WriterAt]. Calls must begin in the order of the content, over all
// files.
func (f *FileWriter) WriteAt(p []byte, off int64) (int, error) {
	given := min(max(f.given-off, 0), int64(len(p)))
	n, err := f.w.frames.WriteAt(p[given:], f.begin+off+given)
	return n + int(given), err
}

// Abort makes every call that waits, and every later one, fail with err.
func (f *FileWriter) Abort(err error) { f.w.Abort(err) }

// Abort makes every call that waits, and every later one, fail with err.
func (w *Writer) Abort(err error) { w.frames.Abort(err) }

// encode makes the record of a block.
func (w *Writer) encode(i int, offset int64, content, buffer []byte) ([]byte, error) {
	w.mu.Lock()
	kind := w.kinds[i]
	w.mu.Unlock()
	encoder := w.spare.Get().(*planes.Encoder)
	defer w.spare.Put(encoder)
	dtype := planes.Elements(elementType(kind), content)
	r := record{tag: tagData, offset: offset, content: uint32(len(content)), elem: elementCodes[dtype]}
	at := len(buffer)
	buffer = append(buffer, make([]byte, recordSize)...)
	var base mmapio.View
	if w.findBase != nil {
		var err error
		if base, err = w.findBase(offset, content); err != nil {
			return nil, err
		}
		defer base.Release()
	}
	err := mmapio.Guard([]mmapio.View{base}, func() error {
		if len(base.Data) > 0 {
			buffer, r.coding = encoder.AppendRelative(buffer, dtype, content, base.Data)
		} else {
			buffer, r.coding = encoder.Append(buffer, dtype, content)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	payload := buffer[at+recordSize:]
	r.payload, r.sum = uint32(len(payload)), crc32.ChecksumIEEE(payload)
	r.put(buffer[at:])
	return buffer, nil
}

// put appends a block's record, after those of the files that begin with it.
func (w *Writer) put(_ int, _ int64, coded []byte) error {
	r, _ := parseRecord(coded)
	if r.coding == repeated {
		w.index.likeOrigin(&r, coded[recordSize:])
		r.put(coded)
	}
	if err := w.announce(r.offset); err != nil {
		return err
	}
	w.index.data(r)
	w.digest.Write(coded[:recordSize])
	_, err := w.out.Write(coded)
	return err
}

// announce writes the records of files that begin up to an offset of the content.
func (w *Writer) announce(offset int64) error {
	w.mu.Lock()
	begun := w.files[len(w.index.files):]
	w.mu.Unlock()
	for _, f := range begun {
		if f.Begin > offset {
			break
		}
		w.index.file(f)
		if err := w.record(appendRecord(nil, tagFile, f.Begin, appendFile(nil, f))); err != nil {
			return err
		}
	}
	return nil
}

// record writes a record whose payload is part of the digest.
func (w *Writer) record(r []byte) error {
	if w.header != nil {
		r, w.header = append(w.header, r...), nil
	}
	w.digest.Write(r)
	_, err := w.out.Write(r)
	return err
}

// Complete ends the pack: all content must have been written.
func (w *Writer) Complete() error { return w.CompleteWith() }

// CompleteWith ends the pack with tables.
func (w *Writer) CompleteWith(tables ...Printed) error {
	if err := w.frames.Complete(); err != nil {
		return err
	}
	if err := w.announce(w.content); err != nil {
		return err
	}
	for _, t := range tables {
		n, err := w.print(t)
		if err != nil {
			return err
		}
		w.index.table(t.Tag, n)
	}
	place := w.index.end
	if _, err := w.print(Printed{tagIndex, w.index.print}); err != nil {
		return err
	}
	_, err := io.Copy(w.out, bytes.NewReader(appendEnd(nil, place, w.content, w.digest)))
	return err
}

// print writes the record of a table, whose payload is part of the digest. What stands before the payload is its
// length and its checksum, so that it is printed twice, and never held.
func (w *Writer) print(t Printed) (bytes int, err error) {
	sum := crc32.NewIEEE()
	count := &counter{}
	if err := buffered(t.Print, sum, count); err != nil {
		return 0, err
	}
	if fault := payloadFault(t.Tag, count.n); fault != "" {
		return 0, errors.New(fault)
	}
	head := make([]byte, recordSize)
	record{tag: t.Tag, payload: uint32(count.n), offset: w.content, sum: sum.Sum32()}.put(head)
	if err := w.record(head); err != nil {
		return 0, err
	}
	return int(count.n), buffered(t.Print, w.digest, w.out)
}

// buffered prints into several writers at once, a buffer at a time.
func buffered(print func(io.Writer) error, to ...io.Writer) error {
	b := bufio.NewWriterSize(io.MultiWriter(to...), 64<<10)
	if err := print(b); err != nil {
		return err
	}
	return b.Flush()
}

// counter counts bytes.
type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

// Content is how many bytes all files have that were announced.
func (w *Writer) Content() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.content
}

// Digest identifies the pack, once it is complete.
func (w *Writer) Digest() Digest { return Digest(w.digest.Sum(nil)) }
