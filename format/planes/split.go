package planes

import "weld/internal/vec"

// split fills the planes with elements, the most significant first.
func (s shape) split(planes [][]byte, src []byte) {
	switch {
	case s.width == 1:
		copy(planes[0], src)
	case s.width == 2 && s.exponent:
		vec.SplitBF16(planes[0], planes[1], src)
	case s.width == 4 && s.exponent:
		vec.SplitF32(planes[0], planes[1], planes[2], planes[3], src)
	case s.width == 2:
		vec.Split2(planes[0], planes[1], src)
	default:
		for p, plane := range planes {
			from := src[s.width-1-p:]
			for i := range plane {
				plane[i] = from[i*s.width]
			}
		}
	}
}

// join is the inverse of split.
func (s shape) join(dst []byte, planes [][]byte) {
	switch {
	case s.width == 1:
		copy(dst, planes[0])
	case s.width == 2 && s.exponent:
		vec.JoinBF16(dst, planes[0], planes[1])
	case s.width == 4 && s.exponent:
		vec.JoinF32(dst, planes[0], planes[1], planes[2], planes[3])
	case s.width == 2:
		vec.Join2(dst, planes[0], planes[1])
	default:
		for p, plane := range planes {
			to := dst[s.width-1-p:]
			for i, b := range plane {
				to[i*s.width] = b
			}
		}
	}
}

// buffer cuts memory into planes of n bytes each; it grows the memory if it must.
func (s shape) buffer(memory *[]byte, n int) [][]byte {
	m := grown(memory, s.width*n)
	planes := make([][]byte, s.width)
	for p := range planes {
		planes[p] = m[p*n : (p+1)*n : (p+1)*n]
	}
	return planes
}

// grown is memory of n bytes, with whatever it held.
func grown(memory *[]byte, n int) []byte {
	if cap(*memory) < n {
		*memory = make([]byte, n)
	}
	return (*memory)[:n]
}
