package safetensors

import (
	"bytes"
	"fmt"
	"math"
	"slices"

	"weld/format"
)

// headerParser reads a header's JSON.
type headerParser struct {
	scanner
	parsed    Header
	described bool // the metadata was there
	names     format.Names
	table     format.NameTable // of parsed.Tensors
	begun     []uint32         // where each tensor's name stands
	dims      []int64          // room for shapes
	known     [][]int64        // shapes that were met, a few of them: layers have the same ones
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
	if p.parsed.Tensors == nil {
		p.reserve(min(bytes.Count(p.src[key.start:], []byte(`"`+offsetsKey+`"`)), MaxTensors))
	}
	name := p.name(key)
	p.parsed.Tensors = append(p.parsed.Tensors, Entry{Tensor: format.Tensor{Name: name}})
	if first, again := p.table.Add(p.nameAt); again {
		return p.tensorFault(format.KindDuplicate, name, key.start, "it is described twice, first at byte %d", p.base+int64(p.begun[first]))
	}
	if len(p.begun) == MaxTensors {
		return p.tensorFault(format.KindHeaderSize, name, key.start, "expected at most %d tensors in a file", MaxTensors)
	}
	p.begun = append(p.begun, uint32(key.start))
	return p.tensor(&p.parsed.Tensors[len(p.parsed.Tensors)-1])
}

// reserve makes room for n tensors.
func (p *headerParser) reserve(n int) {
	p.parsed.Tensors = make([]Entry, 0, n)
	p.begun = make([]uint32, 0, n)
	p.table.Reserve(n, p.nameAt)
}

func (p *headerParser) nameAt(i int) string { return p.parsed.Tensors[i].Name }

// name keeps a tensor's name.
func (p *headerParser) name(key token) string {
	return p.names.Keep(p.bytes(key), len(p.src)-key.start)
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
		return p.tensorFault(format.KindKey, name, open.start, "the key %s is missing", missing)
	}
	return p.size(e, open)
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
	list, _, _ := bytes.Cut(p.src[open.end:], []byte("]"))
	rank := bytes.Count(list, []byte(",")) + 1
	if rank > format.MaxRank {
		return p.tensorFault(format.KindShape, e.Name, open.start, "expected at most %d dimensions, found %d", format.MaxRank, rank)
	}
	if cap(p.dims)-len(p.dims) < rank {
		p.dims = make([]int64, 0, max(rank, 4096))
	}
	first := len(p.dims)
	err = p.elements(func(t token) error {
		n, err := p.natural(t, e.Name, format.KindShape, "a dimension")
		p.dims = append(p.dims, n)
		return err
	})
	e.Shape = p.dims[first:len(p.dims):len(p.dims)]
	if i := slices.IndexFunc(p.known, func(known []int64) bool { return slices.Equal(known, e.Shape) }); i >= 0 {
		e.Shape, p.dims = p.known[i], p.dims[:first]
	} else if len(p.known) < knownShapes {
		p.known = append(p.known, e.Shape)
	}
	return err
}

// knownShapes is how many different shapes are looked through.
const knownShapes = 32

func (p *headerParser) offsets(e *Entry) error {
	open, err := p.take(e.Name, tokenArray, offsetsKey)
	if err != nil {
		return err
	}
	count := 0
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
		return p.tensorFault(format.KindOffsets, e.Name, open.start, "expected two %s, found %d", offsetsKey, count)
	case e.Begin > e.End:
		return p.tensorFault(format.KindOffsets, e.Name, open.start, "expected %s that do not fall, found [%d, %d]", offsetsKey, e.Begin, e.End)
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

// size demands that type and shape give the length of the data. open is where
// the tensor's description begins.
func (p *headerParser) size(e *Entry, open token) error {
	size, ok := format.Size(e.DType, e.Shape)
	if !ok {
		bits := int64(e.DType.Bits())
		n, fits := format.Elements(e.Shape)
		if !fits || n > math.MaxInt64/bits {
			return p.tensorFault(format.KindOverflow, e.Name, open.start, "%v of shape %s is larger than any file", e.DType, shapeExcerpt(e.Shape))
		}
		return p.tensorFault(format.KindSize, e.Name, open.start, "%v of shape %s is %d bits, which do not end on a byte", e.DType, shapeExcerpt(e.Shape), n*bits)
	}
	if size != e.End-e.Begin {
		return p.tensorFault(format.KindSize, e.Name, open.start, "%v of shape %s is %d bytes, but %s [%d, %d] are %d",
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
