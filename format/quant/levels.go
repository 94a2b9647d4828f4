package quant

import (
	"encoding/binary"
	"math"

	"weld/format"
)

// scaleLevel is how scales of E4M3 have a scale themselves, one of the whole tensor, so that the largest of them is the largest of their type:
// NVFP4. Its formulas are those of the library that the layout belongs to, in float32 as there.
type scaleLevel struct {
	// divides is for compressed-tensors 0.20.1 (generate_gparam, calculate_qparams): value = code × (scale ÷ global). Else ModelOpt 0.47
	// (nvfp4_tensor.py): value = code × (scale × global).
	divides bool
}

// The largest values of the scales and of the codes.
const (
	largestE4M3 = 448
	largestE2M1 = 6
)

// global is the scale of scales, by the largest magnitude of all values.
func (l *scaleLevel) global(largest float32) float32 {
	if !l.divides {
		if global := largest / (largestE2M1 * largestE4M3); global > 0 {
			return global
		}
		return 1
	}
	inverse := 1 / max(largest, smallestNormal) // rounded, which is how torch divides a number by a tensor
	if global := inverse * (largestE4M3 * largestE2M1); global <= math.MaxFloat32 {
		return global
	}
	return 1 // of nothing but zeros
}

// mostSpare is how far below the largest scale there is those of a tensor may lie before its scale of scales is made anew: of smaller blocks, they
// still have all of their bits.
const mostSpare = 64

// serves reports whether a scale of scales does for values that have another: none of their scales is too large, but for what was rounded.
func (l *scaleLevel) serves(old, global float32) bool {
	spare := float64(old) / float64(global)
	if l.divides {
		spare = 1 / spare
	}
	return spare >= 1-0x1p-20 && spare <= mostSpare
}

// scale stores the scale of a block by its largest magnitude, and returns what the codes of the block are multiplied with.
func (l *scaleLevel) scale(dst []byte, largest, global float32) float32 {
	if l.divides {
		scale := encodedScale(format.F8E4M3, dst, min(global*(largest/largestE2M1), largestE4M3))
		if scale == 0 {
			scale = encodedScale(format.F8E4M3, dst, 0.125)
		}
		return scale / global
	}
	scale := largest / (largestE2M1 * global)
	if scale == 0 {
		scale = 1
	}
	return encodedScale(format.F8E4M3, dst, min(max(scale, 0x1p-9), largestE4M3)) * global
}

// encodedScale stores a scale, and returns what it is read as.
func encodedScale(d format.DType, dst []byte, scale float32) float32 {
	var read [1]float32
	format.Encode(d, dst, []float32{scale})
	format.Decode(d, read[:], dst)
	return read[0]
}

// bytes stores the scale of scales.
func (l *scaleLevel) bytes(global float32) []byte {
	return binary.LittleEndian.AppendUint32(nil, math.Float32bits(global))
}
