package vec

import (
	"bytes"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

func TestEncodeUndoesDecode(t *testing.T) {
	for _, f := range formats {
		code := make([]byte, f.width())
		for c := range uint32(f.codes()) {
			want, v := c, f.value(c)
			if math.IsNaN(v) {
				want = f.nan
			}
			f.encode32(code, []float32{float32(v)})
			if got := f.get(code); got != want {
				t.Fatalf("%s: code %#x comes back from float32 as %#x", f.name, c, got)
			}
			f.encode64(code, []float64{v})
			if got := f.get(code); got != want {
				t.Fatalf("%s: code %#x comes back from float64 as %#x", f.name, c, got)
			}
		}
	}
}

// Against a search for the nearest value: at, between and beside the values of
// each format, and where rounding to float32 on the way would go wrong.
func TestEncodeNearest(t *testing.T) {
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			all := f.magnitudes()
			check(t, f, all, f.encode64, points64(all))
			check(t, f, all, f.encode32, points32(all))
		})
	}
}

func check[T Float](t *testing.T, f format, all []float64, encode func([]byte, []T), points []T) {
	t.Helper()
	dst := make([]byte, len(points)*f.width())
	encode(dst, points)
	for i, v := range points {
		got, want := f.get(dst[i*f.width():]), f.nearest(all, float64(v))
		if got != want {
			t.Fatalf("%T %x encodes to %#x (%g), want %#x (%g)", v, v, got, f.value(got), want, f.value(want))
		}
	}
}

