//go:build !noasm

package vec

func decodeF8E4M3GroupsSIMD(dst []float32, src []byte, scales []float32, group int) int {
	n := groupBlocks(len(dst), group, block)
	if n == 0 {
		return 0
	}
	scale := &scales[:groupsOf(n, group)][0]
	if level == AVX512 {
		decodeF8E4M3GroupsAVX512(&dst[0], &src[0], scale, n, group)
	} else {
		decodeF8E4M3GroupsAVX2(&dst[0], &src[0], scale, n, group)
	}
	return n
}

// n is a multiple of block and not 0, and so is group.

//go:noescape
func decodeF8E4M3GroupsAVX2(dst *float32, src *byte, scales *float32, n, group int)

//go:noescape
func decodeF8E4M3GroupsAVX512(dst *float32, src *byte, scales *float32, n, group int)
