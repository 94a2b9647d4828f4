package vec

import "math"

// Weigh computes dst = |x|·w in float64 and rounds it to float32. What is not finite comes out as
// the largest finite number: as a score it is kept, and judged where it is written. The caller sees
// to it that w is at least 0.
func Weigh[T Float](dst []float32, x []T, w float64) {
	x = x[:len(dst)]
	for i := weighSIMD(dst, x, w); i < len(dst); i++ {
		v := float32(math.Abs(float64(x[i])) * w)
		if v-v != 0 {
			v = math.MaxFloat32
		}
		dst[i] = v
	}
}
