package vec

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Against sums that are rounded from float64, which holds the products of bytes and float32 exactly.
func TestDecodeU8Affine(t *testing.T) {
	const most = 4096
	r := rand.New(rand.NewPCG(91, 92))
	scaleRoom, offsetRoom, srcRoom, dstRoom := guardedFloats(most), guardedFloats(most), guarded(most), guardedFloats(most+8)
	for i := range srcRoom {
		srcRoom[i] = byte(r.Uint32())
	}
	signed := func() float32 {
		x := anyScale(r)()
		if r.IntN(2) == 0 {
			x = -x
		}
		return x
	}
	grouped(t, most, func(t *testing.T, n, group int) {
		scales, offsets := numbersOfGroups(r, scaleRoom, n, group, signed), numbersOfGroups(r, offsetRoom, n, group, signed)
		behind := r.IntN(8)
		dst, src := dstRoom[len(dstRoom)-n-behind:][:n], srcRoom[most-n:]
		Fill(dstRoom, 42)
		DecodeU8Affine(dst, src, scales, offsets, group)
		for i, got := range dst {
			product := float32(float64(src[i]) * float64(scales[i/group]))
			want := float32(float64(product) + float64(offsets[i/group])) // 24 bits and 24, rounded to 53 and again to 24: as once
			if want != want {
				want = math.Float32frombits(nan32)
			}
			if !sameBits(got, want) {
				t.Fatalf("%d in groups of %d: element %d is %x, want %d x %g + %g = %x", n, group, i, got, src[i], scales[i/group], offsets[i/group], want)
			}
		}
		if slices.ContainsFunc(dstRoom[:len(dstRoom)-n-behind], func(x float32) bool { return x != 42 }) ||
			slices.ContainsFunc(dstRoom[len(dstRoom)-behind:], func(x float32) bool { return x != 42 }) {
			t.Fatalf("%d in groups of %d: wrote around", n, group)
		}
	})
}
