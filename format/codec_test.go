package format

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"weld/internal/vec"
)

// lengths are around the chunks in which types without a direct way are converted.
var lengths = []int{0, 1, 255, 256, 257, 511, 512, 513, 1000, 4096}

func computable() (list []DType) {
	for _, d := range DTypes() {
		if d.Computable() {
			list = append(list, d)
		}
	}
	return list
}

func TestComputable(t *testing.T) {
	if got := fmt.Sprint(computable()); got != "[F8_E5M2 F8_E4M3 F16 BF16 F32 F64]" {
		t.Error(got)
	}
}

// value is what the bits of an element mean, by the formulas of the formats.
func value(d DType, bits uint64) float64 {
	var exponent, mantissa int // bits
	switch d {
	case F64:
		return math.Float64frombits(bits)
	case F32:
		return float64(math.Float32frombits(uint32(bits)))
	case BF16:
		exponent, mantissa = 8, 7
	case F16:
		exponent, mantissa = 5, 10
	case F8E5M2:
		exponent, mantissa = 5, 2
	case F8E4M3:
		exponent, mantissa = 4, 3
	}
	sign := 1 - 2*float64(bits>>(exponent+mantissa))
	e := int(bits>>mantissa) & (1<<exponent - 1)
	m := int(bits) & (1<<mantissa - 1)
	bias := 1<<(exponent-1) - 1
	switch top := e == 1<<exponent-1; {
	case top && d == F8E4M3 && m == 1<<mantissa-1:
		return math.NaN()
	case top && d != F8E4M3 && m != 0:
		return math.NaN()
	case top && d != F8E4M3:
		return sign * math.Inf(1)
	case e == 0:
		return math.Copysign(math.Ldexp(float64(m), 1-bias-mantissa), sign)
	}
	return sign * math.Ldexp(float64(1<<mantissa+m), e-bias-mantissa)
}

