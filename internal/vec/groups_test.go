package vec

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// groupSizes are those that assembly takes, and others.
var groupSizes = []int{1, 2, 3, 15, 16, 17, 32, 48, 64, 100, 128, 1000}

// grouped runs every length from 0 to some groups, and one that is long, with every size of a group.
func grouped(t *testing.T, most int, test func(t *testing.T, n, group int)) {
	levelsFrom(Portable, t, func(t *testing.T) {
		for _, group := range groupSizes {
			for n := range 150 {
				test(t, n, group)
			}
			test(t, most, group)
		}
	})
}

// guardedFloats are so many values that end where memory ends.
func guardedFloats(n int) []float32 { return floats[float32](guarded(4 * n)) }

// numbersOfGroups are scales, or zero points, at the end of memory: whoever looks behind the last dies.
func numbersOfGroups(r *rand.Rand, room []float32, n, group int, number func() float32) []float32 {
	numbers := room[len(room)-(n+group-1)/group:]
	for k := range numbers {
		numbers[k] = number()
	}
	return numbers
}

// anyScale is a scale as checkpoints have them most often; else any number that is not negative, zero and what is not finite among them.
func anyScale(r *rand.Rand) func() float32 {
	return func() float32 {
		switch r.IntN(8) {
		case 0:
			return math.Float32frombits(r.Uint32() &^ sign32)
		case 2:
			return float32(math.Ldexp(1, r.IntN(277)-149)) // any power of two
		case 1:
			return []float32{0, math.Float32frombits(inf32), math.Float32frombits(nan32 | sign32 | 7), 0x1p-149, 0x1p-127, 0x1p127, math.MaxFloat32}[r.IntN(7)]
		}
		return float32(math.Exp(r.NormFloat64()))
	}
}

// stepwise is (code − zero) × scale, each step rounded from float64, which holds sums and products of such numbers exactly or nearly:
// 24 bits of a product are 48.
func stepwise(code, zero, scale float32) float32 {
	x := float32(float64(code)-float64(zero)) * scale
	if x != x {
		return math.Float32frombits(nan32)
	}
	return x
}

// Against codes that are laid one by one, with and without zero points.
func TestDecodeGroups(t *testing.T) {
	const most = 4096
	r := rand.New(rand.NewPCG(81, 82))
	codes, bytes := make([]uint8, most), make([]byte, most)
	for i := range codes {
		codes[i] = uint8(r.Uint32())
	}
	scaleRoom, zeroRoom, srcRoom := guardedFloats(most), guardedFloats(most), guarded(most)
	dstRoom := guardedFloats(most + 8)
	tables := [][16]float32{{0, 0.5, 1, 1.5, 2, 3, 4, 6, float32(math.Copysign(0, -1)), -0.5, -1, -1.5, -2, -3, -4, -6}}
	var whole, odd [16]float32
	for code := range whole {
		whole[code], odd[code] = float32(code-8), float32(r.NormFloat64())
	}
	tables = append(tables, whole, odd)
	grouped(t, most, func(t *testing.T, n, group int) {
		values := tables[r.IntN(len(tables))]
		scales := numbersOfGroups(r, scaleRoom, n, group, anyScale(r))
		var zeros []float32
		if r.IntN(2) == 0 {
			zeros = numbersOfGroups(r, zeroRoom, n, group, func() float32 { return float32(r.IntN(256) - 128) })
		}
		zero := func(k int) float32 {
			if zeros == nil {
				return 0
			}
			return zeros[k]
		}
		check := func(kernel string, dst []float32, code func(i int) float32) {
			t.Helper()
			for i, got := range dst {
				if want := stepwise(code(i), zero(i/group), scales[i/group]); !sameBits(got, want) {
					t.Fatalf("%s of %d in groups of %d: element %d is %x, want (%g - %g) x %g = %x", kernel, n, group, i, got, code(i), zero(i/group), scales[i/group], want)
				}
			}
		}
		behind := r.IntN(8)
		dst := dstRoom[len(dstRoom)-n-behind:][:n]
		Fill(dstRoom, 42)
		src := srcRoom[len(srcRoom)-(n+1)/2:]
		clear(bytes)
		for i := range n {
			bytes[i/2] |= codes[i] & 15 << (i % 2 * 4)
		}
		if n%2 == 1 {
			bytes[n/2] |= 0xf0 // of nobody
		}
		copy(src, bytes)
		DecodeNibbleGroups(dst, src, &values, zeros, scales, group)
		check("DecodeNibbleGroups", dst, func(i int) float32 { return values[codes[i]&15] })

		src = srcRoom[len(srcRoom)-n:]
		copy(src, codes)
		Fill(dst, 42)
		flip := byte(r.IntN(2) * 0x80)
		DecodeI8Groups(dst, src, flip, zeros, scales, group)
		check("DecodeI8Groups", dst, func(i int) float32 {
			if flip != 0 {
				return float32(int(codes[i]) - 128)
			}
			return float32(int8(codes[i]))
		})
		if slices.ContainsFunc(dstRoom[:len(dstRoom)-n-behind], func(x float32) bool { return x != 42 }) ||
			slices.ContainsFunc(dstRoom[len(dstRoom)-behind:], func(x float32) bool { return x != 42 }) {
			t.Fatalf("%d in groups of %d: wrote around", n, group)
		}
	})
}

