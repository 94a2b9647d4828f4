//go:build !amd64 || noasm

package vec

func absBF16SIMD([]float32, []byte) int { return 0 }

func scaleBF16SIMD([]float32, []byte, float32) int { return 0 }

func axpyBF16SIMD([]float32, float32, []byte) int { return 0 }

func deltaBF16SIMD([]float32, []byte, []float32) int { return 0 }

func distanceBF16SIMD([]float32, []byte, []byte) int { return 0 }

func axpyDeltaBF16SIMD([]float32, float32, []byte, []float32) int { return 0 }
