package quant

import "weld/format"

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
		s.add(weight{scheme: b.Name, name: s.Tensors()[i].Name, shape: shape, plain: format.BF16, codes: i, decoder: &blocks{i, b}})
	}
	return nil
}

// blocks restores the values of a tensor in blocks.
type blocks struct {
	codes int // the tensor
	*format.Blocks
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
