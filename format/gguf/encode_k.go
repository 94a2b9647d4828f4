package gguf

import "math"

// The K-quants are written by a search of weld's own, as gguf-py does not write them and the search of ggml is no format: of some scales the
// one that leaves the least square error, by least squares, for each group; then the codes that are nearest by the scales as they are stored.
// Products and sums are rounded by themselves, so that every machine writes the same.

// trials are how far the largest code is moved in search of a scale.
var trials = [...]float64{0, -1, -0.75, -0.5, -0.25, 0.25, 0.5, 0.75, 1}

// sums are those of a group of values and codes.
type sums struct{ x, q, xq, qq float64 }

func (s *sums) add(x, q float64) {
	s.x += x
	s.q += q
	s.xq += float64(x * q)
	s.qq += float64(q * q)
}

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

// affineFit is a scale and an offset, neither negative, by which codes from 0 to largest leave the least square error: value = code × scale −
// offset.
func affineFit(x []float32, largest float64) (scale, offset float64) {
	low, high := span(x)
	least, most := min(0, float64(low)), float64(high)
	if most <= least {
		return 0, -least
	}
	scale, offset = (most-least)/largest, -least
	best := math.Inf(1)
	for _, by := range trials {
		inv := (largest + by) / (most - least)
		var s sums
		for _, v := range x {
			s.add(float64(v), nearest(float64(inv*(float64(v)-least)), 0, largest))
		}
		a, b := s.line(float64(len(x)))
		if e := s.lineError(float64(len(x)), a, b); e < best && a > 0 {
			best, scale, offset = e, a, -b
		}
	}
	return scale, offset
}

// line is a × code + b nearest to the values, with b at most 0.
func (s *sums) line(n float64) (a, b float64) {
	if det := float64(n*s.qq) - float64(s.q*s.q); det > 0 {
		a = (float64(n*s.xq) - float64(s.x*s.q)) / det
		b = (s.x - float64(a*s.q)) / n
	}
	if b > 0 || a <= 0 {
		a, b = s.xq/s.qq, 0
	}
	return a, b
}

// lineError is the square error of a line, less the sum of the squares of the values.
func (s *sums) lineError(n, a, b float64) float64 {
	return float64(float64(a*a)*s.qq) + float64(float64(b*b)*n) + 2*(float64(float64(a*b)*s.q)-float64(a*s.xq)-float64(b*s.x))
}

// encodeQ4_K has for each 32 values a scale and an offset of six bits.
func encodeQ4_K(block []byte, x []float32) bool {
	if most := extreme(x); most != most {
		return false
	}
	var scales, offsets [8]float64
	var mostScale, mostOffset float64
	for k := range scales {
		scales[k], offsets[k] = affineFit(x[32*k:32*k+32], 15)
		mostScale, mostOffset = max(mostScale, scales[k]), max(mostOffset, offsets[k])
	}
	if !putHalf(block, float32(mostScale/63)) || !putHalf(block[2:], float32(mostOffset/63)) {
		return false
	}
	d, least := float64(half(block)), float64(half(block[2:]))
	clear(block[4:])
	for k := range scales {
		scale, offset := sixBits(scales[k], d), sixBits(offsets[k], least)
		putScaleAndOffset(block[4:16], k, scale, offset)
		a, b := float64(d*float64(scale)), float64(least*float64(offset))
		codes := block[16+32*(k/2):][:32]
		for i, v := range x[32*k : 32*k+32] {
			if a > 0 {
				codes[i] |= byte(nearest((float64(v)+b)/a, 0, 15)) << (k % 2 * 4)
			}
		}
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

// symmetricFit is the scale by which codes from −half to half − 1 leave the least square error.
func symmetricFit(x []float32, half float64) (scale float64) {
	most := float64(extreme(x))
	if most == 0 {
		return 0
	}
	best := 0.0
	for _, by := range trials {
		inv := -(half + by) / most
		var s sums
		for _, v := range x {
			s.add(float64(v), nearest(float64(inv*float64(v)), -half, half-1))
		}
		if gain := s.xq / s.qq * s.xq; s.qq > 0 && gain > best {
			best, scale = gain, s.xq/s.qq
		}
	}
	return scale
}

// encodeQ6_K has for each sixteen values a scale that is a signed byte.
func encodeQ6_K(block []byte, x []float32) bool {
	if most := extreme(x); most != most {
		return false
	}
	var scales [16]float64
	most := 0.0
	for k := range scales {
		scales[k] = symmetricFit(x[16*k:16*k+16], 32)
		if math.Abs(scales[k]) > math.Abs(most) {
			most = scales[k]
		}
	}
	if !putHalf(block[208:], float32(most/-128)) {
		return false
	}
	d := float64(half(block[208:]))
	clear(block[:192])
	for k := range scales {
		code := 0.0
		if d != 0 {
			code = nearest(scales[k]/d, -128, 127)
		}
		block[192+k] = byte(int8(code))
		scale := float64(d * code)
		for i, v := range x[16*k : 16*k+16] {
			q := byte(32)
			if scale != 0 {
				q += byte(int8(nearest(float64(v)/scale, -32, 31)))
			}
			putQ6(block, 16*k+i, q)
		}
	}
	return true
}

// putQ6 writes the code of an element where [decodeQ6_K] reads it.
func putQ6(block []byte, element int, code byte) {
	side, row, at := element/128, element%128/32, element%32
	block[64*side+row%2*32+at] |= code & 15 << (row / 2 * 4)
	block[128+32*side+at] |= code >> 4 << (2 * row)
}
