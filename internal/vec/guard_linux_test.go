package vec

import (
	"os"
	"runtime/debug"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// guarded returns n bytes that end where a page begins that must not be touched:
// the process dies if it is. If n is whole pages, such a page also lies before
// them. The bytes are never given back, so ask once and take slices.
func guarded(n int) []byte {
	page := os.Getpagesize()
	whole := (n + page - 1) / page * page
	region, err := unix.Mmap(-1, 0, page+whole+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		panic(err)
	}
	for _, guard := range [][]byte{region[:page], region[page+whole:]} {
		if err := unix.Mprotect(guard, unix.PROT_NONE); err != nil {
			panic(err)
		}
	}
	end := page + whole
	return region[end-n : end : end]
}

// A fault inside a kernel, as by a file cut short while it is mapped, is a panic
// that the caller recovers from.
func TestConvertFault(t *testing.T) {
	everyLevel(t, func(t *testing.T) {
		const n = 2048
		for _, c := range conversions {
			src := guarded(n * c.src.width)
			dst := make([]byte, 2*n*c.dst.width)
			beyond := unsafe.Slice(&src[0], 2*len(src))
			if !faults(func() { c.convert(dst, beyond) }) {
				t.Errorf("%s did not fault", c.name)
			}
		}
	})
}

// So it is inside a kernel that computes, whichever operand it reads or writes there.
func TestArithmeticFault(t *testing.T) {
	const n = 2048
	guardedTile := func() []float32 {
		tile := floats[float32](guarded(4 * n))
		return unsafe.Slice(&tile[0], 2*n)
	}
	a, b, fits := guardedTile(), guardedTile(), make([]float32, 2*n)
	codes, fit := memory(a)[2*n:], memory(fits) // as many elements as the tiles
	levelsFrom(Portable, t, func(t *testing.T) {
		check := func(name string, call func()) {
			if !faults(call) {
				t.Errorf("%s did not fault", name)
			}
		}
		for _, k := range simdKernels() {
			check(k.name, func() { k.call(operands[float32]{a, a, b, 0.3, 0.7}) })
		}
		for _, k := range bf16Kernels {
			check(k.name+" reading", func() { k.kernel(bf16Operands{fits, codes, fit, fits, 0.7}) })
			check(k.name+" writing", func() { k.kernel(bf16Operands{a, fit, fit, fits, 0.7}) })
		}
		check("DeltaBF16 of base", func() { DeltaBF16(fits, fit, a) })
		check("DistanceBF16 of base", func() { DistanceBF16(fits, fit, codes) })
		check("AxpyDeltaBF16 of src", func() { AxpyDeltaBF16(fits, 1, codes, fits) })
		check("MulAbsBF16 of a", func() { MulAbsBF16(fits, fit, codes) })
		passing := make([]float32, len(fits)) // where scores do not pass, x may be left alone
		Fill(passing, 1)
		check("SelectAxpy of x", func() { SelectAxpy(fits, 0.3, a, passing, 1) })
		check("SelectAxpy of scores", func() { SelectAxpy(fits, 0.3, fits, a, 1) })
		check("Gram of a", func() { Gram(a, fits) })
		check("Gram of b", func() { Gram(fits, a) })
		check("GramBF16 of a", func() { GramBF16(codes, fit) })
		check("GramBF16 of b", func() { GramBF16(fit[:len(codes)], codes) })
		for _, d := range [][][]float32{{a, fits}, {fits, a}} {
			check("Variance of a model", func() { Variance(fits, d) })
			check("AddElected of a model", func() { AddElected(make([]float32, len(fits)), d, fits) })
			check("ApplyElected of a model", func() { ApplyElected(make([]float32, len(fits)), 1, d, fits, true) })
			check("AddActive of a model", func() { AddActive(make([]float32, len(fits)), d, fits, 0) })
			check("CountActive of a model", func() { CountActive(make([]int64, 2), make([]int64, 2), len(fits), d, 0) })
		}
		check("Variance writing", func() { Variance(a, [][]float32{fits, fits}) })
		check("ApplyElected writing", func() { ApplyElected(a, 1, [][]float32{fits, fits}, fits, true) })
		check("SelectSize", func() { SelectSize(a, 0.1, 1) })
		check("AddElected writing", func() { AddElected(a, [][]float32{fits, fits}, fits) })
		wide := floats[float64](codes)
		doubles := make([]float64, len(wide))
		check("Weigh", func() { Weigh(fits, a, 1) })
		check("Weigh writing", func() { Weigh(a, fits, 1) })
		check("Exponentials", func() { Exponentials(make([]float64, 2*n), a, 0) })
		check("Exponentials writing", func() { Exponentials(wide, fits, 0) })
		check("EntropyTerms of p", func() { EntropyTerms(doubles, wide, doubles, 1, 1, 1) })
		check("EntropyTerms of q", func() { EntropyTerms(doubles, doubles, wide, 1, 1, 1) })
		check("EntropyTerms writing", func() { EntropyTerms(wide, doubles, doubles, 1, 1, 1) })
		one, edge := make([]float32, 1), memory(a)[4*n-64:]
		check("DecodeNibbleGroups", func() { DecodeNibbleGroups(fits, edge, new([16]float32), nil, one, len(fits)) })
		check("DecodeNibbleGroups writing", func() { DecodeNibbleGroups(a, fit, new([16]float32), nil, one, len(a)) })
		check("DecodeI8Groups", func() { DecodeI8Groups(fits, edge, 0, nil, one, len(fits)) })
		check("DecodeU8Affine", func() { DecodeU8Affine(fits, edge, one, one, len(fits)) })
		check("RaiseToLargest", func() { RaiseToLargest(one, a, len(a)) })
		check("EncodeF8E4M3Groups", func() { EncodeF8E4M3Groups(fit[:len(a)], a, one, len(a)) })
		check("EncodeE2M1Groups", func() { EncodeE2M1Groups(fit, a, one, len(a)) })
		check("EncodeI4Groups", func() { EncodeI4Groups(fit, a, nil, one, len(a)) })
		check("EncodeI8Groups", func() { EncodeI8Groups(fit[:len(a)], a, 0, nil, one, len(a)) })
		check("DecodeNibbleColumns", func() {
			DecodeNibbleColumns(fits, 128, edge[:len(edge):len(edge)], groupBytes, new([16]float32), fits[:8])
		})
		check("DecodeNibbleColumns writing", func() {
			DecodeNibbleColumns(a, len(a)/GroupRows, fit, groupBytes, new([16]float32), fits[:len(a)/GroupRows])
		})
		check("EncodeE2M1Columns", func() { EncodeE2M1Columns(fit, groupBytes, fit[len(fit)-len(a)/GroupRows:], a, len(a)/GroupRows) })
		check("EncodeE2M1Columns writing", func() { EncodeE2M1Columns(edge, groupBytes, fit[:8], fits, 128) })
		rank := 0
		check("Below", func() { rank += Below(a, 3) })
		check("HasBits", func() { HasBits(make([]uint32, words(len(a))), a, 1) })
		check("Between", func() { Between(fits, a, 0, 1) })
		check("Inside", func() { Inside(make([]uint64, (len(a)+63)/64), a, 0, 1) })
	})
}

func faults(call func()) (faulted bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		fault, ok := recover().(interface{ Addr() uintptr })
		faulted = ok && fault.Addr() != 0
	}()
	call()
	return false
}
