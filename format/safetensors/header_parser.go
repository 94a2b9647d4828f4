package safetensors

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"

	"weld/format"
)

// headerParser reads the JSON of headers, one after the other.
type headerParser struct {
	scanner
	parsed    Header
	end       int64 // offset in the file of what follows the JSON
	described bool  // the metadata was there
	names     format.Names
	table     format.NameTable // of parsed.Tensors
	begun     []uint32         // where in the file each tensor's name stands
	shapes    shapes
}

// read reads and checks the header of a file, as [ReadHeader] does, and has sum see its bytes. What is returned is good
// until the next header is read.
func (p *headerParser) read(path string, r io.ReaderAt, size int64, sum io.Writer) (*Header, error) {
	n, err := jsonSize(path, r, size)
	if err != nil {
		return nil, err
	}
	sum.Write(binary.LittleEndian.AppendUint64(nil, uint64(n)))
	text := &headerText{path, r, lengthSize, lengthSize + n}
	return p.parse(scanner{path: path, src: p.src[:0], base: lengthSize, more: io.TeeReader(text, sum)}, text.end, size)
}

// parse reads a header's JSON, which ends at an offset of a file of the given size.
func (p *headerParser) parse(json scanner, end, fileSize int64) (*Header, error) {
	p.scanner, p.end, p.described = json, end, false
	p.parsed = Header{Tensors: p.parsed.Tensors[:0], DataStart: end}
	p.begun = p.begun[:0]
	p.table.Clear()
	if err := p.header(); err != nil {
		return nil, err
	}
	h := p.parsed // a copy: the parser holds the text
	return &h, h.settle(json.path, fileSize)
}

func (p *headerParser) header() error {
	t, err := p.next()
	if err != nil {
		return err
	}
	if t.kind != tokenObject {
		return p.fault(format.KindJSON, t.start, "expected an object, found %v", t.kind)
	}
	if err := p.members(p.member); err != nil {
		return err
	}
	_, err = p.next() // the end, or a fault
	return err
}

// member reads one tensor, or the metadata.
func (p *headerParser) member(key token) error {
	if p.is(key, metadataKey) {
		return p.metadata(key)
	}
	if n := len(p.parsed.Tensors); n == cap(p.parsed.Tensors) {
		p.reserve(max(p.expected(key), n+n/8) + 1)
	}
	name := p.name(key)
	p.parsed.Tensors = append(p.parsed.Tensors, Entry{Tensor: format.Tensor{Name: name}})
	if first, again := p.table.Add(p.nameAt); again {
		return p.tensorFault(format.KindDuplicate, name, key.start, "it is described twice, first at byte %d", p.begun[first])
	}
	if len(p.begun) == MaxTensors {
		return p.tensorFault(format.KindHeaderSize, name, key.start, "expected at most %d tensors in a file", MaxTensors)
	}
	p.begun = append(p.begun, uint32(p.base)+uint32(key.start))
	return p.tensor(&p.parsed.Tensors[len(p.parsed.Tensors)-1])
}

// expected is about how many tensors there are in all: those behind a key are taken to be described as densely as the
// next ones.
func (p *headerParser) expected(key token) int {
	ahead := p.src[key.start:]
	n, left := bytes.Count(ahead, []byte(`"`+offsetsKey+`"`)), p.end-p.base-int64(key.start)
	return min(len(p.parsed.Tensors)+int(float64(n)*float64(left)/float64(len(ahead))), MaxTensors)
}

// reserve makes room for n tensors in all.
func (p *headerParser) reserve(n int) {
	p.parsed.Tensors = slices.Grow(p.parsed.Tensors, n-len(p.parsed.Tensors))
	p.begun = slices.Grow(p.begun, n-len(p.begun))
	p.table.Reserve(n, p.nameAt)
}

func (p *headerParser) nameAt(i int) string { return p.parsed.Tensors[i].Name }

// name keeps a tensor's name.
func (p *headerParser) name(key token) string {
	return p.names.Keep(p.bytes(key), int(p.end-p.base)-key.start)
}

