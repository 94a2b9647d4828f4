package planes

import (
	"bytes"
	"crypto/subtle"
	"encoding/binary"
	"errors"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/huff0"

	"weld/format"
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
	huff                                       huff0.Scratch
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

// glance is what a sample of a block says.
type glance struct{ elements, zeros, pairs, repeated int }

// Figures of a glance.
const (
	glancePart  = 64 // elements
	glanceParts = 32
)

func (g glance) share(n, of int) float64 { return float64(n) / float64(max(1, of)) }

// look samples a block.
func look(content []byte, width int) (g glance) {
	n := len(content) / width
	if n <= glancePart*glanceParts {
		g.add(content, width)
		return g
	}
	for i := range glanceParts {
		at := (n - glancePart) / (glanceParts - 1) * i
		g.add(content[at*width:(at+glancePart)*width], width)
	}
	return g
}

func (g *glance) add(content []byte, width int) {
	before := uint64(0)
	for at := 0; at < len(content); at += width {
		v := word(content[at:], width)
		g.elements++
		if v == 0 {
			g.zeros++
		}
		if at > 0 {
			g.pairs++
			if v == before {
				g.repeated++
			}
		}
		before = v
	}
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
		count += h.counts[v]
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
		part := src[:n]
		src = src[n:]
		e.huff.Reuse = huff0.ReusePolicyNone
		coded, _, err := huff0.Compress4X(part, &e.huff)
		kind := uint32(chunkHuffman)
		switch {
		case errors.Is(err, huff0.ErrUseRLE):
			coded, kind = part[:1], chunkConstant
		case err != nil || len(coded) >= n:
			coded, kind = part, chunkStored
		}
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(coded))<<2|kind)
		dst = append(dst, coded...)
	}
	return dst
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

// AppendRelative codes a block by a base of the same length, or without it, whatever makes a sample of it
// smallest.
func (e *Encoder) AppendRelative(dst []byte, t format.DType, content, base []byte) ([]byte, Coding) {
	if bytes.Equal(content, base) {
		return dst, Unchanged
	}
	w := shapeOf(t).width
	if len(content)%w != 0 {
		w = 1
	}
	at := len(dst)
	if coding := e.choose(t, content, base, w); coding.Relative() {
		if dst = e.relative(dst, coding, t, content, base, w); len(dst)-at < len(content) {
			return dst, coding
		}
		dst = dst[:at]
	}
	return e.Append(dst, t, content)
}

// Figures of the sample that a choice is made by.
const (
	choicePart  = 2 << 10 // bytes
	choiceParts = 16
)

// choose finds the coding that makes a sample smallest; [Stored] stands for one without the base.
func (e *Encoder) choose(t format.DType, content, base []byte, w int) (best Coding) {
	if len(content) > choicePart*choiceParts {
		e.sample[0], e.sample[1] = e.sample[0][:0], e.sample[1][:0]
		for i := range choiceParts {
			at := (len(content) - choicePart) / (choiceParts - 1) * i / w * w
			e.sample[0] = append(e.sample[0], content[at:at+choicePart]...)
			e.sample[1] = append(e.sample[1], base[at:at+choicePart]...)
		}
		content, base = e.sample[0], e.sample[1]
	}
	e.choice, _ = e.Append(e.choice[:0], t, content)
	least := len(e.choice)
	for _, c := range []Coding{Difference, Xor, Replaced} {
		if e.choice = e.relative(e.choice[:0], c, t, content, base, w); len(e.choice) < least {
			least, best = len(e.choice), c
		}
	}
	return best
}

// relative codes a block by a base.
func (e *Encoder) relative(dst []byte, c Coding, t format.DType, content, base []byte, w int) []byte {
	values := grown(&e.values, len(content))
	if c == Replaced { // a mask of what differs, and that
		mask := grown(&e.mask, (len(content)/w+7)/8)
		n := maskElements(mask, values, content, base, w)
		values = values[:n*w]
		dst = binary.LittleEndian.AppendUint32(dst, uint32(n))
		dst = e.simplePlane(dst, mask)
	} else {
		transform(values, content, base, w, c)
		t = unsigned[w]
	}
	at := len(dst)
	dst, inner := e.Append(append(dst, 0), t, values)
	dst[at] = byte(inner)
	return dst
}

// unsigned are the integer types of each width.
var unsigned = map[int]format.DType{1: format.U8, 2: format.U16, 4: format.U32, 8: format.U64}

// word reads an unsigned integer of w bytes: 1, 2, 4 or 8.
func word(p []byte, w int) uint64 {
	switch w {
	case 2:
		return uint64(binary.LittleEndian.Uint16(p))
	case 4:
		return uint64(binary.LittleEndian.Uint32(p))
	case 8:
		return binary.LittleEndian.Uint64(p)
	}
	return uint64(p[0])
}

func putWord(p []byte, w int, v uint64) {
	switch w {
	case 2:
		binary.LittleEndian.PutUint16(p, uint16(v))
	case 4:
		binary.LittleEndian.PutUint32(p, uint32(v))
	case 8:
		binary.LittleEndian.PutUint64(p, v)
	default:
		p[0] = byte(v)
	}
}

// transform sets values to what a relative coding makes of elements of w bytes.
func transform(values, content, base []byte, w int, c Coding) {
	switch {
	case c == Xor:
		subtle.XORBytes(values, content, base)
		return
	case w == 1:
		laneBytes.differences(values, content, base)
		return
	case w == 2:
		laneWords.differences(values, content, base)
		return
	}
	shift := 64 - 8*w
	for at := 0; at < len(content); at += w {
		d := int64((word(content[at:], w)-word(base[at:], w))<<shift) >> shift
		putWord(values[at:], w, uint64(d<<1^d>>63))
	}
}

// restore is the inverse of transform.
func restore(content, values, base []byte, w int, c Coding) {
	switch {
	case c == Xor:
		subtle.XORBytes(content, values, base)
		return
	case w == 1:
		laneBytes.undo(content, values, base)
		return
	case w == 2:
		laneWords.undo(content, values, base)
		return
	}
	for at := 0; at < len(values); at += w {
		z := word(values[at:], w)
		putWord(content[at:], w, word(base[at:], w)+(z>>1^-(z&1)))
	}
}