// What is not finite is passed by, and what was there before stays if it is larger.
func TestRaiseToLargest(t *testing.T) {
	const most = 4096
	r := rand.New(rand.NewPCG(83, 84))
	room, largestRoom := guardedFloats(most), guardedFloats(most)
	copy(room, mixture[float32](most, 85))
	grouped(t, most, func(t *testing.T, n, group int) {
		x := room[most-n:]
		largest := numbersOfGroups(r, largestRoom, n, group, func() float32 { return float32(max(0, r.NormFloat64())) })
		want := slices.Clone(largest)
		for i, v := range x {
			if !math.IsInf(float64(v), 0) && v == v {
				want[i/group] = float32(max(float64(want[i/group]), math.Abs(float64(v))))
			}
		}
		RaiseToLargest(largest, x, group)
		for k := range want {
			if !sameBits(largest[k], want[k]) {
				t.Fatalf("%d in groups of %d: largest of group %d is %g, want %g", n, group, k, largest[k], want[k])
			}
		}
	})
}

// nearestOf searches values, in ascending order, for the one that is nearest to x, of two that are as near the one at an even place.
func nearestOf(values []float64, x float64) int {
	best := 0
	for i, v := range values {
		d, least := math.Abs(v-x), math.Abs(values[best]-x)
		if d < least || d == least && i%2 == 0 {
			best = i
		}
	}
	return best
}

// wholeNumbers are those from one to another.
func wholeNumbers(least, most int) (all []float64) {
	for x := least; x <= most; x++ {
		all = append(all, float64(x))
	}
	return all
}

// groupEncoder is an encoder, and what it should write.
type groupEncoder struct {
	name   string
	bits   int
	zeros  bool
	encode func(dst []byte, src, zeros, scales []float32, group int) bool
	code   func(q float32) uint8
	values []float64
}

func groupEncoders() []groupEncoder {
	e2m1, fours, eights := []float64{0, 0.5, 1, 1.5, 2, 3, 4, 6}, wholeNumbers(-8, 7), wholeNumbers(-128, 127)
	within := func(q float32, values []float64) float64 { // infinities are as far from all
		return min(max(float64(q), values[0]), values[len(values)-1])
	}
	e4m3 := formats[2]
	magnitudes := e4m3.magnitudes()
	return []groupEncoder{
		{"EncodeF8E4M3Groups", 8, false, func(dst []byte, src, _, scales []float32, group int) bool {
			EncodeF8E4M3Groups(dst, src, scales, group)
			return true
		}, func(q float32) uint8 { return uint8(e4m3.nearest(magnitudes, float64(q))) }, magnitudes},
		{"EncodeE2M1Groups", 4, false, func(dst []byte, src, _, scales []float32, group int) bool {
			return EncodeE2M1Groups(dst, src, scales, group)
		}, func(q float32) uint8 {
			code := uint8(nearestOf(e2m1, within(abs(q), e2m1)))
			if math.Signbit(float64(q)) {
				code |= 8
			}
			return code
		}, e2m1},
		{"EncodeI4Groups", 4, true, EncodeI4Groups, func(q float32) uint8 { return uint8(nearestOf(fours, within(q, fours))) }, fours},
		{"EncodeI8Groups", 8, true, func(dst []byte, src, zeros, scales []float32, group int) bool {
			return EncodeI8Groups(dst, src, 0, zeros, scales, group)
		}, func(q float32) uint8 { return uint8(nearestOf(eights, within(q, eights)) - 128) }, eights},
		{"EncodeI8Groups flipped", 8, true, func(dst []byte, src, zeros, scales []float32, group int) bool {
			return EncodeI8Groups(dst, src, 0x80, zeros, scales, group)
		}, func(q float32) uint8 { return uint8(nearestOf(eights, within(q, eights))) }, eights},
	}
}

