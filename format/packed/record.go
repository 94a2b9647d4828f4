package packed

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"weld/format"
	"weld/format/planes"
)

// magic begins a file: a byte that no text has, the name, and line ends that a transfer as text
// would change.
const magic = "\x89WELD\r\n\x1a"

// The versions of the format; a reader refuses higher ones. A writer takes the lowest that says what it has to.
const (
	version        = 1
	versionRepeats = 2 // blocks may repeat earlier ones
)

const (
	headerSize = 16
	recordSize = 32
	endSize    = recordSize + endPayload
	endPayload = 8 + 8 + 32
)

// FileKind is what a file is.
type FileKind uint8

// The kinds of file.
const (
	Pack  FileKind = 1
	Patch FileKind = 2
)

func (k FileKind) String() string {
	switch k {
	case Pack:
		return "pack"
	case Patch:
		return "patch"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// repair says what becomes of a damaged one.
func (k FileKind) repair() string {
	if k == Patch {
		return "make the patch again"
	}
	return "weld unpack --salvage restores what is whole"
}

// appendHeader prints the beginning of a file.
func appendHeader(dst []byte, kind FileKind, version uint16) []byte {
	dst = append(dst, magic...)
	dst = binary.LittleEndian.AppendUint16(dst, version)
	return append(dst, byte(kind), 0, 0, 0, 0, 0)
}

// parseHeader checks the beginning of a file.
func parseHeader(path string, h []byte) (header, error) {
	kind, v := FileKind(h[10]), binary.LittleEndian.Uint16(h[8:])
	switch {
	case string(h[:8]) != magic:
		return header{}, &format.Error{Path: path, Kind: format.KindUnsupported, Detail: "it does not begin as a pack or a patch does: it is something else, or its first bytes are damaged"}
	case v < version || v > versionRepeats:
		return header{}, &format.Error{Path: path, Kind: format.KindUnsupported, Detail: fmt.Sprintf("version %d of the format; this weld reads versions %d to %d: use a newer one", v, version, versionRepeats)}
	case kind != Pack && kind != Patch:
		return header{}, &format.Error{Path: path, Kind: format.KindUnsupported, Detail: fmt.Sprintf("neither a pack nor a patch, but kind %d", h[10])}
	}
	for _, b := range h[11:headerSize] {
		if b != 0 {
			return header{}, &format.Error{Path: path, Kind: format.KindUnsupported, Detail: "reserved bytes are set: written by a newer weld, or damaged"}
		}
	}
	return header{kind, v == versionRepeats && kind == Pack}, nil
}

// header is the beginning of a file.
type header struct {
	kind    FileKind
	repeats bool // its blocks may repeat earlier ones
}

// tag says what a record holds.
type tag [4]byte

var (
	tagFile  = tag{'F', 'I', 'L', 'E'}
	tagData  = tag{'D', 'A', 'T', 'A'}
	tagIndex = tag{'I', 'N', 'D', 'X'}
	tagEnd   = tag{'E', 'N', 'D', ' '}
)

// record is the head of a record.
type record struct {
	tag     tag
	payload uint32 // bytes that follow
	offset  int64  // in the content, which is all files one after the other
	content uint32 // bytes that a block decodes to
	elem    uint8  // code of the element type
	coding  planes.Coding
	sum     uint32 // CRC-32 (IEEE) of the payload
}

// put prints the head into its place.
func (r record) put(dst []byte) {
	le := binary.LittleEndian
	copy(dst, r.tag[:])
	le.PutUint32(dst[4:], r.payload)
	le.PutUint64(dst[8:], uint64(r.offset))
	le.PutUint32(dst[16:], r.content)
	dst[20], dst[21] = r.elem, byte(r.coding)
	dst[22], dst[23] = 0, 0
	le.PutUint32(dst[24:], r.sum)
	le.PutUint32(dst[28:], crc32.ChecksumIEEE(dst[:28]))
}

// appendRecord prints a record that is no block.
func appendRecord(dst []byte, t tag, offset int64, payload []byte) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, recordSize)...)
	record{tag: t, payload: uint32(len(payload)), offset: offset, sum: crc32.ChecksumIEEE(payload)}.put(dst[at:])
	return append(dst, payload...)
}

// parseRecord checks the head of a record; what is wrong with it is a word for an error.
func parseRecord(h []byte) (r record, fault string) {
	le := binary.LittleEndian
	if le.Uint32(h[28:]) != crc32.ChecksumIEEE(h[:28]) {
		return r, "the head of a record is damaged"
	}
	r = record{
		tag: tag(h[:4]), payload: le.Uint32(h[4:]), offset: int64(le.Uint64(h[8:])), content: le.Uint32(h[16:]),
		elem: h[20], coding: planes.Coding(h[21]), sum: le.Uint32(h[24:]),
	}
	switch {
	case h[22] != 0 || h[23] != 0:
		return r, "reserved bytes of a record are set"
	case r.offset < 0:
		return r, "a record lies beyond 63 bits"
	case r.tag != tagData && (r.content != 0 || r.elem != 0 || r.coding != 0):
		return r, fmt.Sprintf("a record %q claims content", r.tag[:])
	case r.tag != tagData:
		return r, ""
	case r.content == 0 || r.content > planes.MaxContent:
		return r, fmt.Sprintf("a block of %d bytes, of at most %d", r.content, planes.MaxContent)
	case int64(r.payload) > int64(r.content)+planes.Slack:
		return r, fmt.Sprintf("a block of %d bytes takes %d", r.content, r.payload)
	case elementType(r.elem) == format.Invalid && r.elem != opaque:
		return r, fmt.Sprintf("element type %d", r.elem)
	}
	return r, ""
}

// opaque is the code of bytes that are no elements.
const opaque = 0

// elementCodes are the codes of element types in a file. They never change.
var elementCodes = map[format.DType]uint8{
	format.Bool: 1, format.F4: 2, format.F6E2M3: 3, format.F6E3M2: 4, format.U8: 5, format.I8: 6,
	format.F8E5M2: 7, format.F8E4M3: 8, format.F8E8M0: 9, format.F8E4M3FNUZ: 10, format.F8E5M2FNUZ: 11,
	format.I16: 12, format.U16: 13, format.F16: 14, format.BF16: 15, format.I32: 16, format.U32: 17, format.F32: 18,
	format.C64: 19, format.F64: 20, format.I64: 21, format.U64: 22,
}

var elementTypes = func() (types [256]format.DType) {
	for d, code := range elementCodes {
		types[code] = d
	}
	return types
}()

// ElementCode is how a file calls an element type; 0 is that of bytes that are no elements.
func ElementCode(d format.DType) byte { return elementCodes[d] }

// ElementType is the inverse; known is false for codes that there are not.
func ElementType(code byte) (d format.DType, known bool) {
	d = elementType(code)
	return d, d != format.Invalid || code == opaque
}

// elementType is the type of a code; Invalid for bytes that are none, and for unknown codes.
func elementType(code uint8) format.DType { return elementTypes[code] }