func points64(all []float64) []float64 {
	points := []float64{math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64,
		math.Float64frombits(0x7ff0000000000001), math.Float64frombits(0xfff8000000000123)}
	for i, low := range all[:len(all)-1] {
		half := (low + all[i+1]) / 2
		for _, p := range []float64{low, half} {
			points = append(points, p, -p, math.Nextafter(p, math.Inf(1)), -math.Nextafter(p, math.Inf(-1)))
		}
		// float32 cannot hold 2^-40 beside it and would make a tie of it.
		points = append(points, half*(1+0x1p-40), half*(1-0x1p-40), half*(1+0x1p-26))
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 20000 {
		points = append(points, math.Float64frombits(r.Uint64()), r.NormFloat64())
	}
	return points
}

func points32(all []float64) []float32 {
	nan := func(b uint32) float32 { return math.Float32frombits(b) }
	inf := float32(math.Inf(1))
	points := []float32{inf, -inf, math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32, nan(0x7f800001), nan(0xffc00123)}
	for i, low := range all[:len(all)-1] {
		for _, p := range []float32{float32(low), float32((low + all[i+1]) / 2)} {
			points = append(points, p, -p, math.Nextafter32(p, inf), -math.Nextafter32(p, -inf))
		}
	}
	r := rand.New(rand.NewPCG(5, 6))
	for range 20000 {
		points = append(points, math.Float32frombits(r.Uint32()), float32(r.NormFloat64()))
	}
	return points
}

func TestEncodeKnown(t *testing.T) {
	for _, c := range []struct {
		encode func([]byte, []float64)
		v      float64
		want   string
	}{
		{EncodeBF16[float64], 1, "\x80\x3f"},
		{EncodeBF16[float64], 1 + 0x1p-8, "\x80\x3f"},
		{EncodeBF16[float64], 1 + 0x1p-8 + 0x1p-50, "\x81\x3f"},
		{EncodeF16[float64], 65519.99, "\xff\x7b"},
		{EncodeF16[float64], -65520, "\x00\xfc"},
		{EncodeF16[float64], 0x1p-25, "\x00\x00"},
		{EncodeF16[float64], 0x1.0000000001p-25, "\x01\x00"},
		{EncodeF8E4M3[float64], 464, "\x7e"},
		{EncodeF8E4M3[float64], -464.0000001, "\x7f"},
		{EncodeF8E4M3[float64], math.Copysign(0, -1), "\x80"},
		{EncodeF8E5M2[float64], 61439, "\x7b"},
		{EncodeF8E5M2[float64], 61440, "\x7c"},
		{EncodeF32[float64], 1, "\x00\x00\x80\x3f"},
		{EncodeF32[float64], -math.NaN(), "\x00\x00\xc0\x7f"},
		{EncodeF64[float64], 1, "\x00\x00\x00\x00\x00\x00\xf0\x3f"},
		{EncodeF64[float64], math.Float64frombits(0xfff0000000000007), "\x00\x00\x00\x00\x00\x00\xf8\x7f"},
	} {
		dst := make([]byte, len(c.want))
		c.encode(dst, []float64{c.v})
		if string(dst) != c.want {
			t.Errorf("%x encodes to % x, want % x", c.v, dst, c.want)
		}
	}
}

func TestEncodeF32Rounds(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	points := []float64{math.MaxFloat64, -math.MaxFloat64, overflowF32, 0x1.fffffefffffffp127, 0x1p-150, 0x1.0000000000001p-150}
	for range 20000 {
		v := math.Float32frombits(r.Uint32())
		next := math.Nextafter32(v, float32(math.Inf(1)))
		half := (float64(v) + float64(next)) / 2
		if math.IsNaN(half) || math.IsInf(half, 0) {
			continue
		}
		points = append(points, float64(v), half, math.Nextafter(half, 0), math.Nextafter(half, 2*half))
	}
	dst := make([]byte, 4*len(points))
	EncodeF32(dst, points)
	got := make([]float32, len(points))
	DecodeF32(got, dst)
	for i, v := range points {
		if want, _ := big.NewFloat(v).Float32(); !same(got[i], want) {
			t.Fatalf("%x encodes to %x, want %x", v, got[i], want)
		}
	}
}

// A kernel on many elements does what it does on one, from 0 to 67 elements, at
// every alignment, and writes nothing behind them.
func TestEncodeLengths(t *testing.T) {
	for _, f := range formats {
		encodeLengths(t, f.name+" of float32", f.width(), f.encode32)
		encodeLengths(t, f.name+" of float64", f.width(), f.encode64)
	}
	encodeLengths(t, "F32 of float32", 4, EncodeF32[float32])
	encodeLengths(t, "F32 of float64", 4, EncodeF32[float64])
	encodeLengths(t, "F64 of float32", 8, EncodeF64[float32])
	encodeLengths(t, "F64 of float64", 8, EncodeF64[float64])
}

func encodeLengths[T Float](t *testing.T, name string, width int, encode func([]byte, []T)) {
	src := mixture[T](70, 9)
	want := make([]byte, 0, 70*width)
	for i := range src {
		one := make([]byte, width)
		encode(one, src[i:])
		want = append(want, one...)
	}
	for n := range 68 {
		for offset := range 8 {
			spare := (n + offset) % width // too few bytes for an element
			dst := bytes.Repeat([]byte{0xa5}, offset+n*width+width)
			encode(dst[offset:offset+n*width+spare], src)
			if !bytes.Equal(dst[offset:offset+n*width], want[:n*width]) {
				t.Fatalf("%s: %d elements at offset %d give % x", name, n, offset, dst)
			}
			if rest := append(dst[:offset:offset], dst[offset+n*width:]...); bytes.Count(rest, []byte{0xa5}) != len(rest) {
				t.Fatalf("%s: wrote around %d elements at offset %d", name, n, offset)
			}
		}
	}
}

func TestOverflow(t *testing.T) {
	type pair struct {
		name    string
		limit32 float32
		limit64 float64
	}
	pairs := []pair{{"F32", OverflowF32[float32](), OverflowF32[float64]()}, {"F64", OverflowF64[float32](), OverflowF64[float64]()}}
	if p := pairs[0]; !math.IsInf(float64(p.limit32), 1) || p.limit64 != 0x1.ffffffp127 {
		t.Errorf("F32 overflows at %x, %x", p.limit32, p.limit64)
	}
	if p := pairs[1]; !math.IsInf(float64(p.limit32), 1) || !math.IsInf(p.limit64, 1) {
		t.Errorf("F64 overflows at %x, %x", p.limit32, p.limit64)
	}
	for _, f := range formats {
		code := make([]byte, f.width())
		finite := func() bool { v := f.value(f.get(code)); return v-v == 0 }
		for _, c := range []struct {
			v    float32
			want bool
		}{{f.limit32, false}, {math.Nextafter32(f.limit32, 0), true}} {
			if f.encode32(code, []float32{c.v}); finite() != c.want || (FirstNonFinite([]float32{c.v}, f.limit32) == -1) != c.want {
				t.Errorf("%s: float32 %x encodes to %#x", f.name, c.v, f.get(code))
			}
		}
		for _, c := range []struct {
			v    float64
			want bool
		}{{-f.limit64, false}, {-math.Nextafter(f.limit64, 0), true}} {
			if f.encode64(code, []float64{c.v}); finite() != c.want || (FirstNonFinite([]float64{c.v}, f.limit64) == -1) != c.want {
				t.Errorf("%s: float64 %x encodes to %#x", f.name, c.v, f.get(code))
			}
		}
	}
}

func TestFirstNonFinite(t *testing.T) {
	inf := float32(math.Inf(1))
	for n := range 68 {
		x := make([]float32, n)
		Fill(x, math.MaxFloat32)
		if got := FirstNonFinite(x, inf); got != -1 {
			t.Fatalf("found %d in %d finite elements", got, n)
		}
		for i := n - 1; i >= 0; i-- {
			x[i] = []float32{inf, -inf, float32(math.NaN())}[i%3]
			if got := FirstNonFinite(x, inf); got != i {
				t.Fatalf("found %d of %d, want %d", got, n, i)
			}
		}
	}
}
