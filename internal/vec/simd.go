package vec

import (
	"os"
	"strings"
)

// SIMD is how wide the machine's registers are that kernels use.
type SIMD uint8

// The levels that kernels are written for.
const (
	Portable SIMD = iota // plain Go: the reference
	AVX2                 // 256 bits, with F16C
	AVX512               // 512 bits: F, BW, DQ, VL
)

var simdNames = []string{Portable: "portable", AVX2: "avx2", AVX512: "avx512"}

func (s SIMD) String() string { return simdNames[s] }

// SIMDVariable is the environment variable that lowers the level, to one of the
// names of [SIMD]; any other value leaves it alone. It cannot raise it.
const SIMDVariable = "WELD_SIMD"

// Level is what kernels use: the best that this machine and this build have, or less
// if the environment says so. Results do not depend on it.
func Level() SIMD { return level }

// lowered is the level that the environment asks for, at most best.
func lowered(best SIMD) SIMD {
	for s, name := range simdNames {
		if strings.EqualFold(os.Getenv(SIMDVariable), name) {
			return min(best, SIMD(s))
		}
	}
	return best
}
