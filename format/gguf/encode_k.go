package gguf

import (
	"math"

	"weld/internal/vec"
)

// The K-quants are written by a search of weld's own, as gguf-py does not write them and the search of ggml is no format: of some scales the
// one that leaves the least square error, by least squares, for each group; then the codes that are nearest by the scales as they are stored.
// Products and sums are rounded by themselves, so that every machine writes the same. Eight groups are searched at a time, side by side.

// trials are how far the largest code is moved in search of a scale.
var trials = [...]float64{0, -1, -0.75, -0.5, -0.25, 0.25, 0.5, 0.75, 1}

// nearest is the nearest whole number from least to most, of two as near the even one.
func nearest(x, least, most float64) float64 {
	const large = 0x1.8p52 // whose last bit is a one
	switch n := float64(x+large) - large; {
	case n < least:
		return least
	case n > most:
		return most
	default:
		return n
	}
}

// finite reports whether all values are.
func finite(x []float32) bool { return vec.FirstNonFinite(x, float32(math.Inf(1))) < 0 }

// affineFit finds for each of eight groups a scale and an offset, neither negative, by which codes from 0 to largest leave the least square error:
// value = code × scale − offset.
func affineFit(x []float64, largest float64) (scales, offsets [vec.Lanes]float64) {
	var f vec.LineFit
	var most [vec.Lanes]float64
	vec.SpansSideBySide(x, &f.Least, &most, &f.Sum)
	for k := range vec.Lanes {
		f.Least[k] = min(0, f.Least[k])
		f.Width[k], f.Offset[k], f.Error[k] = most[k]-f.Least[k], -f.Least[k], math.Inf(1)
		if f.Width[k] <= 0 {
			f.Width[k], f.Error[k] = 1, math.Inf(-1)
			continue
		}
		f.Scale[k] = f.Width[k] / largest
	}
	for _, by := range trials {
		f.Try(x, largest+by, largest)
	}
	return f.Scale, f.Offset
}

// encodeQ4_K has for each 32 values a scale and an offset of six bits.
func encodeQ4_K(block []byte, x []float32) bool {
	if !finite(x) {
		return false
	}
	var values [256]float64
	vec.SideBySide(values[:], x, 32)
	scales, offsets := affineFit(values[:], 15)
	var mostScale, mostOffset float64
	for k := range scales {
		mostScale, mostOffset = max(mostScale, scales[k]), max(mostOffset, offsets[k])
	}
	if !putHalf(block, float32(mostScale/63)) || !putHalf(block[2:], float32(mostOffset/63)) {
		return false
	}
	d, least := float64(half(block)), float64(half(block[2:]))
	clear(block[4:16])
	var codes [256]byte
	for k := range scales {
		scale, offset := sixBits(scales[k], d), sixBits(offsets[k], least)
		putScaleAndOffset(block[4:16], k, scale, offset)
		if a := float64(d * float64(scale)); a > 0 {
			vec.LatticeCodes(codes[32*k:][:32], x[32*k:], float64(least*float64(offset)), a, 0, 15, 0)
		}
	}
	for at := 0; at < 128; at += 8 { // two groups share bytes
		low := at/32*64 + at%32
		putWord(block[16+at:], word(codes[low:])|word(codes[low+32:])<<4)
	}
	return true
}

// sixBits is the nearest code of a scale.
func sixBits(x, unit float64) byte {
	if unit == 0 {
		return 0
	}
	return byte(nearest(x/unit, 0, 63))
}

// putScaleAndOffset writes those of a group where [scalesAndOffsets] reads them.
func putScaleAndOffset(at []byte, k int, scale, offset byte) {
	if k < 4 {
		at[k] |= scale
		at[4+k] |= offset
		return
	}
	at[4+k] |= scale&15 | offset<<4
	at[k-4] |= scale >> 4 << 6
	at[k] |= offset >> 4 << 6
}

// symmetricFit finds for each of eight groups the scale by which codes from −half to half − 1 leave the least square error.
func symmetricFit(x []float64, half float64) [vec.Lanes]float64 {
	var f vec.ScaleFit
	vec.ExtremesSideBySide(x, &f.Most)
	for k, most := range f.Most {
		if most == 0 {
			f.Most[k], f.Gain[k] = 1, math.Inf(1)
		}
	}
	for _, by := range trials {
		f.Try(x, -(half + by), half)
	}
	return f.Scale
}

// encodeQ6_K has for each sixteen values a scale that is a signed byte.
func encodeQ6_K(block []byte, x []float32) bool {
	if !finite(x) {
		return false
	}
	var scales [16]float64
	var values [128]float64
	for side := range 2 {
		vec.SideBySide(values[:], x[128*side:], 16)
		*(*[vec.Lanes]float64)(scales[8*side:]) = symmetricFit(values[:], 32)
	}
	most := 0.0
	for _, scale := range scales {
		if math.Abs(scale) > math.Abs(most) {
			most = scale
		}
	}
	if !putHalf(block[208:], float32(most/-128)) {
		return false
	}
	d := float64(half(block[208:]))
	var codes [256]byte
	for k := range scales {
		code := 0.0
		if d != 0 {
			code = nearest(scales[k]/d, -128, 127)
		}
		block[192+k] = byte(int8(code))
		if scale := float64(d * code); scale != 0 {
			vec.LatticeCodes(codes[16*k:][:16], x[16*k:], 0, scale, -32, 31, 32)
			continue
		}
		putWord(codes[16*k:], 32*ones)
		putWord(codes[16*k+8:], 32*ones)
	}
	putQ6(block, &codes)
	return true
}

// putQ6 writes codes where [decodeQ6_K] reads them: four rows of 32 share bytes, on each side.
func putQ6(block []byte, codes *[256]byte) {
	for side := range 2 {
		low, high := block[64*side:][:64], block[128+32*side:][:32]
		for at := 0; at < 32; at += 8 {
			at0 := 128*side + at
			a, b, c, d := word(codes[at0:]), word(codes[at0+32:]), word(codes[at0+64:]), word(codes[at0+96:])
			putWord(low[at:], a&nibbles|c&nibbles<<4)
			putWord(low[32+at:], b&nibbles|d&nibbles<<4)
			putWord(high[at:], a>>4&twoBits|b>>4&twoBits<<2|c>>4&twoBits<<4|d>>4&twoBits<<6)
		}
	}
}
