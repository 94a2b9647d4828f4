package safetensors

import (
	"encoding/binary"
	"maps"
	"slices"
	"strconv"
)

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
