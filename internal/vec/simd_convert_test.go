package vec

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// conversion is a kernel from one kind of number to another, both as bytes.
type conversion struct {
	name     string
	dst, src element
	convert  func(dst, src []byte)
	inputs   func() []byte
}

// element says how many bytes one has, and what its address is a multiple of.
type element struct{ width, align int }

func code(width int) element { return element{width, 1} }

func float[T Float]() element { return element{size[T](), size[T]()} }

var conversions = []conversion{
	decoding("DecodeBF16", 2, DecodeBF16),
	decoding("DecodeF16", 2, DecodeF16),
	decoding("DecodeF32", 4, DecodeF32),
	decoding("DecodeF64", 8, DecodeF64),
	decoding("DecodeF8E4M3", 1, DecodeF8E4M3),
	decoding("DecodeF8E5M2", 1, DecodeF8E5M2),
	{"Widen", float[float64](), float[float32](), func(dst, src []byte) { Widen(floats[float64](dst), floats[float32](src)) }, inputs32},
	{"Narrow", float[float32](), float[float64](), func(dst, src []byte) { Narrow(floats[float32](dst), floats[float64](src)) }, inputs64},
	encoding("EncodeBF16", 2, EncodeBF16[float32]),
	encoding("EncodeBF16Finite", 2, func(dst []byte, src []float32) { EncodeBF16Finite(dst, src) }),
	encoding("EncodeF16", 2, EncodeF16[float32]),
	encoding("EncodeF32", 4, EncodeF32[float32]),
	encoding("EncodeF64", 8, EncodeF64[float32]),
	encoding("EncodeF8E4M3", 1, EncodeF8E4M3[float32]),
	encoding("EncodeF8E5M2", 1, EncodeF8E5M2[float32]),
	encoding("EncodeBF16/float64", 2, EncodeBF16[float64]),
	encoding("EncodeF16/float64", 2, EncodeF16[float64]),
	encoding("EncodeF32/float64", 4, EncodeF32[float64]),
	encoding("EncodeF64/float64", 8, EncodeF64[float64]),
	encoding("EncodeF8E4M3/float64", 1, EncodeF8E4M3[float64]),
	encoding("EncodeF8E5M2/float64", 1, EncodeF8E5M2[float64]),
}

func decoding[T Float](name string, width int, decode func([]T, []byte)) conversion {
	return conversion{name, float[T](), code(width), func(dst, src []byte) { decode(floats[T](dst), src) }, codes[T](width)}
}

func encoding[T Float](name string, width int, encode func([]byte, []T)) conversion {
	inputs := inputs32
	if !single[T]() {
		inputs = inputs64
	}
	return conversion{name, code(width), float[T](), func(dst, src []byte) { encode(dst, floats[T](src)) }, inputs}
}

func size[T Float]() int {
	var x T
	return int(unsafe.Sizeof(x))
}

// floats is b as floats, which it must be aligned for.
func floats[T Float](b []byte) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/size[T]())
}

// codes lists every code of a narrow format, three times, so that it is converted
// in other lanes of a register too; or else the values of T.
func codes[T Float](width int) func() []byte {
	switch width {
	case 4:
		return inputs32
	case 8:
		return inputs64
	}
	return func() (all []byte) {
		for i := range 3<<(8*width) + 2 {
			wide := binary.LittleEndian.AppendUint16(nil, uint16(i*3))
			all = append(all, wide[:width]...)
		}
		return all
	}
}

// inputs32 lists float32 values: every leading half with trailing halves that are
// ties of some format or beside one, all of the values at which formats round, and
// random bits.
func inputs32() (all []byte) {
	put := func(bits uint32) { all = binary.LittleEndian.AppendUint32(all, bits) }
	trailing := []uint32{0, 1, 0x7fff, 0x8000, 0x8001, 0xffff}
	for _, tie := range []uint32{0x1000, 0x2000, 0x3000, 0x4000, 0xc000} {
		trailing = append(trailing, tie-1, tie, tie+1)
	}
	for high := range uint32(1 << 16) {
		for _, low := range trailing {
			put(high<<16 | low)
		}
	}
	for _, f := range formats {
		for _, v := range points32(f.magnitudes()) {
			put(math.Float32bits(v))
		}
	}
	r := rand.New(rand.NewPCG(11, 12))
	for range 1 << 20 {
		put(r.Uint32())
	}
	return all
}

