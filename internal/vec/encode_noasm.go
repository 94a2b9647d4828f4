//go:build !amd64 || noasm

package vec

func encodeBF16SIMD[T Float]([]byte, []T) int { return 0 }

func encodeBF16FiniteSIMD([]byte, []float32) (n int, finite bool) { return 0, true }

func encodeF16SIMD[T Float]([]byte, []T) int { return 0 }

func encodeF8E4M3SIMD[T Float]([]byte, []T) int { return 0 }

func encodeF8E5M2SIMD[T Float]([]byte, []T) int { return 0 }

func encodeF32SIMD[T Float]([]byte, []T) int { return 0 }

func encodeF64SIMD[T Float]([]byte, []T) int { return 0 }
