package planes

import (
	"bytes"
	"encoding/binary"

	"github.com/klauspost/compress/flate"

	"weld/format"
	"weld/internal/huffman"
	"weld/internal/vec"
)

// Encoder codes blocks. Its memory serves one after the other; it is not for concurrent use. The
// zero Encoder is ready.
type Encoder struct {
	planes, pairs, mask, others, values, trial []byte
	flags, rare                                []byte // of a plane
	escapes                                    []byte
	choice                                     []byte    // a coding on trial
	sample                                     [2][]byte // of a block and its base
	code                                       huffman.Code
	counts                                     huffman.Counts // of a chunk
	flate                                      *flate.Writer
}

// Append codes a block of elements and appends it to dst: never more than [Slack] bytes beyond
// the content.
func (e *Encoder) Append(dst []byte, t format.DType, content []byte) ([]byte, Coding) {
	if len(content) == 0 {
		return dst, Stored
	}
	at := len(dst)
	dst, coding := e.block(dst, t, content)
	if len(dst)-at >= len(content) && coding != Stored {
		return append(dst[:at], content...), Stored
	}
	return dst, coding
}

// Shares of a sample at which a coding of blocks is tried.
const (
	sparseShare = 1.0 / 8 // of zeros: each saves a fraction's bits, the mask costs one for every element
	runShare    = 1.0 / 4 // of elements equal to the one before
)

func (e *Encoder) block(dst []byte, t format.DType, content []byte) ([]byte, Coding) {
	s := shapeOf(t)
	if len(content)%s.width != 0 {
		s = shape{width: 1}
	}
	l := look(content, s.width)
	if l.repeated == l.pairs && bytes.Equal(content[s.width:], content[:len(content)-s.width]) {
		return append(dst, content[:s.width]...), Constant
	}
	if t == format.Invalid {
		return e.opaque(dst, content)
	}
	at := len(dst)
	coding := Split
	if l.share(l.zeros, l.elements) > sparseShare {
		coding = Sparse
		dst = e.sparse(dst, s, content)
	} else {
		dst = e.split(dst, s, content)
	}
	zeros := l.share(l.zeros, l.elements)
	if l.share(l.repeated, l.pairs) > zeros*zeros+runShare { // more than zeros that are spread by chance
		if e.trial = e.deflate(e.trial[:0], content); len(e.trial) < len(dst)-at {
			return append(dst[:at], e.trial...), Deflated
		}
	}
	return dst, coding
}

// opaque codes bytes that are no elements.
func (e *Encoder) opaque(dst, content []byte) ([]byte, Coding) {
	h := sample(content)
	if h.entropy() > storedEntropy {
		return append(dst, content...), Stored
	}
	return e.deflate(dst, content), Deflated
}

// split codes all planes of elements.
func (e *Encoder) split(dst []byte, s shape, content []byte) []byte {
	planes := s.buffer(&e.planes, len(content)/s.width)
	s.split(planes, content)
	for _, p := range planes {
		dst = e.appendPlane(dst, p)
	}
	return dst
}

// sparse codes a mask of what is not zero, and that.
func (e *Encoder) sparse(dst []byte, s shape, content []byte) []byte {
	mask := grown(&e.mask, (len(content)/s.width+7)/8)
	others := grown(&e.others, len(content))
	n := maskElements(mask, others, content, nil, s.width)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(n))
	dst = e.simplePlane(dst, mask)
	return e.split(dst, s, others[:n*s.width])
}

// mostly codes a mask of what is not the one value, and that.
func (e *Encoder) mostly(dst, src []byte, value byte) []byte {
	mask := grown(&e.flags, (len(src)+7)/8)
	others := grown(&e.rare, len(src))
	n := maskBytes(mask, others, src, nil, value)
	dst = append(dst, value)
	dst = e.simplePlane(dst, mask)
	return e.simplePlane(dst, others[:n])
}

// paired codes two values as one symbol, unless too many have no code.
func (e *Encoder) paired(dst, src []byte, h *histogram) ([]byte, bool) {
	codes, values, covered := h.codes()
	if covered < pairedShare {
		return dst, false
	}
	pairs := grown(&e.pairs, vec.Paired(len(src)))
	e.escapes = e.escapes[:0]
	if vec.PairCodes(pairs, src, &codes) > 0 {
		for i := range escaped(pairs, len(src)) {
			e.escapes = append(e.escapes, src[i])
		}
	}
	dst = append(dst, byte(len(values)))
	dst = append(dst, values...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(e.escapes)))
	dst = append(dst, e.escapes...)
	return e.simplePlane(dst, pairs), true
}

// codes gives codes to the values that are most frequent: 0, if it is one of them, and those of a
// window, from its upper end on. covered is their share.
func (h *histogram) codes() (c vec.Codes, values []byte, covered float64) {
	lo, _ := h.window()
	c = vec.Codes{Lo: lo, Zero: vec.Escape}
	for i := range c.Window {
		c.Window[i] = vec.Escape
	}
	count := 0
	take := func(v byte) (code byte) {
		if h.counts[v] == 0 || len(values) == vec.Escape {
			return vec.Escape
		}
		values = append(values, v)
		count += int(h.counts[v])
		return byte(len(values) - 1)
	}
	if float64(h.counts[0]) > zeroShare*float64(h.n) {
		c.Zero = take(0)
	}
	for d := len(c.Window) - 1; d >= 0; d-- {
		if v := lo + byte(d); v != 0 {
			c.Window[d] = take(v)
		} else if c.Zero == vec.Escape {
			c.Zero = take(0)
		}
	}
	return c, values, float64(count) / float64(h.n)
}

// zeroShare is how frequent 0 has to be to get a code although it is far from the window.
const zeroShare = 0.001

// huffman codes chunks.
func (e *Encoder) huffman(dst, src []byte) []byte {
	for len(src) > 0 {
		n := min(len(src), chunk)
		dst = e.chunk(dst, src[:n])
		src = src[n:]
	}
	return dst
}

// chunk codes one chunk.
func (e *Encoder) chunk(dst, src []byte) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, chunkHead)...)
	coded, kind := e.codeChunk(dst, src)
	binary.LittleEndian.PutUint32(coded[at:], uint32(len(coded)-len(dst))<<2|kind)
	return coded
}

func (e *Encoder) codeChunk(dst, src []byte) (coded []byte, kind uint32) {
	e.counts = huffman.Counts{}
	e.counts.Add(src)
	if int(e.counts[src[0]]) == len(src) {
		return append(dst, src[0]), chunkConstant
	}
	if len(src) >= leastChunk && e.code.Build(&e.counts) && e.code.Bits(&e.counts)/8 < int64(len(src)) {
		coded = e.code.AppendStreams(append(dst, e.code.Description()...), src)
		if len(coded)-len(dst) < len(src) {
			return coded, chunkHuffman
		}
		dst = coded[:len(dst)]
	}
	return append(dst, src...), chunkStored
}

// deflate appends the DEFLATE form of src.
func (e *Encoder) deflate(dst, src []byte) []byte {
	out := bytes.NewBuffer(dst)
	if e.flate == nil {
		e.flate, _ = flate.NewWriter(out, flate.DefaultCompression)
	} else {
		e.flate.Reset(out)
	}
	e.flate.Write(src) // a buffer takes everything
	e.flate.Close()
	return out.Bytes()
}
