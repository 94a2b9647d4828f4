package quant

import (
	"fmt"
	"slices"

	"weld/format"
)

// Tensors that their container stores in blocks, as GGUF does: nothing beside them is needed to restore the values. A plain model of them is
// of bfloat16, as those are that they are made from next to always; no container says so.

// findBlocks finds tensors in blocks.
func findBlocks(s *search) error {
	for i := range s.Tensors() {
		b, shape := format.BlocksOf(s.Checkpoint, i)
		if b == nil {
			continue
		}
		if b.Decode == nil {
			return s.refuse(i, "stored as %s, which weld does not decode", b.Name)
		}
		s.add(weight{scheme: b.Name, name: s.Tensors()[i].Name, shape: shape, plain: format.BF16, codes: i, decoder: &blocks{i, b, shape}})
	}
	return nil
}

// blocks restores the values of a tensor in blocks.
type blocks struct {
	codes int // the tensor
	*format.Blocks
	shape []int64 // of the values
}

// stored implements [decoder].
func (b *blocks) stored(lo, hi int64) (off, n int64) {
	first, behind := lo/b.Elements, (hi+b.Elements-1)/b.Elements
	return first * b.Bytes, (behind - first) * b.Bytes
}

// quiet implements [quieted].
func (*blocks) quiet() bool { return true }

// decode implements [pieced].
func (b *blocks) decode(from codeLender, dst []float32, lo int64) error {
	off, n := b.stored(lo, lo+int64(len(dst)))
	return from.with(b.codes, off, n, func(data []byte) error {
		if skip := lo % b.Elements; skip > 0 { // the piece begins inside of a block
			whole := from.floats(b.Elements)
			b.Decode(whole, data[:b.Bytes])
			dst, data = dst[copy(dst, whole[skip:]):], data[b.Bytes:]
		}
		k := int64(len(dst)) / b.Elements
		b.Decode(dst[:k*b.Elements], data[:k*b.Bytes])
		if rest := dst[k*b.Elements:]; len(rest) > 0 {
			whole := from.floats(b.Elements)
			b.Decode(whole, data[k*b.Bytes:][:b.Bytes])
			copy(rest, whole)
		}
		return nil
	})
}

// inBlocks is how the values of a tensor in blocks are stored.
func (v *Decoded) inBlocks(i int, b *blocks) (*Encoding, bool) {
	last := len(b.shape) - 1
	cols := b.shape[last]
	rows, _ := format.Elements(b.shape[:last])
	if b.Encode == nil || cols*width > mostStripe {
		return nil, false
	}
	return &Encoding{
		Codes:     v.Checkpoint.Tensors()[v.from[i].index],
		coding:    coding{blockGrid: blockGrid{1, rows, cols}, block: blockGrid{1, 1, cols}, inBlocks: b},
		reference: &reference{view: v, weight: &v.from[i], parts: parts{-1, -1, -1, -1}},
	}, true
}

// BlocksEncoding is how values are stored in blocks, however they were before; false where weld does not write these, or rows are no whole
// blocks, or too long.
func BlocksEncoding(name string, shape []int64, b *format.Blocks) (*Encoding, bool) {
	last := len(shape) - 1
	if b.Encode == nil || last < 0 || shape[last]%b.Elements != 0 || shape[last]*width > mostStripe {
		return nil, false
	}
	rows, _ := format.Elements(shape[:last])
	codes := format.Tensor{Name: name, DType: format.U8, Shape: slices.Clone(shape)}
	codes.Shape[last] = shape[last] / b.Elements * b.Bytes
	return &Encoding{
		Codes:  codes,
		coding: coding{blockGrid: blockGrid{1, rows, shape[last]}, block: blockGrid{1, 1, shape[last]}, inBlocks: &blocks{-1, b, shape}},
	}, true
}

// InBlocks is the kind of blocks that the values are stored in, and their shape; nil where scales lie beside codes.
func (e *Encoding) InBlocks() (b *format.Blocks, shape []int64) {
	if e.coding.inBlocks == nil {
		return nil, nil
	}
	return e.coding.inBlocks.Blocks, e.coding.inBlocks.shape
}

// writeBlocks encodes a stripe of rows, and passes it on. A block whose values are those of the reference keeps its bytes.
func (t *encodedTensor) writeBlocks(w format.Writer, s *stripe, first int64) error {
	b := t.inBlocks
	at, n := b.stored(first, first+int64(len(s.values)))
	s.codes, s.old = slices.Grow(s.codes[:0], int(n))[:n], slices.Grow(s.old[:0], len(s.values))[:len(s.values)]
	err := t.reference.lend(func(r *lentReference) error {
		if r == nil {
			return b.encode(s.codes, s.values, first)
		}
		if err := r.copy(r.weight.index, at, s.codes); err != nil {
			return err
		}
		b.Decode(s.old, s.codes)
		same := func(k int64) bool {
			return sameValues(s.values[k*b.Elements:][:b.Elements], s.old[k*b.Elements:][:b.Elements])
		}
		for lo, n := int64(0), int64(len(s.values))/b.Elements; lo < n; lo++ {
			hi := lo
			for hi < n && !same(hi) {
				hi++
			}
			if err := b.encode(s.codes[lo*b.Bytes:hi*b.Bytes], s.values[lo*b.Elements:hi*b.Elements], first+lo*b.Elements); err != nil {
				return err
			}
			lo = hi
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("encode %q: %w", t.Encoding.Codes.Name, err)
	}
	return w.WriteAt(t.Codes, at, s.codes)
}

// encode stores values that begin at an element.
func (b *blocks) encode(codes []byte, values []float32, first int64) error {
	if b.Encode(codes, values) {
		return nil
	}
	for k := int64(0); ; k++ { // the first block that is none
		if block := values[k*b.Elements:][:b.Elements]; !b.Encode(codes[:b.Bytes], block) {
			return b.noBlock(first+k*b.Elements, block)
		}
	}
}

// noBlock is the error for values that no block stands for.
func (b *blocks) noBlock(first int64, values []float32) error {
	if i := slices.IndexFunc(values, isNotFinite); i >= 0 {
		return noCode(first+int64(i), values[i])
	}
	return &format.Error{Kind: format.KindNonfinite, Detail: fmt.Sprintf("values up to %v from element %d on have no scale in %s; plain values, as dtype asks for, hold them", largestFinite(values), first, b.Name)}
}
