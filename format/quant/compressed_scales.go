package quant

import (
	"fmt"
	"slices"

	"weld/format"
)

// findScales finds the scales of a weight whose shape is known, and its zero points. family is nv for two levels of them, mx for
// powers of two.
func (b *compressedWeight) findScales(args *compressedArgs, family string, float bool) error {
	i, t, ok := b.beside("weight_scale")
	if !ok {
		return fmt.Errorf("%q is not there", b.module+"weight_scale")
	}
	g, block, err := args.blocks(b.shape, t.Shape)
	if err != nil {
		return err
	}
	dtype := t.DType
	switch {
	case family == "mx" && (dtype == format.U8 || dtype == format.F8E8M0):
		dtype = format.F8E8M0
	case family == "nv" && dtype == format.F8E4M3:
	case family != "mx" && isScale(dtype) && dtype != format.F8E8M0:
	default:
		return fmt.Errorf("scales of %v", dtype)
	}
	b.scales = &levelGrid{scaleGrid: scaleGrid{tensor: i, dtype: dtype, blockGrid: g, block: block}, global: -1}
	if err := b.findGlobal(args, family); err != nil {
		return err
	}
	return b.findZeros(args, float)
}

// blocks finds out which block each scale is of. It goes by what is declared alone.
func (a *compressedArgs) blocks(of, scales []int64) (g, block blockGrid, err error) {
	t := gridOf(of)
	leading := append([]int64{}, of[:max(0, len(of)-2)]...)
	var shape []int64
	switch a.Strategy {
	case "tensor":
		if n, _ := format.Elements(scales); n == 1 {
			return blockGrid{1, 1, 1}, t, nil
		}
		return g, block, fmt.Errorf("scales of shape %v, where one is declared for the whole tensor", scales)
	case "channel":
		block = blockGrid{1, 1, t.cols}
	case "group", "tensor_group":
		if a.GroupSize <= 0 || t.cols%a.GroupSize != 0 {
			return g, block, fmt.Errorf("groups of %d columns in a weight of shape %v", a.GroupSize, of)
		}
		block = blockGrid{1, 1, a.GroupSize}
	case "block":
		if a.Block[0] == 0 || len(of) != 2 {
			return g, block, fmt.Errorf("blocks of %v in a weight of shape %v", a.Block, of)
		}
		block = blockGrid{1, a.Block[0], a.Block[1]}
	default:
		return g, block, fmt.Errorf("strategy %q", a.Strategy)
	}
	if len(of) < 2 || t.cols == 0 {
		return g, block, fmt.Errorf("a weight of shape %v", of)
	}
	g = blockGrid{t.slices, (t.rows + block.rows - 1) / block.rows, (t.cols + block.cols - 1) / block.cols}
	if shape = append(leading, g.rows, g.cols); !slices.Equal(scales, shape) {
		return g, block, fmt.Errorf("scales of shape %v, where strategy %q asks for %v", scales, a.Strategy, shape)
	}
	return g, block, nil
}

// findGlobal finds the scale of the scales.
func (b *compressedWeight) findGlobal(args *compressedArgs, family string) error {
	i, t, ok := b.beside("weight_global_scale")
	switch {
	case ok && (family != "nv" || t.DType != format.F32 || t.Elements() != 1):
		return fmt.Errorf("%q is %v of shape %v", t.Name, t.DType, t.Shape)
	case ok:
		b.scales.global, b.scales.divide = i, true
	case args.Strategy == "tensor_group":
		return fmt.Errorf("%q is not there", b.module+"weight_global_scale")
	}
	return nil
}

// findZeros finds zero points. Those of packed codes are packed, but in releases until 0.9, where they are integers like any other.
func (b *compressedWeight) findZeros(args *compressedArgs, float bool) error {
	i, t, ok := b.beside("weight_zero_point")
	switch {
	case !ok && args.Symmetric:
		return nil
	case !ok:
		return fmt.Errorf("%q is not there, and the scheme is declared not to be symmetric", b.module+"weight_zero_point")
	case args.Symmetric || float:
		return fmt.Errorf("%q is there, and the scheme is declared to be symmetric or of floats", t.Name)
	}
	b.zeros = &zeroGrid{tensor: i, dtype: t.DType, blockGrid: b.scales.blockGrid, block: b.scales.block}
	scales := b.Tensors()[b.scales.tensor].Shape
	if packed := b.Tensors()[b.codes].DType == format.I32 && args.Bits <= 8; t.DType == format.I32 && packed {
		n := len(scales)
		if args.Strategy != "tensor" && len(t.Shape) == n && t.Shape[n-1] == scales[n-1] && slices.Equal(t.Shape[:n-2], scales[:n-2]) {
			return nil
		}
	} else if isInteger(t.DType) && slices.Equal(t.Shape, scales) {
		return nil
	}
	return fmt.Errorf("zero points of %v and shape %v beside scales of shape %v", t.DType, t.Shape, scales)
}

// findIndex finds which group each column belongs to, where columns were ordered by activations.
func (b *compressedWeight) findIndex(args *compressedArgs) error {
	i, t, ok := b.beside("weight_g_idx")
	if !ok {
		return nil
	}
	cols := b.shape[len(b.shape)-1]
	if t.DType != format.I32 || !slices.Equal(t.Shape, []int64{cols}) || args.Strategy != "group" || 4*cols > maxIndex {
		return fmt.Errorf("%q is %v of shape %v in a weight of shape %v and strategy %q", t.Name, t.DType, t.Shape, b.shape, args.Strategy)
	}
	inOrder, err := checkIndex(codeLender{Checkpoint: b.Checkpoint}, i, cols, b.scales.blockGrid.cols)
	if err != nil {
		return fmt.Errorf("%q: %w", t.Name, err)
	}
	if !inOrder {
		b.groups = &groupIndex{i}
	}
	return nil
}

// maxIndex is the bytes that an index of columns may take: it is looked at as a whole.
const maxIndex = 4 << 20
