package vec

import "math"

// Values stored as codes have a scale, and may have a zero point, for each group of so many in a row. Kernels of this file and of those beside it
// take a row of groups: element i belongs to group i/group, and the last group may be cut. Scales and zero points, one for each
// group, are float32; zeros is nil where there are none.

// DecodeNibbleGroups fills dst with (values[code] − zero) × scale, each step rounded. Codes have four bits: that of an element with an even number is
// the lower half of its byte. Every NaN comes out as the one that encoders write.
func DecodeNibbleGroups(dst []float32, src []byte, values *[16]float32, zeros, scales []float32, group int) {
	src = src[:(len(dst)+1)/2]
	for n := decodeNibbleGroupsSIMD(dst, src, values, zeros, scales, group); n < len(dst); {
		k := n / group
		end := min((k+1)*group, len(dst))
		table := *values
		for code := range table {
			table[code] = restored(table[code], zeros, scales, k)
		}
		for ; n < end; n++ {
			dst[n] = table[src[n/2]>>(n%2*4)&15]
		}
	}
}

// DecodeI8Groups fills dst with (code − zero) × scale, as [DecodeNibbleGroups] does, of signed bytes of which the bits of flip are flipped: codes that are
// stored with 128 added have 0x80, others 0.
func DecodeI8Groups(dst []float32, src []byte, flip byte, zeros, scales []float32, group int) {
	src = src[:len(dst)]
	for n := decodeI8GroupsSIMD(dst, src, flip, zeros, scales, group); n < len(dst); n++ {
		dst[n] = restored(float32(int8(src[n]^flip)), zeros, scales, n/group)
	}
}

// restored is the value of a code in a group.
func restored(code float32, zeros, scales []float32, k int) float32 {
	if zeros != nil {
		code -= zeros[k]
	}
	x := code * scales[k]
	if x != x {
		return math.Float32frombits(nan32)
	}
	return x
}

// RaiseToLargest raises largest, one for each group and at least 0, to the largest finite magnitude of the elements of the group.
func RaiseToLargest(largest, x []float32, group int) {
	for n := raiseToLargestSIMD(largest, x, group); n < len(x); n++ {
		if v := abs(x[n]); v <= math.MaxFloat32 && v > largest[n/group] {
			largest[n/group] = v
		}
	}
}
