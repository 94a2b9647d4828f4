//go:build !amd64 || noasm

package vec

func mulAbsDeltaBF16SIMD([]float32, []byte, []byte, []byte) int { return 0 }