// inputs64 lists float64 values: every leading half of float32 with ties in it, and
// what lies just beside, where only float64 distinguishes them from a tie; all of the
// values at which formats round; and random bits of any size and of those float32
// has.
func inputs64() (all []byte) {
	put := func(bits uint64) { all = binary.LittleEndian.AppendUint64(all, bits) }
	for high := range uint32(1 << 16) {
		for _, low := range []uint32{0, 0x1000, 0x8000} {
			tie := math.Float64bits(float64(math.Float32frombits(high<<16 | low)))
			put(tie - 1)
			put(tie)
			put(tie + 1)
			put(tie + 1<<(high%40))
		}
	}
	for _, f := range formats {
		for _, v := range points64(f.magnitudes()) {
			put(math.Float64bits(v))
		}
	}
	r := rand.New(rand.NewPCG(13, 14))
	for range 1 << 18 {
		put(r.Uint64())
		v := float64(math.Float32frombits(r.Uint32()))
		put(math.Float64bits(v))
		put(math.Float64bits(v) ^ r.Uint64()>>35)
		put(math.Float64bits(v) ^ uint64(1)<<28) // a tie of float32
	}
	return all
}

// at runs call at a level of SIMD.
func at(l SIMD, call func()) {
	defer func(before SIMD) { level = before }(level)
	level = l
	call()
}

// everyLevel tests at every level above Portable that the machine has, or that
// the environment leaves.
func everyLevel(t *testing.T, test func(*testing.T)) {
	t.Helper()
	levelsFrom(Portable+1, t, test)
}

// levelsFrom tests at every level from first on. A test that does not compare with
// Portable begins there.
func levelsFrom(first SIMD, t *testing.T, test func(*testing.T)) {
	t.Helper()
	for l := first; l <= Level(); l++ {
		t.Run(l.String(), func(t *testing.T) { at(l, func() { test(t) }) })
	}
}

// reference is what the portable kernel makes of src.
func (c conversion) reference(src []byte) []byte {
	dst := make([]byte, len(src)/c.src.width*c.dst.width)
	at(Portable, func() { c.convert(dst, src) })
	return dst
}

// NaNs included, every bit is that of the reference.
func TestConvertInputs(t *testing.T) {
	for _, c := range conversions {
		src := c.inputs()
		want := c.reference(src)
		t.Run(c.name, func(t *testing.T) {
			everyLevel(t, func(t *testing.T) {
				got := make([]byte, len(want))
				c.convert(got, src)
				c.compare(t, got, want, src)
			})
		})
	}
}

func (c conversion) compare(t *testing.T, got, want, src []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	for i := range len(src) / c.src.width {
		g, w := got[i*c.dst.width:][:c.dst.width], want[i*c.dst.width:][:c.dst.width]
		if !bytes.Equal(g, w) {
			t.Fatalf("%s: element %d, % x, gives % x, want % x", c.name, i, src[i*c.src.width:][:c.src.width], g, w)
		}
	}
}

// longest is in elements: some blocks, and a tail.
const longest = 200

// random returns longest elements to convert, of random bits.
func (c conversion) random() []byte {
	r := rand.New(rand.NewPCG(15, 16))
	src := make([]byte, longest*c.src.width)
	for i := range src {
		src[i] = byte(r.Uint32())
	}
	return src
}

// Every length with dst, and then src, at every offset in a line of the cache that
// its elements may have.
func TestConvertLengths(t *testing.T) {
	const line, untouched = 64, 0xa5
	everyLevel(t, func(t *testing.T) {
		for _, c := range conversions {
			random := c.random()
			want := c.reference(random)
			check := func(n, dstAt, srcAt int) {
				memory := lined(line + len(want) + line)
				for i := range memory {
					memory[i] = untouched
				}
				src := lined(line + len(random))[srcAt:][:n*c.src.width]
				copy(src, random)
				end := dstAt + n*c.dst.width
				c.convert(memory[dstAt:end], src)
				c.compare(t, memory[dstAt:end], want[:n*c.dst.width], src)
				around := append(memory[:dstAt:dstAt], memory[end:]...)
				if bytes.Count(around, []byte{untouched}) != len(around) {
					t.Fatalf("%s: wrote around %d elements at %d", c.name, n, dstAt)
				}
			}
			for n := range longest + 1 {
				for offset := 0; offset < line; offset += c.dst.align {
					check(n, offset, 0)
				}
				for offset := 0; offset < line; offset += c.src.align {
					check(n, 0, offset)
				}
			}
		}
	})
}