// element reads and writes the bits of one element.
func element(d DType, data []byte, i int) uint64 {
	switch d.Bits() {
	case 8:
		return uint64(data[i])
	case 16:
		return uint64(binary.LittleEndian.Uint16(data[2*i:]))
	case 32:
		return uint64(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return binary.LittleEndian.Uint64(data[8*i:])
}

// patterns are n elements of a type: all bit patterns in turn where there are few, a
// scramble of them where there are many.
func patterns(d DType, n int) []byte {
	var data []byte
	for i := range n {
		bits := uint64(i) * 0x9e3779b97f4a7c15
		switch d.Bits() {
		case 8:
			data = append(data, byte(i))
		case 16:
			data = binary.LittleEndian.AppendUint16(data, uint16(i*7))
		case 32:
			data = binary.LittleEndian.AppendUint32(data, uint32(bits>>32))
		default:
			data = binary.LittleEndian.AppendUint64(data, bits)
		}
	}
	return data
}

func equal[T vec.Float](a, b T) bool {
	return math.Float64bits(float64(a)) == math.Float64bits(float64(b)) || a != a && b != b
}

func testDecode[T vec.Float](t *testing.T) {
	for _, d := range computable() {
		for _, n := range append(lengths, 1<<16) {
			data := patterns(d, n)
			got := make([]T, n+1)
			got[n] = 42
			Decode(d, got[:n], data)
			for i, x := range got[:n] {
				if want := T(value(d, element(d, data, i))); !equal(x, want) {
					t.Fatalf("%v to %T, element %d of %d, %#x: got %v, want %v", d, x, i, n, element(d, data, i), x, want)
				}
			}
			if got[n] != 42 {
				t.Errorf("%v: %d elements run over", d, n)
			}
		}
	}
}

// Every type decodes to what its format says, to both types that are computed with;
// F64 is rounded once to float32.
func TestDecode(t *testing.T) {
	t.Run("float32", testDecode[float32])
	t.Run("float64", testDecode[float64])
}

func testRoundTrip[T vec.Float](t *testing.T) {
	for _, d := range computable() {
		if _, single := any(T(0)).(float32); single && d == F64 {
			continue // float32 holds fewer values
		}
		for _, n := range append(lengths, 1<<16) {
			data := patterns(d, n)
			x := make([]T, n)
			Decode(d, x, data)
			again := make([]byte, len(data)+1)
			again[len(data)] = 42
			Encode(d, again[:len(data)], x)
			for i := range x {
				if x[i] == x[i] && element(d, again, i) != element(d, data, i) {
					t.Fatalf("%v: %#x comes back as %#x", d, element(d, data, i), element(d, again, i))
				}
			}
			if again[len(data)] != 42 {
				t.Errorf("%v: %d elements run over", d, n)
			}
		}
	}
}

// Decoded and encoded, every element but NaN has its bits again.
func TestRoundTrip(t *testing.T) {
	t.Run("float32", testRoundTrip[float32])
	t.Run("float64", testRoundTrip[float64])
}

// F64 goes to float32 by one rounding, in chunks of every length.
func TestDecodeRoundsDoublesOnce(t *testing.T) {
	for _, n := range lengths {
		wide := make([]float64, n)
		for i := range wide {
			wide[i] = 1 + float64(i)/3*0x1p-24 + 0x1p-24
		}
		data := make([]byte, 8*n)
		Encode(F64, data, wide)
		got := make([]float32, n)
		Decode(F64, got, data)
		for i, x := range got {
			if x != float32(wide[i]) {
				t.Fatalf("element %d of %d: %v becomes %v", i, n, wide[i], x)
			}
		}
	}
}

// Every NaN is written as one, the positive quiet NaN.
func TestEncodeNaN(t *testing.T) {
	want := map[DType][]byte{
		F64: {0, 0, 0, 0, 0, 0, 0xf8, 0x7f}, F32: {0, 0, 0xc0, 0x7f}, F16: {0, 0x7e}, BF16: {0xc0, 0x7f}, F8E5M2: {0x7e}, F8E4M3: {0x7f},
	}
	for _, d := range computable() {
		for _, bits := range []uint64{0x7ff8000000000000, 0xfff8000000000001, 0x7ff0000000000001, 0xffffffffffffffff} {
			got := make([]byte, d.Bits()/8)
			Encode(d, got, []float64{math.Float64frombits(bits)})
			if !bytes.Equal(got, want[d]) {
				t.Errorf("%v: %#x is written as %x", d, bits, got)
			}
			Encode(d, got, []float32{float32(math.Float64frombits(bits))})
			if !bytes.Equal(got, want[d]) {
				t.Errorf("%v: %#x as float32 is written as %x", d, bits, got)
			}
		}
	}
}

// testOverflow demands that Overflow is where Encode stops to write finite values:
// the last magnitude below it is finite, it and all above are not.
func testOverflow[T vec.Float](t *testing.T, next func(x, to T) T) {
	finite := func(d DType, x T) bool {
		data := make([]byte, d.Bits()/8)
		Encode(d, data, []T{x})
		y := value(d, element(d, data, 0))
		return !math.IsNaN(y) && !math.IsInf(y, 0)
	}
	inf := T(math.Inf(1))
	for _, d := range computable() {
		limit := Overflow[T](d)
		if !(limit > 0) {
			t.Errorf("%v: limit %v", d, limit)
		}
		for _, sign := range []T{1, -1} {
			for _, x := range []T{limit, next(limit, inf), 2 * limit, inf} {
				if finite(d, sign*x) {
					t.Errorf("%v: %v is finite, the limit is %v", d, sign*x, limit)
				}
			}
			for _, x := range []T{next(limit, 0), limit / 2, 0} {
				if !math.IsInf(float64(x), 0) && !finite(d, sign*x) {
					t.Errorf("%v: %v is not finite, the limit is %v", d, sign*x, limit)
				}
			}
		}
	}
}

func TestOverflow(t *testing.T) {
	t.Run("float32", func(t *testing.T) { testOverflow(t, math.Nextafter32) })
	t.Run("float64", func(t *testing.T) { testOverflow(t, math.Nextafter) })
}

// What is not computed with is a mistake of the caller.
func TestCodecPanics(t *testing.T) {
	panics := func(what string, f func()) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s does not panic", what)
			}
		}()
		f()
	}
	for _, d := range append(DTypes(), Invalid) {
		if d.Computable() {
			continue
		}
		panics("decoding "+d.String(), func() { Decode(d, make([]float32, 1), make([]byte, 8)) })
		panics("encoding "+d.String(), func() { Encode(d, make([]byte, 8), make([]float32, 1)) })
	}
}

func TestCodecDoesNotAllocate(t *testing.T) {
	data, single, double := make([]byte, 8*1000), make([]float32, 1000), make([]float64, 1000)
	for _, d := range computable() {
		elements := data[:1000*d.Bits()/8]
		if n := testing.AllocsPerRun(5, func() {
			Decode(d, single, elements)
			Encode(d, elements, single)
			Decode(d, double, elements)
			Encode(d, elements, double)
		}); n > 0 {
			t.Errorf("%v: %v allocations", d, n)
		}
	}
}

// Gram has the bits of decoding first, whatever the types.
func TestGram(t *testing.T) {
	testGram[float32](t)
	testGram[float64](t)
}

func testGram[T Float](t *testing.T) {
	const n = 777
	random := rand.New(rand.NewPCG(1, 2))
	x, y := make([]float64, n), make([]float64, n)
	for i := range x {
		x[i], y[i] = random.NormFloat64(), random.NormFloat64()
	}
	for _, da := range []DType{F64, F32, F16, BF16, F8E4M3} {
		for _, db := range []DType{F32, BF16} {
			a, b := make([]byte, n*da.Bits()/8), make([]byte, n*db.Bits()/8)
			Encode(da, a, x)
			Encode(db, b, y)
			u, v := make([]T, n), make([]T, n)
			Decode(da, u, a)
			Decode(db, v, b)
			aa, ab, bb := Gram(da, a, db, b, make([]T, n), make([]T, n))
			if aa != vec.Dot(u, u) || ab != vec.Dot(u, v) || bb != vec.Dot(v, v) {
				t.Errorf("%v and %v in %T: %v, %v and %v", da, db, u, aa, ab, bb)
			}
		}
	}
}
