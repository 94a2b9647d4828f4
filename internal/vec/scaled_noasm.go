//go:build !amd64 || noasm

package vec

func decodeScaledF8E4M3SIMD([]float32, []byte, float32) int { return 0 }
