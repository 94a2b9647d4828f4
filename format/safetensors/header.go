package safetensors

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

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
	h, err := new(headerParser).read(path, r, size, io.Discard)
	return h, err
}

// jsonSize is the length of a header's JSON, as the file says.
func jsonSize(path string, r io.ReaderAt, size int64) (int64, error) {
	if size < lengthSize {
		if err := foreign(path, r, size); err != nil {
			return 0, err
		}
		if size == 0 {
			return 0, &format.Error{Path: path, Kind: format.KindTruncated, Detail: "the file is empty: download or copy it again"}
		}
		return 0, &format.Error{Path: path, Kind: format.KindTruncated,
			Detail: fmt.Sprintf("expected a header length of %d bytes, found a file of %d, which is cut short: download or copy it again", lengthSize, size)}
	}
	var length [lengthSize]byte
	if err := readFull(path, r, length[:], 0); err != nil {
		return 0, err
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n == 0 || n > MaxHeader || int64(n) > size-lengthSize {
		if err := foreign(path, r, size); err != nil {
			return 0, err
		}
	}
	if n == 0 || n > MaxHeader {
		return 0, &format.Error{Path: path, Kind: format.KindHeaderSize,
			Detail: fmt.Sprintf("expected a header of 1 to %d bytes, found a declared length of %d", int64(MaxHeader), n)}
	}
	if int64(n) > size-lengthSize {
		return 0, &format.Error{Path: path, Kind: format.KindTruncated,
			Detail: fmt.Sprintf("expected a header of %d bytes, found %d after its length: the file is cut short, download or copy it again", n, size-lengthSize)}
	}
	return int64(n), nil
}

// headerText reads the bytes of a header from at up to end.
type headerText struct {
	path    string
	from    io.ReaderAt
	at, end int64
}

func (t *headerText) Read(p []byte) (int, error) {
	p = p[:min(int64(len(p)), t.end-t.at)]
	if len(p) == 0 {
		return 0, io.EOF
	}
	if err := readFull(t.path, t.from, p, t.at); err != nil {
		return 0, err
	}
	t.at += int64(len(p))
	return len(p), nil
}

// foreign says what a file is that cannot be one of the format, if that is known.
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
	return new(headerParser).parse(scanner{path: path, src: raw, base: lengthSize}, lengthSize+int64(len(raw)), fileSize)
}

// settle orders the tensors, and demands that they cover the data of a file of the given size.
func (h *Header) settle(path string, fileSize int64) error {
	byPlace := func(a, b Entry) int { return cmp.Or(cmp.Compare(a.Begin, b.Begin), cmp.Compare(a.End, b.End)) }
	if !slices.IsSortedFunc(h.Tensors, byPlace) { // as most writers leave them
		slices.SortStableFunc(h.Tensors, byPlace)
	}
	if fileSize == UnknownSize {
		fileSize = h.DataStart + h.DataSize()
	}
	return h.cover(path, fileSize-h.DataStart)
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