// metadata reads the metadata, or the null that MLX writes where it has none.
func (p *headerParser) metadata(key token) error {
	if p.described {
		return p.fault(format.KindDuplicate, key.start, "%s appears twice", metadataKey)
	}
	p.described = true
	t, err := p.next()
	if err != nil || t.kind == tokenNull {
		return err
	}
	if t.kind != tokenObject {
		return p.fault(format.KindMetadata, t.start, "expected an object as %s, found %v", metadataKey, t.kind)
	}
	p.parsed.Metadata = make(map[string]string)
	return p.members(func(key token) error {
		name := p.text(key)
		if _, again := p.parsed.Metadata[name]; again {
			return p.fault(format.KindDuplicate, key.start, "%s has the key %q twice", metadataKey, excerpt(name))
		}
		t, err := p.next()
		if err != nil {
			return err
		}
		if t.kind != tokenString {
			return p.fault(format.KindMetadata, t.start, "expected a string as %s %q, found %v", metadataKey, excerpt(name), t.kind)
		}
		p.parsed.Metadata[name] = p.text(t)
		return nil
	})
}

// tensor reads the object that describes a tensor.
func (p *headerParser) tensor(e *Entry) error {
	name := e.Name
	open, err := p.take(name, tokenObject, "a tensor's description")
	if err != nil {
		return err
	}
	begin := p.base + int64(open.start)
	var dtype, shape, offsets bool
	err = p.members(func(key token) error {
		switch {
		case p.is(key, dtypeKey):
			return p.once(&dtype, name, key, func() error { return p.dtype(e) })
		case p.is(key, shapeKey):
			return p.once(&shape, name, key, func() error { return p.shape(e) })
		case p.is(key, offsetsKey):
			return p.once(&offsets, name, key, func() error { return p.offsets(e) })
		}
		return p.tensorFault(format.KindKey, name, key.start, "expected %s, %s or %s, found the key %q",
			dtypeKey, shapeKey, offsetsKey, excerpt(p.text(key)))
	})
	if err != nil {
		return err
	}
	missing := ""
	switch {
	case !dtype:
		missing = dtypeKey
	case !shape:
		missing = shapeKey
	case !offsets:
		missing = offsetsKey
	}
	if missing != "" {
		return p.tensorFault(format.KindKey, name, p.at(begin), "the key %s is missing", missing)
	}
	return p.size(e, begin)
}

// once reads the value of a key that must not have been there before.
func (p *headerParser) once(done *bool, tensor string, key token, read func() error) error {
	if *done {
		return p.tensorFault(format.KindDuplicate, tensor, key.start, "the key %s appears twice", p.text(key))
	}
	*done = true
	return read()
}

// take takes the first token of a value that must be of one kind.
func (p *headerParser) take(tensor string, kind tokenKind, what string) (token, error) {
	t, err := p.next()
	if err == nil && t.kind != kind {
		err = p.tensorFault(format.KindType, tensor, t.start, "expected %v as %s, found %v", kind, what, t.kind)
	}
	return t, err
}

func (p *headerParser) dtype(e *Entry) error {
	t, err := p.take(e.Name, tokenString, dtypeKey)
	if err != nil {
		return err
	}
	name := p.bytes(t)
	var known bool
	if e.DType, known = format.ParseDType(string(name)); !known {
		return p.tensorFault(format.KindDType, e.Name, t.start, "expected a %s of the format, such as F32, found %q", dtypeKey, excerpt(string(name)))
	}
	return nil
}

func (p *headerParser) shape(e *Entry) error {
	open, err := p.take(e.Name, tokenArray, shapeKey)
	if err != nil {
		return err
	}
	begin := p.base + int64(open.start)
	var dims [format.MaxRank]int64
	rank := 0
	err = p.elements(func(t token) error {
		n, err := p.natural(t, e.Name, format.KindShape, "a dimension")
		if err == nil && rank == len(dims) {
			err = p.tensorFault(format.KindShape, e.Name, p.at(begin), "expected at most %d dimensions, found more", len(dims))
		}
		if err == nil {
			dims[rank] = n
			rank++
		}
		return err
	})
	e.Shape = p.shapes.keep(dims[:rank])
	return err
}