// lined returns n bytes that begin a line of the cache.
func lined(n int) []byte {
	b := make([]byte, n+64)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(b))) % 64
	return b[skip:][:n]
}

// No kernel reads or writes beside its operands, not even bytes that it ignores.
func TestConvertGuarded(t *testing.T) {
	const page = 1 << 16 // whole pages on every machine
	fromPage, toPage := guarded(page), guarded(page)
	everyLevel(t, func(t *testing.T) {
		for _, c := range conversions {
			random := c.random()
			want := c.reference(random)
			for n := range longest + 1 {
				first, last := toPage[:n*c.dst.width], toPage[page-n*c.dst.width:]
				src := fromPage[:n*c.src.width]
				copy(src, random)
				c.convert(first, src)
				c.compare(t, first, want[:n*c.dst.width], src)

				src = fromPage[page-n*c.src.width:]
				copy(src, random)
				c.convert(last, src)
				c.compare(t, last, want[:n*c.dst.width], src)
			}
		}
	})
}

func TestFirstNonFiniteLevels(t *testing.T) {
	everyLevel(t, func(t *testing.T) {
		firstNonFinite(t, OverflowF32[float32](), OverflowF16[float32](), OverflowF8E4M3[float32]())
		firstNonFinite(t, OverflowF32[float64](), OverflowF16[float64](), OverflowF64[float64]())
	})
}

// Every kind of element that has no finite code at every index, also in the block
// that assembly has not finished the codes of, and every leading half with trailing
// halves that round up or down.
func TestEncodeBF16Finite(t *testing.T) {
	limit := OverflowBF16[float32]()
	special := []float32{limit, -limit, math.MaxFloat32, -math.MaxFloat32}
	for _, bits := range []uint32{inf32, nan32, inf32 | 1, nan32 | 0x3fffff} {
		special = append(special, math.Float32frombits(bits), math.Float32frombits(bits|sign32))
	}
	x, codes := floats[float32](guarded(4*longest)), guarded(2*longest+1)
	levelsFrom(Portable, t, func(t *testing.T) {
		check := func(x []float32, spare int, want bool) {
			t.Helper()
			if got := EncodeBF16Finite(codes[len(codes)-2*len(x)-spare:], x); got != want {
				t.Fatalf("%x: finite is %t", x, got)
			}
		}
		for n := range longest + 1 {
			x := x[longest-n:]
			for i := range x {
				x[i] = []float32{below(limit), -below(limit), math.SmallestNonzeroFloat32, 0}[i%4]
			}
			check(x, n%2, true)
			for i, before := range x {
				for _, x[i] = range special {
					check(x, i%2, false)
				}
				x[i] = before
			}
		}
		clear(x)
		for high := range uint32(1 << 16) {
			for _, low := range []uint32{0, 1, 0x7fff, 0x8000, 0x8001, 0xffff} {
				v := math.Float32frombits(high<<16 | low)
				i := int(high) % longest
				x[i] = v
				check(x, 0, v < limit && v > -limit)
				x[i] = 0
			}
		}
	})
}

// firstNonFinite puts every kind of element that is to be found at every index,
// with another behind it, into elements that just fit.
func firstNonFinite[T Float](t *testing.T, limits ...T) {
	t.Helper()
	const page = 1 << 16
	x := floats[T](guarded(page))
	x = x[len(x)-longest:]
	inf, nan := T(math.Inf(1)), T(math.NaN())
	for _, limit := range limits {
		fits := below(limit)
		for n := range longest + 1 {
			x := x[longest-n:]
			for i := range x {
				x[i] = fits
				if i%2 == 1 {
					x[i] = -fits
				}
			}
			if got := FirstNonFinite(x, limit); got != -1 {
				t.Fatalf("found %d in %d elements, limit %g", got, n, limit)
			}
			for i := n - 1; i >= 0; i-- {
				x[i] = []T{limit, -limit, nan, inf, -inf, -nan}[i%6]
				if got := FirstNonFinite(x, limit); got != i {
					t.Fatalf("found %d of %d elements, want %d, limit %g", got, n, i, limit)
				}
			}
		}
	}
	for _, limit := range []T{nan, 0, -1, -inf} { // nothing is below these
		clear(x)
		if got := FirstNonFinite(x, limit); got != 0 {
			t.Fatalf("found %d, limit %g", got, limit)
		}
	}
}

// below is the largest value that is less than limit.
func below[T Float](limit T) T {
	if single[T]() {
		return T(math.Nextafter32(float32(limit), 0))
	}
	return T(math.Nextafter(float64(limit), 0))
}
