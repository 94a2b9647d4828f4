package vec

import "math"

// EncodeF8E4M3Groups rounds src / scale, itself rounded, to E4M3 as [EncodeF8E4M3] does, len(dst) elements in groups.
func EncodeF8E4M3Groups(dst []byte, src, scales []float32, group int) {
	src = src[:len(dst)]
	for n := encodeF8E4M3GroupsSIMD(dst, src, scales, group); n < len(dst); n++ {
		dst[n] = e4m3From32(src[n] / scales[n/group])
	}
}

// EncodeE2M1Groups stores len(src) elements as src / scale, rounded and rounded once more to the nearest value of E2M1 (OCP Microscaling Formats 1.0), of two that are as
// near the one with the even code; what is beyond the largest becomes the largest. Elements lie in groups, their codes by two in a byte as
// [DecodeNibbleGroups] takes them; an upper half without an element is 0. ok is false where a quotient is NaN, for which there is no code.
func EncodeE2M1Groups(dst []byte, src, scales []float32, group int) (ok bool) {
	n, ok := encodeE2M1GroupsSIMD(dst[:(len(src)+1)/2], src, scales, group)
	for ; n < len(src); n++ {
		q := src[n] / scales[n/group]
		ok = ok && q == q
		putNibble(dst, n, e2m1From32(q))
	}
	return ok
}

// EncodeI4Groups stores len(src) elements as src / scale + zero, each step rounded, and rounded to the nearest whole number with ties to even from −8 to 7, with 8 added: codes as
// [EncodeE2M1Groups] lays them. ok is false where one is NaN.
func EncodeI4Groups(dst []byte, src, zeros, scales []float32, group int) (ok bool) {
	n, ok := encodeI4GroupsSIMD(dst[:(len(src)+1)/2], src, zeros, scales, group)
	for ; n < len(src); n++ {
		q := quotient(src[n], zeros, scales, n/group)
		ok = ok && q == q
		putNibble(dst, n, uint8(wholeWithin(q, -8, 7)+8))
	}
	return ok
}

// EncodeI8Groups stores len(dst) elements as src / scale + zero, as [EncodeI4Groups] does, from −128 to 127, in bytes as [DecodeI8Groups] takes them.
func EncodeI8Groups(dst []byte, src []float32, flip byte, zeros, scales []float32, group int) (ok bool) {
	src = src[:len(dst)]
	n, ok := encodeI8GroupsSIMD(dst, src, flip, zeros, scales, group)
	for ; n < len(src); n++ {
		q := quotient(src[n], zeros, scales, n/group)
		ok = ok && q == q
		dst[n] = uint8(wholeWithin(q, -128, 127)) ^ flip
	}
	return ok
}

func quotient(x float32, zeros, scales []float32, k int) float32 {
	q := x / scales[k]
	if zeros != nil {
		q += zeros[k]
	}
	return q
}

// wholeWithin rounds to the nearest whole number, ties to even, between two of them; of a NaN it is any.
func wholeWithin(x float32, least, most float32) int {
	return int(math.RoundToEven(float64(min(max(x, least), most))))
}

// e2m1From32 is the code of E2M1 that is nearest; of a NaN it is any.
func e2m1From32(x float32) uint8 {
	const largest = 6
	b := math.Float32bits(x)
	return uint8(b>>31<<3 | round32(min(b&^sign32, math.Float32bits(largest)), 1, 1))
}

// putNibble stores a code that follows those before it.
func putNibble(dst []byte, i int, code uint8) {
	if i%2 == 0 {
		dst[i/2] = code
	} else {
		dst[i/2] |= code << 4
	}
}
