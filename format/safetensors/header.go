package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"

	"weld/format"
)

// MaxHeader is the largest JSON header, in bytes, that the format allows.
const MaxHeader = 100_000_000

// MaxTensors is the most tensors that one file may describe, beyond any checkpoint: with their names a reader takes
// less than 1 GiB for them.
const MaxTensors = 1 << 20

// lengthSize is the size of the little-endian length that a file begins with.
const lengthSize = 8

const (
	metadataKey = "__metadata__"
	dtypeKey    = "dtype"
	shapeKey    = "shape"
	offsetsKey  = "data_offsets"
)

// Header is what a file says about its tensors.
type Header struct {
	Tensors   []Entry           // in the order of their bytes, without hole or overlap
	Metadata  map[string]string // nil where the file has none
	DataStart int64             // offset in the file of the first tensor's bytes
}

// Entry is a tensor and the bytes [Begin, End) that it takes, counted from
// [Header.DataStart].
type Entry struct {
	format.Tensor
	Begin, End int64
}

// ReadHeader reads and checks the header of a file of the given size. A file
// that breaks the format in any way is a [*format.Error]. No more than the header
// is read, and nothing is allocated for bytes that the file does not have.
func ReadHeader(path string, r io.ReaderAt, size int64) (*Header, error) {
	raw, err := readRaw(path, r, size)
	if err != nil {
		return nil, err
	}
	return ParseHeader(path, raw, size)
}

// readRaw reads the JSON bytes of a header.
func readRaw(path string, r io.ReaderAt, size int64) ([]byte, error) {
	if size < lengthSize {
		if err := foreign(path, r, size); err != nil {
			return nil, err
		}
		if size == 0 {
			return nil, &format.Error{Path: path, Kind: format.KindTruncated, Detail: "the file is empty: download or copy it again"}
		}
		return nil, &format.Error{Path: path, Kind: format.KindTruncated,
			Detail: fmt.Sprintf("expected a header length of %d bytes, found a file of %d", lengthSize, size)}
	}
	var length [lengthSize]byte
	if err := readFull(path, r, length[:], 0); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n == 0 || n > MaxHeader || int64(n) > size-lengthSize {
		if err := foreign(path, r, size); err != nil {
			return nil, err
		}
	}
	if n == 0 || n > MaxHeader {
		return nil, &format.Error{Path: path, Kind: format.KindHeaderSize,
			Detail: fmt.Sprintf("expected a header of 1 to %d bytes, found a declared length of %d", int64(MaxHeader), n)}
	}
	if int64(n) > size-lengthSize {
		return nil, &format.Error{Path: path, Kind: format.KindTruncated,
			Detail: fmt.Sprintf("expected a header of %d bytes, found %d after its length", n, size-lengthSize)}
	}
	raw := make([]byte, n)
	return raw, readFull(path, r, raw, lengthSize)
}

// foreign tells what a file is that cannot be one of the format, if that can be told.
func foreign(path string, r io.ReaderAt, size int64) error {
	head := make([]byte, min(size, format.ForeignHead))
	n, _ := r.ReadAt(head, 0) // whoever reads on will say what is wrong
	if what := format.Foreign(head[:n], size); what != "" {
		return &format.Error{Path: path, Kind: format.KindForeign, Detail: what}
	}
	return nil
}

// readFull fills p. A file that has become shorter than its size is truncated.
func readFull(path string, r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case errors.Is(err, io.EOF):
		return &format.Error{Path: path, Kind: format.KindTruncated, Err: err,
			Detail: fmt.Sprintf("expected a header up to byte %d, found %d bytes", off+int64(len(p)), off+int64(n))}
	}
	return fmt.Errorf("read the header of %s: %w", path, err)
}

// ParseHeader checks the JSON bytes of a header, without the length before them,
// of a file of the given size, or of [UnknownSize]. Every fault is a [*format.Error]; the offsets that
// it gives are those of the file.
func ParseHeader(path string, raw []byte, fileSize int64) (*Header, error) {
	p := headerParser{
		scanner: scanner{path: path, src: raw, base: lengthSize},
	}
	if err := p.header(); err != nil {
		return nil, err
	}
	h := p.parsed // a copy: the parser holds raw
	h.DataStart = lengthSize + int64(len(raw))
	byPlace := func(a, b Entry) int { return cmp.Or(cmp.Compare(a.Begin, b.Begin), cmp.Compare(a.End, b.End)) }
	if !slices.IsSortedFunc(h.Tensors, byPlace) { // as most writers leave them
		slices.SortStableFunc(h.Tensors, byPlace)
	}
	if fileSize == UnknownSize {
		fileSize = h.DataStart + h.DataSize()
	}
	if err := h.cover(path, fileSize-h.DataStart); err != nil {
		return nil, err
	}
	return &h, nil
}

