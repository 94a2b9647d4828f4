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
	var all, now [3][]byte
	for k := range all {
		all[k] = make([]byte, size)
		for i := range all[k] { // from 2^-14 to 2^-2
			all[k][i] = byte(i>>(3+k))&3 | 0x3c
		}
	}
	dst, base, copied, w := make([]float32, tile), make([]float32, tile), make([]byte, 2*tile), []float32{0.3, 0.7}
	for _, k := range []struct {
		name     string
		operands int
		call     func()
	}{
		{"copy", 1, func() { copy(copied, now[0]) }},
		{"DecodeBF16", 1, func() { DecodeBF16(dst, now[0]) }},
		{"AbsBF16", 1, func() { AbsBF16(dst, now[0]) }},
		{"ScaleBF16", 1, func() { ScaleBF16(dst, now[0], 0.3) }},
		{"AxpyBF16", 1, func() { AxpyBF16(dst, 0.3, now[0]) }},
		{"DeltaBF16", 1, func() { DeltaBF16(dst, now[0], base) }},
		{"AxpyDeltaBF16", 1, func() { AxpyDeltaBF16(dst, 0.3, now[0], base) }},
		{"DistanceBF16", 2, func() { DistanceBF16(dst, now[0], now[1]) }},
		{"MulAbsBF16", 2, func() { MulAbsBF16(dst, now[0], now[1]) }},
		{"GramBF16", 2, func() { GramBF16(now[0], now[1]) }},
		{"MulAbsDeltaBF16", 3, func() { MulAbsDeltaBF16(dst, now[0], now[1], now[2]) }},
		{"MulAbsDeltaBF16/steps", 3, func() {
			DecodeBF16(base, now[1])
			DeltaBF16(base, now[0], base)
			AbsBF16(dst, now[2])
			MulAbs(dst, base, dst)
		}},
		{"SumBF16", 2, func() { SumBF16(dst, now[:2], w) }},
		{"SumBF16/steps", 2, func() {
			ScaleBF16(dst, now[0], 0.3)
			AxpyBF16(dst, 0.7, now[1])
		}},
		{"AddDeltasBF16", 3, func() { AddDeltasBF16(dst, now[2], 0.9, now[:2], w) }},
		{"AddDeltasBF16/steps", 3, func() {
			DecodeBF16(base, now[2])
			Fill(dst, 0)
			AxpyDeltaBF16(dst, 0.3, now[0], base)
			AxpyDeltaBF16(dst, 0.7, now[1], base)
			Apply(dst, base, 0.9, dst)
		}},
	} {
		b.Run(k.name, func(b *testing.B) {
			offset := 0
			times := batches(b, func() {
				for range calls {
					for i := range now {
						now[i] = all[i][offset:][:2*tile]
					}
					k.call()
					offset = (offset + 2*tile) % size
				}
			})
			reportLevels(b, k.operands*calls*2*tile, times[0][len(times[0])/2], times[1][len(times[1])/2])
		})
	}
}
