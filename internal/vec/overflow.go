package vec

import "math"

// Halfway between the largest finite value of a format and the power of two
// that would follow it. Ties go to even, which is the power of two, so this is
// the first magnitude to overflow; in E4M3, where 480 is taken by the NaN and
// has the odd code, it is the last one that does not.
const (
	overflowF32  = 0x1.ffffffp127
	overflowBF16 = 0x1.ffp127
	overflowF16  = 65520
	overflowE5M2 = 61440
	lastE4M3     = 464
)

// OverflowF64 is +Inf: no finite value overflows float64.
func OverflowF64[T Float]() T { return T(math.Inf(1)) }

// OverflowF32 is the smallest magnitude in T that does not round to a finite
// float32; +Inf if T is float32.
func OverflowF32[T Float]() T {
	if single[T]() {
		return T(math.Inf(1))
	}
	limit := overflowF32
	return T(limit)
}

// OverflowBF16 is the smallest magnitude in T that does not round to a finite
// bfloat16.
func OverflowBF16[T Float]() T { return overflowBF16 }

// OverflowF16 is the smallest magnitude in T that does not round to a finite
// binary16.
func OverflowF16[T Float]() T { return overflowF16 }

// OverflowF8E5M2 is the smallest magnitude in T that does not round to a finite
// value of E5M2.
func OverflowF8E5M2[T Float]() T { return overflowE5M2 }

// OverflowF8E4M3 is the smallest magnitude in T that does not round to a finite
// value of E4M3: the next one after 464, which itself ties to 448.
func OverflowF8E4M3[T Float]() T {
	if single[T]() {
		return lastE4M3 + 0x1p-15
	}
	return lastE4M3 + 0x1p-44
}

// FirstNonFinite returns the index of the first element that is NaN or whose
// magnitude is at least limit, and -1 if there is none. With a limit from
// [OverflowF16] and its siblings, it finds the elements that the encoder of
// that format would write as infinity or NaN.
func FirstNonFinite[T Float](x []T, limit T) int {
	n := finiteSIMD(x, limit)
	for i, v := range x[n:] {
		if !(v < limit && v > -limit) {
			return n + i
		}
	}
	return -1
}
