package gguf

import (
	"crypto/sha256"
	"encoding/binary"
	"io"
	"math/bits"

	"weld/format"
)

// Magic is what a file begins with.
const Magic = "GGUF"

const (
	// MaxHeader is the most bytes of metadata and descriptions of tensors, of which the largest vocabularies take a tenth.
	MaxHeader = 128 << 20
	// MaxTensors is the most tensors that one file may describe.
	MaxTensors = 1 << 20
	// MaxKeys is the most keys of the metadata.
	MaxKeys = 1 << 16
	// mostDimensions is what ggml has.
	mostDimensions = 4
	// defaultAlignment is of files that do not say.
	defaultAlignment = 32
	alignmentKey     = "general.alignment"
)

// Header is what a file says before its data.
type Header struct {
	Version   uint32
	Pairs     []Pair
	Tensors   []Entry // in the order of their bytes
	Alignment int64
	Digest    [sha256.Size]byte // of everything before the data
	DataStart int64             // offset in the file of the first tensor's bytes

	at map[string]int
}

// Pair is a key of the metadata and its value, and where both lie in the file.
type Pair struct {
	Key string
	Value
	From int64 // the value ends at Begin + Size
}

// Entry is a tensor and where its bytes begin, counted from [Header.DataStart].
type Entry struct {
	Name  string
	Type  Type
	Shape []int64 // C order: the last dimension is the one that ggml counts first
	Begin int64
}

// Bytes are those that the tensor takes.
func (e *Entry) Bytes() int64 {
	n, _ := format.Elements(e.Shape)
	s := storages[e.Type]
	return n / s.Elements * s.Bytes
}

// Value is that of a key.
func (h *Header) Value(key string) (Value, bool) {
	i, ok := h.at[key]
	if !ok {
		return Value{}, false
	}
	return h.Pairs[i].Value, true
}

// ReadHeader reads and checks the header of a file of a size. What breaks the format in any way is a [*format.Error].
// Nothing is allocated for bytes that the file does not have.
func ReadHeader(path string, r io.ReaderAt, size int64) (*Header, error) {
	s := &scanner{path: path, from: r, size: size, digest: sha256.New()}
	h := &Header{Alignment: defaultAlignment, at: make(map[string]int)}
	pairs, tensors, err := s.counts(h)
	if err == nil {
		err = s.pairs(h, pairs)
	}
	if err == nil {
		err = s.tensors(h, tensors)
	}
	if err == nil {
		s.account()
		h.Digest = [sha256.Size]byte(s.digest.Sum(nil))
		h.DataStart = aligned(s.at, h.Alignment)
		err = s.layout(h)
	}
	if err != nil {
		return nil, err
	}
	return h, nil
}

// counts reads what all files begin with: magic, version, how many tensors and keys there are.
func (s *scanner) counts(h *Header) (pairs, tensors uint64, err error) {
	head, err := s.next(24)
	if err != nil {
		return 0, 0, s.foreign(err)
	}
	if string(head[:4]) != Magic {
		return 0, 0, s.foreign(s.fault(format.KindForeign, "no GGUF file: it begins with %q", head[:4]))
	}
	h.Version = binary.LittleEndian.Uint32(head[4:])
	tensors, pairs = binary.LittleEndian.Uint64(head[8:]), binary.LittleEndian.Uint64(head[16:])
	const leastPair, leastTensor = 8 + 1 + 4 + 1, 8 + 1 + 4 + 4 + 8 // bytes
	switch {
	case h.Version == 1:
		err = s.fault(format.KindUnsupported, "version 1 of GGUF, which was written for some weeks of 2023; convert the model again with llama.cpp")
	case h.Version != 0 && h.Version&0xffff == 0:
		err = s.fault(format.KindUnsupported, "GGUF in big-endian order, which weld does not read; gguf_convert_endian.py of gguf-py turns it round")
	case h.Version != 2 && h.Version != 3:
		err = s.fault(format.KindUnsupported, "version %d of GGUF; weld reads 2 and 3", h.Version)
	case tensors > uint64(s.size)/leastTensor:
		err = s.fault(format.KindTruncated, "it declares %d tensors, more than a file of %d bytes describes: "+cutShort, tensors, s.size)
	case tensors > MaxTensors:
		err = s.fault(format.KindHeaderSize, "it declares %d tensors; weld reads up to %d", tensors, MaxTensors)
	case pairs > uint64(s.size)/leastPair:
		err = s.fault(format.KindTruncated, "it declares %d keys, more than a file of %d bytes has: "+cutShort, pairs, s.size)
	case pairs > MaxKeys:
		err = s.fault(format.KindHeaderSize, "it declares %d keys; weld reads up to %d", pairs, MaxKeys)
	}
	return pairs, tensors, err
}

