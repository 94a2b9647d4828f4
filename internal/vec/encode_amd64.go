//go:build !noasm

package vec

func encodeBF16SIMD[T Float](dst []byte, src []T) int {
	n := blocks(len(src))
	switch src := any(src).(type) {
	case []float32:
		switch {
		case n == 0:
		case level == AVX512:
			encodeBF16AVX512(&dst[0], &src[0], n)
		default:
			encodeBF16AVX2(&dst[0], &src[0], n)
		}
	case []float64:
		viaFloat32(bf16, dst, src[:n])
	}
	return n
}

func encodeBF16FiniteSIMD(dst []byte, src []float32) (n int, finite bool) {
	n = blocks(len(src))
	switch {
	case n == 0:
		return 0, true
	case level == AVX512:
		return n, encodeBF16FiniteAVX512(&dst[0], &src[0], n)
	}
	return n, encodeBF16FiniteAVX2(&dst[0], &src[0], n)
}

func encodeF16SIMD[T Float](dst []byte, src []T) int {
	n := blocks(len(src))
	switch src := any(src).(type) {
	case []float32:
		switch {
		case n == 0:
		case level == AVX512:
			encodeF16AVX512(&dst[0], &src[0], n)
		default:
			encodeF16AVX2(&dst[0], &src[0], n)
		}
	case []float64:
		viaFloat32(f16, dst, src[:n])
	}
	return n
}

func encodeF8E4M3SIMD[T Float](dst []byte, src []T) int {
	n := blocks(len(src))
	switch src := any(src).(type) {
	case []float32:
		switch {
		case n == 0:
		case level == AVX512:
			encodeF8E4M3AVX512(&dst[0], &src[0], n)
		default:
			encodeF8E4M3AVX2(&dst[0], &src[0], n)
		}
	case []float64:
		viaFloat32(f8e4m3, dst, src[:n])
	}
	return n
}

func encodeF8E5M2SIMD[T Float](dst []byte, src []T) int {
	n := blocks(len(src))
	switch src := any(src).(type) {
	case []float32:
		switch {
		case n == 0:
		case level == AVX512:
			encodeF8E5M2AVX512(&dst[0], &src[0], n)
		default:
			encodeF8E5M2AVX2(&dst[0], &src[0], n)
		}
	case []float64:
		viaFloat32(f8e5m2, dst, src[:n])
	}
	return n
}

func encodeF32SIMD[T Float](dst []byte, src []T) int {
	n := blocks(len(src))
	if n == 0 {
		return 0
	}
	switch src := any(src).(type) {
	case []float32:
		encodeF32AVX2(&dst[0], &src[0], n)
	case []float64:
		if level == AVX512 {
			encodeF32From64AVX512(&dst[0], &src[0], n)
		} else {
			encodeF32From64AVX2(&dst[0], &src[0], n)
		}
	}
	return n
}

func encodeF64SIMD[T Float](dst []byte, src []T) int {
	n := blocks(len(src))
	if n == 0 {
		return 0
	}
	switch src := any(src).(type) {
	case []float32:
		encodeF64From32AVX2(&dst[0], &src[0], n)
	case []float64:
		encodeF64AVX2(&dst[0], &src[0], n)
	}
	return n
}

// narrowFormat is a format that float64 reaches by way of float32.
type narrowFormat uint8

const (
	bf16 narrowFormat = iota
	f16
	f8e4m3
	f8e5m2
)

// viaFloat32 encodes src, whole blocks, by way of float32 values that each
// format rounds as it would the elements of src.
func viaFloat32(format narrowFormat, dst []byte, src []float64) {
	var odd [8 * block]float32
	for len(src) > 0 {
		n := min(len(src), len(odd))
		if level == AVX512 {
			narrowOddAVX512(&odd[0], &src[0], n)
		} else {
			narrowOddAVX2(&odd[0], &src[0], n)
		}
		width := 1
		// Not a func value: odd would escape to it.
		switch format {
		case bf16:
			width = 2
			EncodeBF16(dst[:2*n], odd[:n])
		case f16:
			width = 2
			EncodeF16(dst[:2*n], odd[:n])
		case f8e4m3:
			EncodeF8E4M3(dst[:n], odd[:n])
		case f8e5m2:
			EncodeF8E5M2(dst[:n], odd[:n])
		}
		dst, src = dst[width*n:], src[n:]
	}
}

// n is a multiple of block and not 0. Those without AVX-512 were not faster with
// it.

//go:noescape
func encodeBF16AVX2(dst *byte, src *float32, n int)

//go:noescape
func encodeBF16AVX512(dst *byte, src *float32, n int)

//go:noescape
func encodeBF16FiniteAVX2(dst *byte, src *float32, n int) (finite bool)

//go:noescape
func encodeBF16FiniteAVX512(dst *byte, src *float32, n int) (finite bool)

//go:noescape
func encodeF16AVX2(dst *byte, src *float32, n int)

//go:noescape
func encodeF16AVX512(dst *byte, src *float32, n int)

//go:noescape
func encodeF8E4M3AVX2(dst *byte, src *float32, n int)

//go:noescape
func encodeF8E4M3AVX512(dst *byte, src *float32, n int)

//go:noescape
func encodeF8E5M2AVX2(dst *byte, src *float32, n int)

//go:noescape
func encodeF8E5M2AVX512(dst *byte, src *float32, n int)

//go:noescape
func encodeF32AVX2(dst *byte, src *float32, n int)

//go:noescape
func encodeF32From64AVX2(dst *byte, src *float64, n int)

//go:noescape
func encodeF32From64AVX512(dst *byte, src *float64, n int)

//go:noescape
func encodeF64AVX2(dst *byte, src *float64, n int)

//go:noescape
func encodeF64From32AVX2(dst *byte, src *float32, n int)

//go:noescape
func narrowOddAVX2(dst *float32, src *float64, n int)

//go:noescape
func narrowOddAVX512(dst *float32, src *float64, n int)
