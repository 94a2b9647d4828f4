package vec

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// Every code of every narrow format against the format's definition.
func TestDecodeEveryCode(t *testing.T) {
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			n := f.codes()
			src, dst := make([]byte, n*f.width()), make([]float32, n)
			for code := range n {
				f.put(src[code*f.width():], uint32(code))
			}
			f.decode(dst, src)
			for code, got := range dst {
				want := math.Float32bits(float32(f.value(uint32(code))))
				if math.IsNaN(f.value(uint32(code))) {
					want = f.decodeNaN(uint32(code))
				}
				if math.Float32bits(got) != want {
					t.Fatalf("code %#x decodes to %#x (%g), want %#x", code, math.Float32bits(got), got, want)
				}
			}
		})
	}
}

// What goes wrong if the definition in this test is as wrong as the kernel.
func TestDecodeKnown(t *testing.T) {
	for _, c := range []struct {
		decode func([]float32, []byte)
		src    string
		want   float32
	}{
		{DecodeBF16, "\x80\x3f", 1},
		{DecodeBF16, "\x01\x00", 0x1p-133},
		{DecodeBF16, "\x7f\xff", -0x1.fep127},
		{DecodeF16, "\x00\x3c", 1},
		{DecodeF16, "\xff\x7b", 65504},
		{DecodeF16, "\x01\x80", -0x1p-24},
		{DecodeF16, "\xff\x03", 1023 * 0x1p-24},
		{DecodeF16, "\x00\xfc", float32(math.Inf(-1))},
		{DecodeF8E4M3, "\x38", 1},
		{DecodeF8E4M3, "\x7e", 448},
		{DecodeF8E4M3, "\x01", 0x1p-9},
		{DecodeF8E5M2, "\x3c", 1},
		{DecodeF8E5M2, "\x7b", 57344},
		{DecodeF8E5M2, "\x01", 0x1p-16},
		{DecodeF8E5M2, "\xfc", float32(math.Inf(-1))},
		{DecodeF32, "\x00\x00\x80\x3f", 1},
	} {
		dst := []float32{0}
		c.decode(dst, []byte(c.src))
		if dst[0] != c.want {
			t.Errorf("% x decodes to %g, want %g", c.src, dst[0], c.want)
		}
	}
}

func TestDecodeLengths(t *testing.T) {
	for _, f := range formats {
		everyLength(t, f.name, f.width(), f.decode, func(b []byte) float32 { return float32(f.value(f.get(b))) })
	}
	f32 := func(b []byte) float32 {
		return math.Float32frombits(uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24)
	}
	f64 := func(b []byte) (v float64) {
		var u uint64
		for i := range 8 {
			u |= uint64(b[i]) << (8 * i)
		}
		return math.Float64frombits(u)
	}
	everyLength(t, "F32", 4, DecodeF32, f32)
	everyLength(t, "F32 portable", 4, decodeF32, f32)
	everyLength(t, "F64", 8, DecodeF64, f64)
	everyLength(t, "F64 portable", 8, decodeF64, f64)
}

// everyLength decodes 0 … 67 elements from every alignment and checks that the
// element behind the last is left alone.
func everyLength[T Float](t *testing.T, name string, width int, decode func([]T, []byte), one func([]byte) T) {
	r := rand.New(rand.NewPCG(1, 2))
	raw := make([]byte, 80*width)
	for i := range raw {
		raw[i] = byte(r.Uint32())
	}
	for n := range 68 {
		for offset := range 8 {
			src, dst := raw[offset:], make([]T, n+1)
			dst[n] = 42
			decode(dst[:n], src)
			for i := range n {
				if want := one(src[i*width:]); !same(dst[i], want) {
					t.Fatalf("%s: element %d of %d at offset %d is %g, want %g", name, i, n, offset, dst[i], want)
				}
			}
			if dst[n] != 42 {
				t.Fatalf("%s: wrote behind %d elements", name, n)
			}
		}
	}
}

// same reports whether two results have the same bits or are both NaN.
func same[T Float](a, b T) bool {
	if a != a || b != b {
		return a != a && b != b
	}
	return a == b && math.Signbit(float64(a)) == math.Signbit(float64(b))
}

func TestDecodeKeepsNaNs(t *testing.T) {
	for _, want := range []uint32{0x7f800001, 0xff812345, 0x7fc00001} {
		src := []byte{byte(want), byte(want >> 8), byte(want >> 16), byte(want >> 24)}
		dst := []float32{0}
		DecodeF32(dst, src)
		if got := math.Float32bits(dst[0]); got != want {
			t.Errorf("NaN %#x decodes to %#x", want, got)
		}
	}
}

func TestWidenNarrow(t *testing.T) {
	x := []float32{0, float32(math.Copysign(0, -1)), 1.5, 0x1p-149, math.MaxFloat32, float32(math.Inf(-1))}
	wide, back := make([]float64, len(x)), make([]float32, len(x))
	Widen(wide, x)
	Narrow(back, wide)
	for i, v := range x {
		if wide[i] != float64(v) || !same(back[i], v) {
			t.Errorf("%g widens to %g and narrows to %g", v, wide[i], back[i])
		}
	}
	half := []float64{1 + 0x1p-24, 1 + 0x3p-24, 0x1p-150, 0x1.8p-149, 0x1.ffffffp127, -0x1.fffffefffffffp127, math.NaN()}
	want := []float32{1, 1 + 0x1p-22, 0, 0x1p-148, float32(math.Inf(1)), -math.MaxFloat32, float32(math.NaN())}
	got := make([]float32, len(half))
	Narrow(got, half)
	for i := range want {
		if !same(got[i], want[i]) {
			t.Errorf("%g narrows to %g, want %g", half[i], got[i], want[i])
		}
	}
}

func ExampleDecodeF16() {
	dst := make([]float32, 2)
	DecodeF16(dst, []byte{0x00, 0x3c, 0x01, 0x80})
	fmt.Println(dst)
	// Output: [1 -5.9604645e-08]
}
