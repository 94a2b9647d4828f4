package gguf

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
)

// The search of K-quants in plain words, group by group: what [encodeQ4_K] and [encodeQ6_K] write, eight groups at a time.

// sums are those of a group of values and codes.
type sums struct{ x, q, xq, qq float64 }

func (s *sums) add(x, q float64) {
	s.x += x
	s.q += q
	s.xq += float64(x * q)
	s.qq += float64(q * q)
}

// plainAffine is a scale and an offset, neither negative, by which codes from 0 to largest leave the least square error: value = code × scale −
// offset.
func plainAffine(x []float32, largest float64) (scale, offset float64) {
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

// plainQ4_K has for each 32 values a scale and an offset of six bits.
func plainQ4_K(block []byte, x []float32) bool {
	if most := extreme(x); most != most {
		return false
	}
	var scales, offsets [8]float64
	var mostScale, mostOffset float64
	for k := range scales {
		scales[k], offsets[k] = plainAffine(x[32*k:32*k+32], 15)
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

// plainSymmetric is the scale by which codes from −half to half − 1 leave the least square error.
func plainSymmetric(x []float32, half float64) (scale float64) {
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

// plainQ6_K has for each sixteen values a scale that is a signed byte.
func plainQ6_K(block []byte, x []float32) bool {
	if most := extreme(x); most != most {
		return false
	}
	var scales [16]float64
	most := 0.0
	for k := range scales {
		scales[k] = plainSymmetric(x[16*k:16*k+16], 32)
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
			plainPutQ6(block, 16*k+i, q)
		}
	}
	return true
}

// plainPutQ6 writes the code of an element where [decodeQ6_K] reads it.
func plainPutQ6(block []byte, element int, code byte) {
	side, row, at := element/128, element%128/32, element%32
	block[64*side+row%2*32+at] |= code & 15 << (row / 2 * 4)
	block[128+32*side+at] |= code >> 4 << (2 * row)
}

// Blocks have the bytes of the plain search, whatever values they have.
func TestSearch(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	x, got, want := make([]float32, 256), make([]byte, 210), make([]byte, 210)
	for trial := range 6000 {
		for group := 0; group < len(x); group += 16 {
			scale, kind := math.Exp2(float64(r.IntN(50)-38)), r.IntN(8)
			if trial%2 == 0 {
				scale, kind = 0.02, trial%16/2 // a block of one kind
			}
			for i := range 16 {
				v := r.NormFloat64() * scale
				switch kind {
				case 1:
					v = math.Abs(v)
				case 2:
					v = -3*scale - math.Abs(v)
				case 3:
					v = float64(r.IntN(9)-4) * scale / 2 // ties
				case 4:
					v = 0
				case 5:
					v = scale
				}
				x[group+i] = float32(v)
			}
		}
		if trial%500 == 7 {
			x[r.IntN(256)] = float32([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e30}[r.IntN(4)])
		}
		for _, c := range []struct {
			name       string
			size       int
			one, plain func(block []byte, x []float32) bool
		}{{"Q4_K", 144, encodeQ4_K, plainQ4_K}, {"Q6_K", 210, encodeQ6_K, plainQ6_K}} {
			r := rand.NewChaCha8([32]byte{byte(trial)})
			r.Read(got) // what was there before says nothing
			ok, plain := c.one(got[:c.size], x), c.plain(want[:c.size], x)
			if ok != plain || ok && !bytes.Equal(got[:c.size], want[:c.size]) {
				t.Fatalf("%s of %v:\n%x %v, want\n%x %v", c.name, x, got[:c.size], ok, want[:c.size], plain)
			}
		}
	}
}
