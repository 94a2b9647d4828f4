//go:build !amd64 || noasm

package vec

func decodeBF16SIMD([]float32, []byte) int { return 0 }

func decodeF16SIMD([]float32, []byte) int { return 0 }

func decodeF8E4M3SIMD([]float32, []byte) int { return 0 }

func decodeF8E5M2SIMD([]float32, []byte) int { return 0 }

func widenSIMD([]float64, []float32) int { return 0 }

func narrowSIMD([]float32, []float64) int { return 0 }
