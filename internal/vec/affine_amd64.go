//go:build !noasm

package vec

func decodeU8AffineSIMD(dst []float32, src []byte, scales, offsets []float32, group int) int {
	n := groupBlocks(len(dst), group, groupStep)
	if n == 0 {
		return 0
	}
	scale, offset := &scales[:groupsOf(n, group)][0], &offsets[:groupsOf(n, group)][0]
	if level == AVX512 {
		decodeU8AffineAVX512(&dst[0], &src[0], scale, offset, n, group)
	} else {
		decodeU8AffineAVX2(&dst[0], &src[0], scale, offset, n, group)
	}
	return n
}

// n is a positive multiple of groupStep, which divides group.

//go:noescape
func decodeU8AffineAVX2(dst *float32, src *byte, scales, offsets *float32, n, group int)

//go:noescape
func decodeU8AffineAVX512(dst *float32, src *byte, scales, offsets *float32, n, group int)