// shapes keeps the shapes of many tensors.
type shapes struct {
	known [][]int64 // a few of them: layers have the same ones
	room  []int64
}

// knownShapes is how many different shapes are looked through.
const knownShapes = 32

// keep copies a shape, if it is not known.
func (s *shapes) keep(dims []int64) []int64 {
	for _, known := range s.known {
		if slices.Equal(known, dims) {
			return known
		}
	}
	if s.room == nil || cap(s.room)-len(s.room) < len(dims) {
		s.room = make([]int64, 0, 4096)
	}
	first := len(s.room)
	s.room = append(s.room, dims...)
	shape := s.room[first:len(s.room):len(s.room)]
	if len(s.known) < knownShapes {
		s.known = append(s.known, shape)
	}
	return shape
}

func (p *headerParser) offsets(e *Entry) error {
	open, err := p.take(e.Name, tokenArray, offsetsKey)
	if err != nil {
		return err
	}
	begin, count := p.base+int64(open.start), 0
	err = p.elements(func(t token) error {
		n, err := p.natural(t, e.Name, format.KindOffsets, "an offset")
		switch count {
		case 0:
			e.Begin = n
		case 1:
			e.End = n
		}
		count++
		return err
	})
	switch {
	case err != nil:
		return err
	case count != 2:
		return p.tensorFault(format.KindOffsets, e.Name, p.at(begin), "expected two %s, found %d", offsetsKey, count)
	case e.Begin > e.End:
		return p.tensorFault(format.KindOffsets, e.Name, p.at(begin), "expected %s that do not fall, found [%d, %d]", offsetsKey, e.Begin, e.End)
	}
	return nil
}

// natural is the number of a token that must be a non-negative integer without
// fraction and exponent. wrong is the kind of fault that any other number is.
func (p *headerParser) natural(t token, tensor string, wrong format.Kind, what string) (int64, error) {
	if t.kind != tokenNumber {
		return 0, p.tensorFault(format.KindType, tensor, t.start, "expected a number as %s, found %v", what, t.kind)
	}
	literal := p.src[t.start:t.end]
	var n int64
	for _, c := range literal {
		if !digit(c) {
			return 0, p.tensorFault(wrong, tensor, t.start, "expected %s without sign, fraction and exponent, found %s", what, excerpt(string(literal)))
		}
		d := int64(c - '0')
		if n > (math.MaxInt64-d)/10 {
			return 0, p.tensorFault(format.KindOverflow, tensor, t.start, "expected %s of at most %d, found %s", what, int64(math.MaxInt64), excerpt(string(literal)))
		}
		n = n*10 + d
	}
	return n, nil
}

// size demands that type and shape give the length of the data. begin is where in the file
// the tensor's description begins.
func (p *headerParser) size(e *Entry, begin int64) error {
	size, ok := format.Size(e.DType, e.Shape)
	if !ok {
		bits := int64(e.DType.Bits())
		n, fits := format.Elements(e.Shape)
		if !fits || n > math.MaxInt64/bits {
			return p.tensorFault(format.KindOverflow, e.Name, p.at(begin), "%v of shape %s is larger than any file", e.DType, shapeExcerpt(e.Shape))
		}
		return p.tensorFault(format.KindSize, e.Name, p.at(begin), "%v of shape %s is %d bits, which do not end on a byte", e.DType, shapeExcerpt(e.Shape), n*bits)
	}
	if size != e.End-e.Begin {
		return p.tensorFault(format.KindSize, e.Name, p.at(begin), "%v of shape %s is %d bytes, but %s [%d, %d] are %d",
			e.DType, shapeExcerpt(e.Shape), size, offsetsKey, e.Begin, e.End, e.End-e.Begin)
	}
	return nil
}

// shapeExcerpt prints a shape, of a long one the beginning.
func shapeExcerpt(shape []int64) string {
	const enough = 8
	if len(shape) <= enough {
		return fmt.Sprint(shape)
	}
	return fmt.Sprintf("%v…", shape[:enough])
}