// Values at, between and beside those of codes, and any others, by scales of all kinds.
func TestEncodeGroups(t *testing.T) {
	const most = 2048
	r := rand.New(rand.NewPCG(86, 87))
	srcRoom, scaleRoom, zeroRoom, dstRoom := guardedFloats(most), guardedFloats(most), guardedFloats(most), guarded(most+8)
	for _, e := range groupEncoders() {
		t.Run(e.name, func(t *testing.T) {
			value := func(scale float32) float32 {
				if r.IntN(16) == 0 {
					return math.Float32frombits(r.Uint32())
				}
				i := r.IntN(len(e.values) - 1)
				x := e.values[i] + float64(r.IntN(3))/2*(e.values[i+1]-e.values[i])
				v := float32(x) * scale
				switch r.IntN(6) {
				case 0:
					v = math.Nextafter32(v, 1000)
				case 1:
					v = math.Nextafter32(v, -1000)
				case 2:
					v = -v
				}
				return v
			}
			grouped(t, most, func(t *testing.T, n, group int) {
				src := srcRoom[most-n:]
				special := r.IntN(2) == 0 // else no quotient is NaN
				scales := numbersOfGroups(r, scaleRoom, n, group, func() float32 {
					if special {
						return anyScale(r)()
					}
					return float32(math.Exp2(math.Round(r.NormFloat64())))
				})
				var zeros []float32
				if e.zeros && r.IntN(2) == 0 {
					zeros = numbersOfGroups(r, zeroRoom, n, group, func() float32 { return float32(r.IntN(15) - 7) })
				}
				wantOK := true
				want := make([]byte, (n*e.bits+7)/8)
				quotients := make([]float32, n)
				for i := range src {
					for src[i] = value(scales[i/group]); !special && src[i] != src[i]; src[i] = value(scales[i/group]) {
					}
					q := src[i] / scales[i/group]
					if zeros != nil {
						q += zeros[i/group]
					}
					quotients[i] = q
					wantOK = wantOK && q == q
					if q == q || e.bits == 8 && !e.zeros {
						want[i*e.bits/8] |= e.code(q) << (i * e.bits % 8)
					}
				}
				if e.name == "EncodeF8E4M3Groups" {
					wantOK = true
				}
				behind := r.IntN(8)
				dst := dstRoom[len(dstRoom)-len(want)-behind:][:len(want)]
				for i := range dstRoom {
					dstRoom[i] = 0xa5
				}
				ok := e.encode(dst, src, zeros, scales, group)
				if ok != wantOK {
					t.Fatalf("%d in groups of %d: %v, want %v", n, group, ok, wantOK)
				}
				for i, q := range quotients {
					got, code := dst[i*e.bits/8]>>(i*e.bits%8), want[i*e.bits/8]>>(i*e.bits%8)
					if mask := byte(1<<e.bits - 1); (q == q || wantOK) && got&mask != code&mask {
						t.Fatalf("%d in groups of %d: %x by %x, quotient %g, has code %#x, want %#x (element %d)", n, group, src[i], scales[i/group], q, got&mask, code&mask, i)
					}
				}
				if n%2 == 1 && e.bits == 4 && dst[n/2]>>4 != 0 {
					t.Fatalf("%d in groups of %d: the last byte is %#x", n, group, dst[n/2])
				}
				around := append(slices.Clone(dstRoom[:len(dstRoom)-len(want)-behind]), dstRoom[len(dstRoom)-behind:]...)
				if slices.ContainsFunc(around, func(b byte) bool { return b != 0xa5 }) {
					t.Fatalf("%d in groups of %d: wrote around", n, group)
				}
			})
		})
	}
}
