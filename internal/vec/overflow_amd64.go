//go:build !noasm

package vec

// finiteSIMD returns a number of leading elements that all lie between -limit and
// limit. The one that does not is near, or there is less than a block left.
func finiteSIMD[T Float](x []T, limit T) int {
	n := blocks(len(x))
	if n == 0 {
		return 0
	}
	switch x := any(x).(type) {
	case []float32:
		if level == AVX512 {
			return finite32AVX512(&x[0], n, float32(limit))
		}
		return finite32AVX2(&x[0], n, float32(limit))
	case []float64:
		if level == AVX512 {
			return finite64AVX512(&x[0], n, float64(limit))
		}
		return finite64AVX2(&x[0], n, float64(limit))
	}
	return 0
}

// n is a multiple of block and not 0.

//go:noescape
func finite32AVX2(x *float32, n int, limit float32) int

//go:noescape
func finite32AVX512(x *float32, n int, limit float32) int

//go:noescape
func finite64AVX2(x *float64, n int, limit float64) int

//go:noescape
func finite64AVX512(x *float64, n int, limit float64) int
