package vec

import (
	"slices"
	"testing"
	"time"
)

// batches alternates calls at AVX2 and at AVX512, and returns the times of each in order. What other work on the machine
// takes from one batch it does not take from all.
func batches(b *testing.B, call func()) (times [2][]time.Duration) {
	for b.Loop() {
		for i, l := range []SIMD{AVX2, AVX512} {
			at(l, func() {
				begin := time.Now()
				call()
				times[i] = append(times[i], time.Since(begin))
			})
		}
	}
	slices.Sort(times[0])
	slices.Sort(times[1])
	return times
}

// reportLevels reports the speed of a call at each level and how many times as fast AVX512 is.
func reportLevels(b *testing.B, bytes int, avx2, avx512 time.Duration) {
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(bytes)/float64(avx2), "AVX2-GB/s")
	b.ReportMetric(float64(bytes)/float64(avx512), "AVX512-GB/s")
	b.ReportMetric(float64(avx2)/float64(avx512), "ratio")
}

// BenchmarkLevels compares every kernel at AVX512 with itself at AVX2, on a tile of 8192 elements, which with its
// operands sits in L2.
func BenchmarkLevels(b *testing.B) {
	if Level() < AVX512 {
		b.Skip("no AVX-512")
	}
	const calls = 10 // of one batch
	for _, k := range kernels(8192) {
		b.Run(k.name, func(b *testing.B) {
			times := batches(b, func() {
				for range calls {
					k.call()
				}
			})
			reportLevels(b, calls*k.bytes, times[0][0], times[1][0])
		})
	}
}

// BenchmarkLevelsMemory does so with bfloat16 operands of 256 MiB, which come from memory, beside a copy of the first of them tile by tile: median times,
// because the least are those of what a cache has by chance. The speed is that of the bfloat16 bytes read.
func BenchmarkLevelsMemory(b *testing.B) {
	if Level() < AVX512 {
		b.Skip("no AVX-512")
	}
	const tile, size, calls = 8192, 1 << 28, 64
	x, a := make([]byte, size), make([]byte, size)
	for i := range x { // from 2^-14 to 2^-2
		x[i], a[i] = byte(i>>3)&3|0x3c, byte(i>>5)&3|0x3c
	}
	o := bf16Operands{dst: make([]float32, tile), base: make([]float32, tile), w: 0.3}
	copied := make([]byte, 2*tile)
	list := append([]bf16Kernel{{name: "copy", kernel: func(o bf16Operands) { copy(copied, o.x) }}}, bf16Kernels...)
	for _, k := range list {
		operands := 1
		if k.name == "DistanceBF16" || k.name == "MulAbsBF16" {
			operands = 2
		}
		b.Run(k.name, func(b *testing.B) {
			offset := 0
			times := batches(b, func() {
				for range calls {
					o.x, o.a = x[offset:][:2*tile], a[offset:][:2*tile]
					k.kernel(o)
					offset = (offset + 2*tile) % size
				}
			})
			reportLevels(b, operands*calls*2*tile, times[0][len(times[0])/2], times[1][len(times[1])/2])
		})
	}
}
