//go:build !noasm

package vec

// Groups of which assembly takes elements have a multiple of so many: of two codes in a byte they are eight bytes.
const groupStep = 16

// groupBlocks is how many of n elements in groups assembly takes, where groups have a multiple of step.
func groupBlocks(n, group, step int) int {
	if level == Portable || group%step != 0 {
		return 0
	}
	return n - n%step
}

// noZero is the zero point of groups that have none.
var noZero float32

// zerosAt is where zero points are, and the bytes from one to the next. There are as many as groups.
func zerosAt(zeros []float32, groups int) (first *float32, step int) {
	if zeros == nil {
		return &noZero, 0
	}
	return &zeros[:groups][0], 4
}

// groupsOf is how many groups n elements lie in.
func groupsOf(n, group int) int { return (n + group - 1) / group }

func decodeNibbleGroupsSIMD(dst []float32, src []byte, values *[16]float32, zeros, scales []float32, group int) int {
	n := groupBlocks(len(dst), group, groupStep)
	if n == 0 {
		return 0
	}
	zero, step := zerosAt(zeros, groupsOf(n, group))
	scale := &scales[:groupsOf(n, group)][0]
	if level == AVX512 {
		decodeNibbleGroupsAVX512(&dst[0], &src[0], values, zero, scale, n, group, step)
	} else {
		decodeNibbleGroupsAVX2(&dst[0], &src[0], values, zero, scale, n, group, step)
	}
	return n
}

func decodeI8GroupsSIMD(dst []float32, src []byte, flip byte, zeros, scales []float32, group int) int {
	n := groupBlocks(len(dst), group, groupStep)
	if n == 0 {
		return 0
	}
	zero, step := zerosAt(zeros, groupsOf(n, group))
	scale := &scales[:groupsOf(n, group)][0]
	if level == AVX512 {
		decodeI8GroupsAVX512(&dst[0], &src[0], zero, scale, n, group, step, flip)
	} else {
		decodeI8GroupsAVX2(&dst[0], &src[0], zero, scale, n, group, step, flip)
	}
	return n
}

func raiseToLargestSIMD(largest, x []float32, group int) int {
	n := groupBlocks(len(x), group, groupStep)
	if n == 0 {
		return 0
	}
	first := &largest[:groupsOf(n, group)][0]
	if level == AVX512 {
		raiseToLargestAVX512(first, &x[0], n, group)
	} else {
		raiseToLargestAVX2(first, &x[0], n, group)
	}
	return n
}

func encodeF8E4M3GroupsSIMD(dst []byte, src, scales []float32, group int) int {
	n := groupBlocks(len(dst), group, block)
	if n == 0 {
		return 0
	}
	scale := &scales[:groupsOf(n, group)][0]
	if level == AVX512 {
		encodeF8E4M3GroupsAVX512(&dst[0], &src[0], scale, n, group)
	} else {
		encodeF8E4M3GroupsAVX2(&dst[0], &src[0], scale, n, group)
	}
	return n
}

func encodeE2M1GroupsSIMD(dst []byte, src, scales []float32, group int) (n int, ok bool) {
	n = groupBlocks(len(src), group, groupStep)
	if n == 0 {
		return 0, true
	}
	scale := &scales[:groupsOf(n, group)][0]
	if level == AVX512 {
		return n, encodeE2M1GroupsAVX512(&dst[0], &src[0], scale, n, group)
	}
	return n, encodeE2M1GroupsAVX2(&dst[0], &src[0], scale, n, group)
}

func encodeI4GroupsSIMD(dst []byte, src, zeros, scales []float32, group int) (n int, ok bool) {
	n = groupBlocks(len(src), group, groupStep)
	if n == 0 {
		return 0, true
	}
	zero, step := zerosAt(zeros, groupsOf(n, group))
	scale := &scales[:groupsOf(n, group)][0]
	if level == AVX512 {
		return n, encodeI4GroupsAVX512(&dst[0], &src[0], zero, scale, n, group, step)
	}
	return n, encodeI4GroupsAVX2(&dst[0], &src[0], zero, scale, n, group, step)
}

func encodeI8GroupsSIMD(dst []byte, src []float32, flip byte, zeros, scales []float32, group int) (n int, ok bool) {
	n = groupBlocks(len(src), group, groupStep)
	if n == 0 {
		return 0, true
	}
	zero, step := zerosAt(zeros, groupsOf(n, group))
	scale := &scales[:groupsOf(n, group)][0]
	if level == AVX512 {
		return n, encodeI8GroupsAVX512(&dst[0], &src[0], zero, scale, n, group, step, flip)
	}
	return n, encodeI8GroupsAVX2(&dst[0], &src[0], zero, scale, n, group, step, flip)
}

// n is a positive multiple of what divides group: groupStep, of E4M3 block. Zero points are step bytes apart.

//go:noescape
func decodeNibbleGroupsAVX2(dst *float32, src *byte, values *[16]float32, zeros, scales *float32, n, group, step int)

//go:noescape
func decodeNibbleGroupsAVX512(dst *float32, src *byte, values *[16]float32, zeros, scales *float32, n, group, step int)

//go:noescape
func decodeI8GroupsAVX2(dst *float32, src *byte, zeros, scales *float32, n, group, step int, flip byte)

//go:noescape
func decodeI8GroupsAVX512(dst *float32, src *byte, zeros, scales *float32, n, group, step int, flip byte)

//go:noescape
func raiseToLargestAVX2(largest, x *float32, n, group int)

//go:noescape
func raiseToLargestAVX512(largest, x *float32, n, group int)

//go:noescape
func encodeF8E4M3GroupsAVX2(dst *byte, src, scales *float32, n, group int)

//go:noescape
func encodeF8E4M3GroupsAVX512(dst *byte, src, scales *float32, n, group int)

//go:noescape
func encodeE2M1GroupsAVX2(dst *byte, src, scales *float32, n, group int) (ok bool)

//go:noescape
func encodeE2M1GroupsAVX512(dst *byte, src, scales *float32, n, group int) (ok bool)

//go:noescape
func encodeI4GroupsAVX2(dst *byte, src, zeros, scales *float32, n, group, step int) (ok bool)

//go:noescape
func encodeI4GroupsAVX512(dst *byte, src, zeros, scales *float32, n, group, step int) (ok bool)

//go:noescape
func encodeI8GroupsAVX2(dst *byte, src, zeros, scales *float32, n, group, step int, flip byte) (ok bool)

//go:noescape
func encodeI8GroupsAVX512(dst *byte, src, zeros, scales *float32, n, group, step int, flip byte) (ok bool)
