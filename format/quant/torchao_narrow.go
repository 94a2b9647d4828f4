package quant

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"weld/format"
)

// This file has torchao's classes of narrow floats, whose scales are of runs of columns. They lie as rows of the weight do, or swizzled, as the
// metadata says. Sources: torchao 0.18, prototype/mx_formats (mx_tensor.py: to_dtype; nvfp4_tensor.py: dequantize).

// valuesE2M3Bytes and valuesE3M2Bytes are the values of bytes that have one code of six bits each; the two bits above it are empty, and a byte that has
// them stands for no number.
var (
	valuesE2M3Bytes = append(slices.Clone(valuesE2M3), slices.Repeat([]float32{float32(math.NaN())}, 192)...)
	valuesE3M2Bytes = append(narrowFloatsOf(3, 2), slices.Repeat([]float32{float32(math.NaN())}, 192)...)
)

// mx restores code × 2^(scale − 127).
func (b *torchaoWeight) mx() (shape []int64, d decoder, err error) {
	t := b.Tensors()[b.codes]
	shape = t.Shape
	a := &affine{}
	bytes := func(values []float32) {
		a.codeReader = &bitCodes{b.codes, packedRows{bitPacking{bits: 8, values: values}, shape[len(shape)-1], shape[len(shape)-1]}}
	}
	switch element := b.terms.Data.Element; {
	case element == "float8_e4m3fn" && t.DType == format.F8E4M3, element == "float8_e5m2" && t.DType == format.F8E5M2:
		a.codeReader = wholeCodes{b.codes, t.DType, 8}
	case element == "float4_e2m1fn_x2" && t.DType == format.U8:
		shape = b.unpacked(2)
		a.codeReader = b.pairs(shape)
	case element == "fp6_e2m3" && t.DType == format.U8:
		bytes(valuesE2M3Bytes)
	case element == "fp6_e3m2" && t.DType == format.U8:
		bytes(valuesE3M2Bytes)
	default:
		return nil, nil, fmt.Errorf("%q in codes of %v", element, t.DType)
	}
	a.blockGrid = gridOf(shape)
	a.scales, err = b.narrowScales(shape, format.F8E8M0)
	return shape, a, err
}

// nvfp4 restores code × (scale × scale of scales).
func (b *torchaoWeight) nvfp4() (shape []int64, d decoder, err error) {
	shape = b.unpacked(2)
	a := &affine{blockGrid: gridOf(shape), codeReader: b.pairs(shape)}
	if a.scales, err = b.narrowScales(shape, format.F8E4M3); err != nil {
		return nil, nil, err
	}
	if k, global, ok := b.part("per_tensor_scale"); ok {
		n := global.Elements()
		if global.DType != format.F32 || n != 1 && (len(shape) != 3 || !slices.Equal(global.Shape, []int64{shape[0], 1, 1})) {
			return nil, nil, fmt.Errorf("a scale of scales of %v and shape %v", global.DType, global.Shape)
		}
		a.scales.global, a.scales.perMatrix = k, n > 1
		b.hide(k)
	}
	return shape, a, nil
}

// pairs are codes of E2M1, of which two stand in each byte, the first in the lower half.
func (b *torchaoWeight) pairs(shape []int64) codeReader {
	cols := shape[len(shape)-1]
	return &bitCodes{b.codes, packedRows{bitPacking{bits: 4, values: valuesE2M1}, cols, cols / 2}}
}

// narrowScales finds scales of runs of columns.
func (b *torchaoWeight) narrowScales(shape []int64, dtype format.DType) (*levelGrid, error) {
	var run int64
	if json.Unmarshal(b.terms.Data.Block, &run) != nil || run <= 0 || len(shape) > 3 {
		return nil, fmt.Errorf("blocks of %s in a weight of shape %v", b.terms.Data.Block, shape)
	}
	j, t, ok := b.part("scale")
	switch {
	case !ok:
		return nil, errors.New("no scales")
	case t.DType != dtype:
		return nil, fmt.Errorf("scales of %v", t.DType)
	}
	g := gridOf(shape)
	s := &levelGrid{scaleGrid: scaleGrid{tensor: j, dtype: dtype, blockGrid: blockGrid{g.slices, g.rows, g.cols / run}, block: blockGrid{1, 1, run}, swizzled: b.terms.Data.Swizzled}, global: -1}
	want := append(slices.Clone(shape[:len(shape)-1]), s.cols)
	fits := slices.Equal(t.Shape, want)
	if s.swizzled {
		fits = t.Bytes() == swizzledBytes(s.slices*s.rows, s.cols)
	}
	if g.cols%run != 0 || !fits {
		return nil, fmt.Errorf("scales of shape %v (swizzled: %t) in a weight of shape %v, each of %d columns", t.Shape, s.swizzled, shape, run)
	}
	b.hide(j)
	return s, nil
}