// UnknownSize is the size of a file that comes through a pipe: it is then what the header says.
const UnknownSize = -1

// DataSize is where the last tensor ends.
func (h *Header) DataSize() (end int64) {
	for i := range h.Tensors {
		end = max(end, h.Tensors[i].End)
	}
	return end
}

// cover demands that the tensors cover size bytes of data, each byte once.
func (h *Header) cover(path string, size int64) error {
	fault := func(kind format.Kind, tensor, detail string, args ...any) error {
		return &format.Error{Path: path, Tensor: tensor, Kind: kind, Detail: fmt.Sprintf(detail, args...)}
	}
	if size < 0 {
		return fault(format.KindTruncated, "", "the header ends %d bytes after the file", -size)
	}
	end := int64(0)
	for i := range h.Tensors {
		switch e := &h.Tensors[i]; {
		case e.Begin > end && i == 0:
			return fault(format.KindGap, e.Name, "expected the first tensor at data offset 0, found it at %d", e.Begin)
		case e.Begin > end:
			return fault(format.KindGap, e.Name, "expected it to begin at data offset %d, where tensor %q ends, found %d",
				end, excerpt(h.Tensors[i-1].Name), e.Begin)
		case e.Begin < end:
			return fault(format.KindOverlap, e.Name, "expected it to begin at data offset %d, where tensor %q ends, found %d",
				end, excerpt(h.Tensors[i-1].Name), e.Begin)
		case e.End > size:
			return fault(format.KindTruncated, e.Name, "expected data up to offset %d, found %d bytes of data in the file, which is cut short: download or copy it again", e.End, size)
		default:
			end = e.End
		}
	}
	if end < size {
		return fault(format.KindGap, "", "expected the file to end with the last tensor, at byte %d, found %d more bytes",
			h.DataStart+end, size-end)
	}
	return nil
}

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

// Append prints the header's JSON: compact, the metadata first with its keys
// sorted, and padded with spaces to a multiple of 8 bytes, so that the data begins
// on one. Parsing what it prints gives the same tensors and metadata. Names and
// metadata must be UTF-8.
func (h *Header) Append(dst []byte) []byte {
	start := len(dst)
	dst = appendOpening(dst, h.Metadata)
	for i, e := range h.Tensors {
		if i > 0 || h.Metadata != nil {
			dst = append(dst, ',')
		}
		dst = e.append(dst)
	}
	dst = append(dst, '}')
	for (len(dst)-start)%lengthSize != 0 {
		dst = append(dst, ' ')
	}
	return dst
}

// appendOpening prints what comes before the tensors.
func appendOpening(dst []byte, metadata map[string]string) []byte {
	dst = append(dst, '{')
	if metadata != nil {
		dst = appendString(dst, metadataKey)
		dst = append(dst, ':')
		dst = appendMap(dst, metadata)
	}
	return dst
}

// AppendFile prints what a file begins with: the length of the JSON, and the
// JSON as [Header.Append] prints it. The caller checks it against [MaxHeader].
func (h *Header) AppendFile(dst []byte) []byte {
	start := len(dst)
	dst = h.Append(append(dst, make([]byte, lengthSize)...))
	binary.LittleEndian.PutUint64(dst[start:], uint64(len(dst)-start-lengthSize))
	return dst
}

// append prints the tensor's member of the header.
func (e *Entry) append(dst []byte) []byte {
	dst = appendString(dst, e.Name)
	dst = append(dst, `:{"`+dtypeKey+`":"`...)
	dst = append(dst, e.DType.String()...)
	dst = append(dst, `","`+shapeKey+`":`...)
	dst = appendInts(dst, e.Shape...)
	dst = append(dst, `,"`+offsetsKey+`":`...)
	dst = appendInts(dst, e.Begin, e.End)
	return append(dst, '}')
}

func appendMap(dst []byte, m map[string]string) []byte {
	dst = append(dst, '{')
	for i, k := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, k)
		dst = append(dst, ':')
		dst = appendString(dst, m[k])
	}
	return append(dst, '}')
}

func appendInts(dst []byte, list ...int64) []byte {
	dst = append(dst, '[')
	for i, n := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, n, 10)
	}
	return append(dst, ']')
}

// Arrange places tensors one after the other in one file: those with the larger
// elements first, and otherwise as they are given, so that every tensor is aligned
// to its elements. Entry k is tensor order[k].
func Arrange(tensors []format.Tensor) (entries []Entry, order []int) {
	order = make([]int, len(tensors))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(tensors[b].DType.Align(), tensors[a].DType.Align())
	})
	entries = make([]Entry, len(tensors))
	end := int64(0)
	for k, i := range order {
		entries[k] = Entry{Tensor: tensors[i], Begin: end, End: end + tensors[i].Bytes()}
		end = entries[k].End
	}
	return entries, order
}
