package quant

import (
	"encoding/json"
	"errors"
	"fmt"

	"weld/format"
)

// This file has torchao's classes whose codes are one by one in a tensor of the weight's shape.

// whole restores (code − zero point) × scale.
func (b *torchaoWeight) whole() (decoder, error) {
	t := b.Tensors()[b.codes]
	var block []int64
	if len(b.terms.Data.Block) > 0 && json.Unmarshal(b.terms.Data.Block, &block) != nil {
		return nil, fmt.Errorf("blocks of %s", b.terms.Data.Block)
	}
	j, scales, ok := b.part("scale")
	if !ok || !isScale(scales.DType) {
		return nil, errors.New("no scales")
	}
	grid, err := torchaoBlocks(t.Shape, scales, j, block)
	if err != nil {
		return nil, err
	}
	b.hide(j)
	if t.DType != format.I8 {
		return &blockDecoder{blockGrid: gridOf(t.Shape), codes: b.codes, dtype: t.DType, scales: *grid}, nil
	}
	d := &affine{blockGrid: gridOf(t.Shape), codeReader: wholeCodes{b.codes, t.DType, t.DType.Bits()}, scales: &levelGrid{scaleGrid: *grid, global: -1}}
	if k, zeros, ok := b.part("zero_point"); ok {
		if zeros.DType != format.I8 {
			return nil, fmt.Errorf("zero points of %v", zeros.DType)
		}
		z, err := torchaoBlocks(t.Shape, zeros, k, block)
		if err != nil {
			return nil, err
		}
		b.hide(k)
		d.zeros = &zeroGrid{tensor: k, dtype: zeros.DType, blockGrid: z.blockGrid, block: z.block}
	}
	return d, nil
}

// torchaoBlocks finds out which block each scale is of; block is what the terms say, if they do.
func torchaoBlocks(of []int64, scales format.Tensor, tensor int, block []int64) (*scaleGrid, error) {
	var wanted [2]int64
	if n := len(block); n >= 2 && n == len(of) {
		wanted = [2]int64{block[n-2], block[n-1]}
	}
	g, b, err := scalesOf(of, scales.Shape, wanted)
	if err == nil && len(block) > 0 {
		whole := gridOf(block)
		t := gridOf(of)
		if len(block) != len(of) || min(whole.slices, t.slices) != b.slices || min(whole.rows, t.rows) != b.rows || min(whole.cols, t.cols) != b.cols {
			err = fmt.Errorf("scales of shape %v for blocks of %v", scales.Shape, block)
		}
	}
	return &scaleGrid{tensor: tensor, dtype: scales.DType, blockGrid: g, block: b}, err
}
