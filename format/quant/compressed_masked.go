package quant

import (
	"encoding/binary"
	"fmt"
	"slices"

	"weld/format"
)

// findMasked finds codes whose zeros are left out.
func (b *compressedWeight) findMasked() error {
	t := b.Tensors()[b.codes]
	i, mask, _ := b.beside("bitmask")
	if err := b.readShape("shape", 2); err != nil {
		return err
	}
	c := &maskedCodes{blockGrid: gridOf(b.shape), values: b.codes, mask: i, offsets: -1, dtype: t.DType, total: t.Elements()}
	declared := b.config.Sparsity.Format
	if declared == "" {
		declared = b.config.Format
	}
	offsets, o, sparse := b.beside("row_offsets")
	switch {
	case !t.DType.Computable() && !isInteger(t.DType):
		return fmt.Errorf("values of %v", t.DType)
	case mask.DType != format.U8 || !slices.Equal(mask.Shape, []int64{c.rows, (c.cols + 7) / 8}):
		return fmt.Errorf("a bitmask of %v and shape %v for a weight of shape %v", mask.DType, mask.Shape, b.shape)
	case sparse && declared == "sparse-bitmask":
		if o.DType != format.I64 || !slices.Equal(o.Shape, []int64{c.rows}) || len(t.Shape) != 1 {
			return fmt.Errorf("row_offsets of %v and shape %v, values of shape %v for a weight of shape %v", o.DType, o.Shape, t.Shape, b.shape)
		}
		c.offsets = offsets
	case !sparse && declared == "sparse-24-bitmask":
		if c.cols%2 != 0 || !slices.Equal(t.Shape, []int64{c.rows, c.cols / 2}) {
			return fmt.Errorf("values of shape %v for half of a weight of shape %v", t.Shape, b.shape)
		}
	default:
		return fmt.Errorf("zeros are left out, and the layout that is declared is %q", declared)
	}
	b.codeReader = c
	return nil
}

// readShape reads the shape of a weight. It is of one of some ranks.
func (b *compressedWeight) readShape(name string, ranks ...int) error {
	i, t, ok := b.beside(name)
	if !ok {
		return fmt.Errorf("%q is not there, and without it nobody can say how many columns there are", b.module+name)
	}
	n := int(t.Elements())
	if t.DType != format.I64 && t.DType != format.I32 || !slices.Contains(ranks, n) {
		return fmt.Errorf("%q is %v of shape %v, and no shape", t.Name, t.DType, t.Shape)
	}
	b.shape = make([]int64, n)
	size := t.DType.Bits() / 8
	if err := (codeLender{Checkpoint: b.Checkpoint}).with(i, 0, t.Bytes(), func(data []byte) error {
		for k := range b.shape {
			if size == 8 {
				b.shape[k] = int64(binary.LittleEndian.Uint64(data[8*k:]))
			} else {
				b.shape[k] = int64(int32(binary.LittleEndian.Uint32(data[4*k:])))
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if n, ok := format.Elements(b.shape); !ok || n > maxCodes {
		return fmt.Errorf("%q says %v", t.Name, b.shape)
	}
	return nil
}

// maxCodes is how many values a weight may have, so that no product of sizes overflows.
const maxCodes = 1 << 48
