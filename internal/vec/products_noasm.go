//go:build !amd64 || noasm

package vec

func mulAbsBF16SIMD([]float32, []byte, []byte) (n int, finite bool) { return 0, true }

func mulAbsByBF16SIMD(_, _ []float32, _ []byte) (n int, finite bool) { return 0, true }

func mulAbsDeltaBF16SIMD([]float32, []byte, []byte, []byte) (n int, finite bool) { return 0, true }

func deltaMulAbsBF16SIMD(_, _ []float32, _ []byte, _ []float32, _ []byte) (n int, finite bool) {
	return 0, true
}
