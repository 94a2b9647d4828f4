package quant

import (
	"math"

	"weld/format"
	"weld/internal/vec"
)

// This file chooses the scales of a row of blocks at once, where each is a byte: they are many.

// scaleBlocks stores the scales of blocks [first, end), if they are of such a type, and all are found by the same formula. What they are read as is positive.
func (b *band) scaleBlocks(first, end int64) bool {
	if !b.fits() || b.coding.zeros != nil {
		return false
	}
	largest, scales := b.blocks.largest[first:end], b.blocks.scales[first:end]
	if vec.Max(largest) >= mostPlainScale || b.ofZeros != nil && vec.Min(largest) == 0 {
		return false
	}
	switch w, tabled := b.coding.codes.(*tableWriter); {
	case b.level != nil:
		b.level.scales(b.scales[first:end], scales, largest, b.measured.global)
	case b.scaleType == format.F8E8M0 && tabled:
		w.table.powers(b.scales[first:end], scales, largest)
	default:
		return false
	}
	clear(b.blocks.zeros[first:end])
	return vec.Min(scales) > 0 && vec.Max(scales) <= math.MaxFloat32
}

// mostPlainScale is the largest magnitude from which on a code may be read as infinite; see [coding.overflows].
const mostPlainScale = 0x1p126

// powers is [codeTable.scale] for scales that are powers of two: 1 for zeros, else the exponent of the largest magnitude, rounded to the mantissa of the codes, less that of their
// largest. The sum that rounds carries into the exponent; a subnormal has the least there is.
func (t *codeTable) powers(dst []byte, scales, largest []float32) {
	const one = 127
	of, _ := exponentOf(t.values[len(t.values)-1])
	round := uint32(1) << (22 - (t.bits - 3))
	for k, x := range largest {
		code := byte(one)
		if x > 0 {
			code = byte(max(int(math.Float32bits(x)+round)>>23-of, 0))
		}
		dst[k], scales[k] = code, powersOfTwo[code]
	}
}

// scales is [scaleLevel.scale] of several blocks.
func (l *scaleLevel) scales(dst []byte, scales, largest []float32, global float32) {
	if l.divides {
		vec.Div(scales, largest, largestE2M1)
		vec.Scale(scales, scales, global)
	} else {
		vec.Div(scales, largest, largestE2M1*global)
	}
	for k, x := range scales {
		if !l.divides && x == 0 {
			x = 1
		}
		if !l.divides {
			x = max(x, 0x1p-9)
		}
		scales[k] = min(x, largestE4M3)
	}
	vec.EncodeF8E4M3(dst, scales)
	vec.DecodeF8E4M3(scales, dst)
	if !l.divides {
		vec.Scale(scales, scales, global)
		return
	}
	for k, x := range scales {
		if x == 0 {
			scales[k] = encodedScale(format.F8E4M3, dst[k:k+1], 0.125)
		}
	}
	vec.Div(scales, scales, global)
}
