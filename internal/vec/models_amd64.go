//go:build !noasm

package vec

import (
	"math"
	"unsafe"
)

// float32Models is where the slices of models begin, and how many blocks all of them have; 0 if they
// are of float64.
func float32Models[T Float](n int, d [][]T) (*[]float32, int) {
	for _, x := range d {
		_ = x[:n]
	}
	if !single[T]() || len(d) == 0 {
		return nil, 0
	}
	return (*[]float32)(unsafe.Pointer(unsafe.SliceData(d))), blocks(n)
}

func varianceSIMD[T Float](dst []float32, d [][]T, models, share float64) int {
	first, n := float32Models(len(dst), d)
	switch {
	case n == 0:
	case level == AVX512:
		varianceAVX512(&dst[0], first, len(d), n, models, share)
	default:
		varianceAVX2(&dst[0], first, len(d), n, models, share)
	}
	return n
}

func addElectedSIMD[T Float](dst []T, d [][]T, w []T) int {
	first, n := float32Models(len(dst), d)
	switch {
	case n == 0:
	case level == AVX512:
		addElectedAVX512(float32s(dst), first, len(d), n, float32s(w))
	default:
		addElectedAVX2(float32s(dst), first, len(d), n, float32s(w))
	}
	return n
}

func applyElectedSIMD[T Float](dst []T, lambda T, d [][]T, w []T, mean bool) int {
	first, n := float32Models(len(dst), d)
	sum := uint32(math.MaxUint32)
	if mean {
		sum = 0
	}
	switch {
	case n == 0:
	case level == AVX512:
		applyElectedAVX512(float32s(dst), first, len(d), n, float32s(w), float32(lambda), sum)
	default:
		applyElectedAVX2(float32s(dst), first, len(d), n, float32s(w), float32(lambda), sum)
	}
	return n
}

func addActiveSIMD[T Float](dst []T, d [][]T, w []T, epsilon T) int {
	first, n := float32Models(len(dst), d)
	if n > 0 {
		addActiveAVX2(float32s(dst), first, len(d), n, float32s(w), float32(epsilon))
	}
	return n
}

func countActiveSIMD[T Float](shared, unique []int64, n int, d [][]T, epsilon T) int {
	first, n := float32Models(n, d)
	if n > 0 {
		countActiveAVX2(&shared[0], &unique[0], first, len(d), n, float32(epsilon))
	}
	return n
}

// All take models slices of n elements, n a positive multiple of block.

//go:noescape
func varianceAVX2(dst *float32, d *[]float32, models, n int, number, share float64)

//go:noescape
func varianceAVX512(dst *float32, d *[]float32, models, n int, number, share float64)

//go:noescape
func addElectedAVX2(dst *float32, d *[]float32, models, n int, w *float32)

//go:noescape
func addElectedAVX512(dst *float32, d *[]float32, models, n int, w *float32)

// applyElected takes no mean if all bits of sum are ones, else 0.

//go:noescape
func applyElectedAVX2(dst *float32, d *[]float32, models, n int, w *float32, lambda float32, sum uint32)

//go:noescape
func applyElectedAVX512(dst *float32, d *[]float32, models, n int, w *float32, lambda float32, sum uint32)

//go:noescape
func addActiveAVX2(dst *float32, d *[]float32, models, n int, w *float32, epsilon float32)

//go:noescape
func countActiveAVX2(shared, unique *int64, d *[]float32, models, n int, epsilon float32)
