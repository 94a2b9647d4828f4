//go:build !amd64 || noasm

package vec

func splitBF16SIMD(_, _, _ []byte) int { return 0 }

func joinBF16SIMD(_, _, _ []byte) int { return 0 }

func splitF32SIMD(_, _, _, _, _ []byte) int { return 0 }

func joinF32SIMD(_, _, _, _, _ []byte) int { return 0 }

func split2SIMD(_, _, _ []byte) int { return 0 }

func join2SIMD(_, _, _ []byte) int { return 0 }

func pairCodesSIMD(_, _ []byte, _ *Codes) (int, int) { return 0, 0 }

func unpairCodesSIMD(_, _ []byte, _ *[16]byte) int { return 0 }