// tensors reads the descriptions of tensors.
func (s *scanner) tensors(h *Header, n uint64) error {
	var table format.NameTable
	nameAt := func(i int) string { return h.Tensors[i].Name }
	for range n {
		e, err := s.entry()
		if err != nil {
			return err
		}
		h.Tensors = append(h.Tensors, e)
		if _, again := table.Add(nameAt); again {
			return s.blame(e.Name, format.KindDuplicate, "it is described twice")
		}
	}
	return nil
}

// entry reads the description of one tensor.
func (s *scanner) entry() (e Entry, err error) {
	if e.Name, err = s.name("a tensor's name"); err != nil {
		return e, err
	}
	rank, err := s.u32()
	if err != nil {
		return e, err
	}
	if rank > mostDimensions {
		return e, s.blame(e.Name, format.KindShape, "%d dimensions; GGUF has up to %d", rank, mostDimensions)
	}
	e.Shape = make([]int64, rank)
	for k := range e.Shape {
		n, err := s.u64()
		if err != nil {
			return e, err
		}
		if int64(n) < 0 {
			return e, s.blame(e.Name, format.KindShape, "a dimension of %d", n)
		}
		e.Shape[int(rank)-1-k] = int64(n)
	}
	number, err := s.u32()
	if err != nil {
		return e, err
	}
	begin, err := s.u64()
	if err != nil {
		return e, err
	}
	e.Type, e.Begin = Type(number), int64(begin)
	return e, s.checkSize(&e)
}

// checkSize demands a type that files have, rows of whole blocks, and a size that can be.
func (s *scanner) checkSize(e *Entry) error {
	store, known := storages[e.Type]
	if !known {
		return s.blame(e.Name, format.KindDType, "%v of ggml, which no llama.cpp of today has in files", e.Type)
	}
	row := int64(1)
	if n := len(e.Shape); n > 0 {
		row = e.Shape[n-1]
	}
	elements, ok := format.Elements(e.Shape)
	switch {
	case !ok || elements > 1<<62/store.Bytes:
		return s.blame(e.Name, format.KindOverflow, "shape %v", e.Shape)
	case row%store.Elements != 0:
		return s.blame(e.Name, format.KindShape, "rows of %d elements, which blocks of %d (%v) do not divide", row, store.Elements, e.Type)
	case e.Begin < 0:
		return s.blame(e.Name, format.KindOffsets, "its bytes begin at %d", uint64(e.Begin))
	}
	return nil
}

// layout checks that the tensors' bytes lie one behind the other, each aligned, and end with the file.
func (s *scanner) layout(h *Header) error {
	end := int64(0)
	for i := range h.Tensors {
		e := &h.Tensors[i]
		begin, room := aligned(end, h.Alignment), s.size-h.DataStart
		switch {
		case e.Begin < begin:
			return s.blame(e.Name, format.KindOverlap, "its bytes begin at %d, and those of the tensor before it take up to %d", e.Begin, begin)
		case e.Begin > begin:
			return s.blame(e.Name, format.KindGap, "its bytes begin at %d, and %d was expected", e.Begin, begin)
		case e.Begin > room || e.Bytes() > room-e.Begin:
			return s.blame(e.Name, format.KindTruncated, "its %d bytes from %d on do not fit into a file of %d, which is cut short: download or copy it again", e.Bytes(), h.DataStart+e.Begin, s.size)
		}
		end = e.Begin + e.Bytes()
	}
	if rest := s.size - h.DataStart - aligned(end, h.Alignment); rest > 0 {
		return s.fault(format.KindGap, "%d bytes behind the last tensor", rest)
	}
	return nil
}

// aligned is the next multiple of an alignment.
func aligned(n, alignment int64) int64 { return (n + alignment - 1) / alignment * alignment }

// isPowerOfTwo reports whether a number is one, from 8 on, that alignments may be.
func isPowerOfTwo(n int64) bool { return n >= 8 && n <= 1<<30 && bits.OnesCount64(uint64(n)) == 1 }
