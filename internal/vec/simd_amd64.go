//go:build !noasm

package vec

import "golang.org/x/sys/cpu"

// level is a variable for tests, which run every kernel at every level.
var level = lowered(detect())

func detect() SIMD {
	switch x := &cpu.X86; {
	case x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL && x.HasAVX2 && x.HasFMA:
		return AVX512
	case x.HasAVX2 && x.HasFMA: // F16C came before FMA and AVX2
		return AVX2
	}
	return Portable
}
