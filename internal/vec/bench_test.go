package vec

import (
	"math"
	"slices"
	"testing"
)

// kernel is a call of one kernel on a tile, and the bytes it reads and writes.
type kernel struct {
	name  string
	bytes int
	call  func()
}

// kernels lists a call of every kernel on tiles of n elements. The numbers are
// those of a weight tensor: normal, a fifth of the masked ones not 0.
func kernels(n int) []kernel {
	raw := make([]byte, 8*n)
	x, y, dst := make([]float32, n), make([]float32, n), make([]float32, n)
	score, masked := make([]float32, n), make([]float32, n)
	x64, y64, dst64 := make([]float64, n), make([]float64, n), make([]float64, n)
	seed := uint64(1)
	uniform := func() float64 { // multiplicative congruential, to have no state but this
		seed = seed*6364136223846793005 + 1442695040888963407
		return float64(seed>>11) * 0x1p-53
	}
	normal := func() float64 { return math.Sqrt(-2*math.Log(1-uniform())) * math.Cos(2*math.Pi*uniform()) }
	for i := range n {
		x64[i], y64[i] = 0.02*normal(), 0.02*normal()
		x[i], y[i] = float32(x64[i]), float32(y64[i])
		score[i] = float32(math.Abs(normal() * normal()))
		if uniform() < 0.2 {
			masked[i] = x[i]
		}
	}
	narrow, wide := raw[:2*n], raw[:4*n]
	bf16x, bf16y := make([]byte, 2*n), make([]byte, 2*n)
	EncodeBF16(bf16x, x)
	EncodeBF16(bf16y, y)
	codes16, codes8 := make([]byte, 2*n), make([]byte, n)
	EncodeF16(codes16, x)
	EncodeF8E5M2(codes8, x)
	counts := make([]uint32, 1<<16)
	constant := make([]float32, n)
	Fill(constant, 1)

	numbers, mask, open, kept := make([]int32, n&^31), make([]uint32, n/64*2), make([]uint32, words(n)), make([]uint32, words(n))
	marks := make([]uint64, (n+63)/64)
	bins, tables, limits := make([]uint16, n), make([]uint32, 2<<16), make([]Limits, 1<<16)
	Random(numbers, 1, 0)
	least, _ := BitRange(score)
	Bins(bins, score, least>>16, 16)
	for i := range limits {
		limits[i] = Limits{int32(i), int32(i) + 1<<20}
	}

	scales, largest, nibbles := make([]float32, (n+31)/32), make([]float32, (n+31)/32), [16]float32{1: 0.5, 2: 1}
	Fill(scales, 0.004)
	again := slices.Clone(x)
	p64, q64 := make([]float64, n), make([]float64, n)
	Exponentials(p64, x, 1)
	Exponentials(q64, y, 1)
	tallies := make([]int64, 4)
	bf16z, delta := make([]byte, 2*n), make([]float32, n)
	EncodeBF16(bf16z, score)
	bf16Models := [][]byte{bf16x, bf16y, bf16z}
	models, weights := [][]float32{x, y}, []float32{0.3, 0.7}
	var result struct { // stored to, so that no kernel is optimised away
		sum   float64
		most  float32
		count int
		equal bool
	}
	return []kernel{
		{"copy", 8 * n, func() { copy(dst, x) }},
		{"DecodeBF16", 6 * n, func() { DecodeBF16(dst, codes16) }},
		{"DecodeF16", 6 * n, func() { DecodeF16(dst, codes16) }},
		{"DecodeF32", 8 * n, func() { DecodeF32(dst, wide) }},
		{"DecodeF64", 16 * n, func() { DecodeF64(dst64, raw) }},
		{"DecodeF8E4M3", 5 * n, func() { DecodeF8E4M3(dst, codes8) }},
		{"DecodeF8E5M2", 5 * n, func() { DecodeF8E5M2(dst, codes8) }},
		{"Widen", 12 * n, func() { Widen(dst64, x) }},
		{"Narrow", 12 * n, func() { Narrow(dst, x64) }},
		{"EncodeBF16", 6 * n, func() { EncodeBF16(narrow, x) }},
		{"EncodeBF16Finite", 6 * n, func() { result.equal = EncodeBF16Finite(narrow, x) }},
		{"EncodeF16", 6 * n, func() { EncodeF16(narrow, x) }},
		{"EncodeF32", 8 * n, func() { EncodeF32(wide, x) }},
		{"EncodeF64", 12 * n, func() { EncodeF64(raw, x) }},
		{"EncodeF8E4M3", 5 * n, func() { EncodeF8E4M3(raw[:n], x) }},
		{"EncodeF8E5M2", 5 * n, func() { EncodeF8E5M2(raw[:n], x) }},
		{"DecodeNibbleGroups", 9 * n / 2, func() { DecodeNibbleGroups(dst, codes8, &nibbles, nil, scales, 32) }},
		{"DecodeI8Groups", 5 * n, func() { DecodeI8Groups(dst, codes8, 0, nil, scales, 32) }},
		{"DecodeU8Affine", 5 * n, func() { DecodeU8Affine(dst, codes8, scales, scales, 32) }},
		{"RaiseToLargest", 4 * n, func() { RaiseToLargest(largest, x, 32) }},
		{"EncodeF8E4M3Groups", 5 * n, func() { EncodeF8E4M3Groups(raw[:n], x, scales, 32) }},
		{"EncodeE2M1Groups", 9 * n / 2, func() { result.equal = EncodeE2M1Groups(raw, x, scales, 32) }},
		{"EncodeI4Groups", 9 * n / 2, func() { result.equal = EncodeI4Groups(raw, x, nil, scales, 32) }},
		{"EncodeI8Groups", 5 * n, func() { result.equal = EncodeI8Groups(raw[:n], x, 0, nil, scales, 32) }},
		{"EncodeBF16/float64", 10 * n, func() { EncodeBF16(narrow, x64) }},
		{"EncodeF16/float64", 10 * n, func() { EncodeF16(narrow, x64) }},
		{"EncodeF32/float64", 12 * n, func() { EncodeF32(wide, x64) }},
		{"EncodeF64/float64", 16 * n, func() { EncodeF64(raw, x64) }},
		{"FirstNonFinite", 4 * n, func() { result.count = FirstNonFinite(x, OverflowF16[float32]()) }},
		{"Delta", 12 * n, func() { Delta(dst, x, y) }},
		{"Delta/float64", 24 * n, func() { Delta(dst64, x64, y64) }},
		{"EqualBits", 8 * n, func() { result.equal = EqualBits(x, again) }},
		{"Abs", 8 * n, func() { Abs(dst, x) }},
		{"Sqrt", 8 * n, func() { Sqrt(dst, score) }},
		{"Square", 8 * n, func() { Square(dst, x) }},
		{"Mul", 12 * n, func() { Mul(dst, x, y) }},
		{"MulAbs", 12 * n, func() { MulAbs(dst, x, y) }},
		{"Scale", 8 * n, func() { Scale(dst, x, 0.3) }},
		{"Axpy", 12 * n, func() { Axpy(dst, 0.3, x) }},
		{"Axpy/float64", 24 * n, func() { Axpy(dst64, 0.3, x64) }},
		{"AbsBF16", 6 * n, func() { AbsBF16(dst, bf16x) }},
		{"ScaleBF16", 6 * n, func() { ScaleBF16(dst, bf16x, 0.3) }},
		{"AxpyBF16", 10 * n, func() { AxpyBF16(dst, 0.3, bf16x) }},
		{"DeltaBF16", 10 * n, func() { DeltaBF16(dst, bf16x, y) }},
		{"DistanceBF16", 8 * n, func() { DistanceBF16(dst, bf16x, bf16y) }},
		{"AxpyDeltaBF16", 14 * n, func() { AxpyDeltaBF16(dst, 0.3, bf16x, y) }},
		{"MulAbsBF16", 8 * n, func() { MulAbsBF16(dst, bf16x, bf16y) }},
		{"MulAbsByBF16", 10 * n, func() { MulAbsByBF16(dst, x, bf16y) }},
		{"MulAbsDeltaBF16", 10 * n, func() { MulAbsDeltaBF16(dst, bf16x, bf16y, bf16z) }},
		{"DeltaMulAbsBF16", 16 * n, func() { DeltaMulAbsBF16(delta, dst, bf16x, y, bf16z) }},
		{"SumBF16", 8 * n, func() { SumBF16(dst, bf16Models[:2], weights) }},
		{"AddDeltasBF16", 10 * n, func() { AddDeltasBF16(dst, bf16z, 0.9, bf16Models[:2], weights) }},
		{"MulAxpy", 16 * n, func() { MulAxpy(dst, 0.3, x, y) }},
		{"Add", 12 * n, func() { Add(dst, x) }},
		{"Div", 8 * n, func() { Div(dst, x, 0.3) }},
		{"DivBy", 12 * n, func() { DivBy(dst, x, masked) }},
		{"SubDiv", 8 * n, func() { SubDiv(dst, x, 0.1, 0.3) }},
		{"Apply", 12 * n, func() { Apply(dst, x, 0.3, y) }},
		{"Contrast", 12 * n, func() { Contrast(dst, score, y, 7, 0.1) }},
		{"Approach", 12 * n, func() { Approach(dst, x, 1e-3, 1e-6) }},
		{"CountNonZero", 12 * n, func() { CountNonZero(dst, masked) }},
		{"AddWhereNonZero", 16 * n, func() { AddWhereNonZero(dst, x, masked) }},
		{"Fill", 4 * n, func() { Fill(dst, 1) }},
		{"Sum", 4 * n, func() { result.sum = Sum(x) }},
		{"SumAbs", 4 * n, func() { result.sum = SumAbs(x) }},
		{"SumSquares", 4 * n, func() { result.sum = SumSquares(x) }},
		{"Dot", 8 * n, func() { result.sum = Dot(x, y) }},
		{"Gram", 8 * n, func() { result.sum, _, _ = Gram(x, y) }},
		{"GramBF16", 4 * n, func() { result.sum, _, _ = GramBF16(bf16x, bf16y) }},
		{"Max", 4 * n, func() { result.most = Max(x) }},
		{"Min", 4 * n, func() { result.most = Min(x) }},
		{"Select", 12 * n, func() { result.count = Select(dst, score, 1.2) }},
		{"Select/float64", 20 * n, func() { result.count = Select(dst64, score, 1.2) }},
		{"SelectAxpy", 16 * n, func() { result.count = SelectAxpy(dst, 0.3, x, score, 1.2) }},
		{"CountAtLeast", 4 * n, func() { result.count = CountAtLeast(score, 1.2) }},
		{"SelectSize", 8 * n, func() { SelectSize(dst, 0.1, 1.2) }},
		{"Below", 4 * n, func() {
			result.count = len(score)
			if n > 0 {
				result.count = Below(score, n/2)
			}
		}},
		{"SignSum", 12 * n, func() { SignSum(dst, x) }},
		{"KeepSign", 16 * n, func() { KeepSign(dst, x, y) }},
		{"Random", 4 * n, func() { Random(numbers, 1, 0) }},
		{"RandomMask", n / 8, func() { RandomMask(mask, 1, 0, 1000, 0) }},
		{"AtMost", 4 * n, func() { AtMost(mask, numbers, 1<<30) }},
		{"HasBits", 4 * n, func() { HasBits(kept, x, 0xffff) }},
		{"SelectBits", 8 * n, func() { SelectBits(dst, open) }},
		{"SumAbsBits", 4 * n, func() { result.sum, _ = SumAbsBits(x, open) }},
		{"BitRange", 4 * n, func() { BitRange(score) }},
		{"Bins", 6 * n, func() { Bins(bins, score, least>>16, 16) }},
		{"CountBins", 2 * n, func() { CountBins(tables[:1<<16], tables[1<<16:], bins) }},
		{"AddLimits", 16 * n, func() { AddLimits(limits[:n], tables[:n], tables[n:2*n], 0, 1, 16) }},
		{"Settle", 6 * n, func() {
			for i := range open {
				open[i] = 0x12345678
			}
			Settle(kept, open, numbers, bins[:len(numbers)], limits)
		}},
		{"SplitBF16", 4 * n, func() { SplitBF16(codes8, raw[:n], bf16x) }},
		{"JoinBF16", 4 * n, func() { JoinBF16(raw[:2*n], codes8, raw[2*n:3*n]) }},
		{"Split2", 4 * n, func() { Split2(codes8, raw[:n], bf16x) }},
		{"Join2", 4 * n, func() { Join2(raw[:2*n], codes8, raw[2*n:3*n]) }},
		{"Variance", 12 * n, func() { Variance(dst, models) }},
		{"AddElected", 16 * n, func() { AddElected(dst, models, weights) }},
		{"ApplyElected", 16 * n, func() { ApplyElected(dst, 0.9, models, weights, true) }},
		{"AddActive", 16 * n, func() { AddActive(dst, models, weights, 0.01) }},
		{"CountActive", 8 * n, func() { CountActive(tallies, tallies[2:], n, models, 0.01) }},
		{"Sum/float64", 8 * n, func() { result.sum = Sum(x64) }},
		{"Weigh", 8 * n, func() { Weigh(dst, x, 0.3) }},
		{"Exponentials", 12 * n, func() { Exponentials(dst64, x, 1) }},
		{"EntropyTerms", 24 * n, func() { EntropyTerms(dst64, p64, q64, 1, 1, 1e-8) }},
		{"HistogramHigh", 4 * n, func() { HistogramHigh(counts, score) }},
		{"HistogramHigh/constant", 4 * n, func() { HistogramHigh(counts, constant) }},
		{"HistogramKeys", 4 * n, func() { HistogramKeys(counts, score, 0, 16) }},
		{"Between", 4 * n, func() { result.count, _ = Between(dst, score, 0.5, 0.51) }},
		{"Inside", 4 * n, func() { result.count = Inside(marks, score, 0.5, 0.51) }},
	}
}

// BenchmarkKernels runs every kernel on a tile of 8192 elements, which with its
// operands sits in L2; the copy row is the memory speed to compare with.
func BenchmarkKernels(b *testing.B) {
	for _, k := range kernels(8192) {
		b.Run(k.name, func(b *testing.B) {
			b.SetBytes(int64(k.bytes))
			for b.Loop() {
				k.call()
			}
		})
	}
}

func TestKernelsDoNotAllocate(t *testing.T) {
	for _, k := range kernels(64) {
		if n := testing.AllocsPerRun(10, k.call); n != 0 {
			t.Errorf("%s allocates %g times", k.name, n)
		}
	}
}

func TestKernelsTakeNothing(t *testing.T) {
	for _, k := range kernels(0) {
		k.call()
	}
}
