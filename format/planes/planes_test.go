package planes

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"weld/format"
)

// kinds of data, of n elements of a type.
var kinds = map[string]func(r *rand.Rand, d format.DType, n int) []byte{
	"noise": func(r *rand.Rand, d format.DType, n int) []byte {
		b := make([]byte, n*d.Bits()/8)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	},
	"zeros": func(r *rand.Rand, d format.DType, n int) []byte { return make([]byte, n*d.Bits()/8) },
	"ones":  func(r *rand.Rand, d format.DType, n int) []byte { return bytes.Repeat([]byte{1}, n*d.Bits()/8) },
	"weights": func(r *rand.Rand, d format.DType, n int) []byte {
		return floats(d, n, func() float64 { return r.NormFloat64() * 0.02 })
	},
	"gradients": func(r *rand.Rand, d format.DType, n int) []byte {
		return floats(d, n, func() float64 { return math.Exp(r.NormFloat64()*3 - 9) })
	},
	"sparse": func(r *rand.Rand, d format.DType, n int) []byte {
		return floats(d, n, func() float64 {
			if r.IntN(10) > 0 {
				return 0
			}
			return r.NormFloat64()
		})
	},
	"runs": func(r *rand.Rand, d format.DType, n int) []byte {
		v := 0.0
		return floats(d, n, func() float64 {
			if r.IntN(50) == 0 {
				v = r.NormFloat64()
			}
			return v
		})
	},
	"bf16": func(r *rand.Rand, d format.DType, n int) []byte {
		return floats(d, n, func() float64 {
			return float64(math.Float32frombits(math.Float32bits(float32(r.NormFloat64()*0.02)) &^ 0xffff))
		})
	},
}

// floats encodes numbers; of a type that has none, their bits.
func floats(d format.DType, n int, f func() float64) []byte {
	b := make([]byte, n*d.Bits()/8)
	if !d.Computable() {
		for i := range b {
			b[i] = byte(int(f() * 1000))
		}
		return b
	}
	x := make([]float64, n)
	for i := range x {
		x[i] = f()
	}
	format.Encode(d, b, x)
	return b
}

var types = []format.DType{
	format.Invalid, format.Bool, format.U8, format.F8E4M3, format.F8E5M2, format.F16, format.BF16, format.I16,
	format.F32, format.C64, format.U32, format.F64, format.I64,
}

func TestRoundTrip(t *testing.T) {
	var e Encoder
	var d Decoder
	for _, dtype := range types {
		unit := dtype
		if dtype == format.Invalid {
			unit = format.U8
		}
		for kind, make_ := range kinds {
			for _, n := range []int{0, 1, 2, 3, 31, 32, 33, 63, 64, 65, 127, 1000, 4097, 131072, 131073, 262144 + 17} {
				r := rand.New(rand.NewPCG(uint64(n), 7))
				content := make_(r, unit, n)
				name := fmt.Sprintf("%v %s %d", dtype, kind, n)
				prefix := []byte("before")
				coded, c := e.Append(prefix, dtype, content)
				payload := coded[len(prefix):]
				if len(payload) > len(content)+Slack {
					t.Errorf("%s: %v takes %d bytes for %d", name, c, len(payload), len(content))
				}
				got := bytes.Repeat([]byte{0xaa}, len(content))
				if err := d.Decode(got, c, dtype, payload); err != nil || !bytes.Equal(got, content) {
					t.Fatalf("%s: %v: %v", name, c, err)
				}
				if n > 70000 || n%3 == 2 {
					continue
				}
				for density := range 4 {
					base := bytes.Clone(content)
					for i := range base {
						if r.IntN(4) < density {
							base[i] += byte(r.IntN(3))
						}
					}
					coded, c := e.AppendRelative(nil, dtype, content, base)
					if err := d.DecodeRelative(got, c, dtype, coded, base); err != nil || !bytes.Equal(got, content) {
						t.Fatalf("%s relative: %v: %v", name, c, err)
					}
				}
			}
		}
	}
}

// The sizes that coded weights must not exceed.
func TestSizes(t *testing.T) {
	const n = 1 << 18
	r := rand.New(rand.NewPCG(1, 1))
	normal := func(sigma float64) func() float64 { return func() float64 { return r.NormFloat64() * sigma } }
	for _, c := range []struct {
		name  string
		dtype format.DType
		value func() float64
		most  float64 // percent
	}{
		{"bf16", format.BF16, normal(0.02), 66.3},
		{"bf16 wide", format.BF16, normal(1), 66.25},
		{"f32", format.F32, normal(0.02), 83.15},
		{"f16", format.F16, normal(0.02), 84.45},
		{"e4m3", format.F8E4M3, normal(1), 82},
		{"e5m2", format.F8E5M2, normal(1), 82},
		{"f32 of bf16", format.F32, func() float64 {
			return float64(math.Float32frombits(math.Float32bits(float32(r.NormFloat64()*0.02)) &^ 0xffff))
		}, 33.15},
		{"sparse", format.BF16, func() float64 {
			if r.IntN(10) > 0 {
				return 0
			}
			return r.NormFloat64()
		}, 10},
		{"zeros", format.BF16, func() float64 { return 0 }, 0.01},
		{"gradients", format.BF16, func() float64 { return math.Exp(r.NormFloat64()*3 - 9) }, 73},
	} {
		var e Encoder
		content := floats(c.dtype, n, c.value)
		coded, coding := e.Append(nil, c.dtype, content)
		share := 100 * float64(len(coded)) / float64(len(content))
		t.Logf("%s: %v, %.2f%%", c.name, coding, share)
		if share > c.most {
			t.Errorf("%s: %v, %.2f%% of the size; want at most %.2f%%", c.name, coding, share, c.most)
		}
	}
}

// A task vector of which few elements were kept costs what those do.
func TestPatchSizes(t *testing.T) {
	const n = 1 << 18
	for _, c := range []struct{ density, most float64 }{{0, 0.01}, {0.001, 0.3}, {0.05, 5}, {0.2, 17}} {
		r := rand.New(rand.NewPCG(2, 3))
		base, next := make([]float64, n), make([]float64, n)
		for i := range base {
			base[i] = r.NormFloat64() * 0.02
		}
		from := make([]byte, 2*n)
		format.Encode(format.BF16, from, base)
		format.Decode(format.BF16, base, from)
		copy(next, base)
		for i := range next {
			if r.Float64() < c.density {
				next[i] += r.NormFloat64() * 0.002
			}
		}
		to := make([]byte, 2*n)
		format.Encode(format.BF16, to, next)
		var e Encoder
		coded, coding := e.AppendRelative(nil, format.BF16, to, from)
		share := 100 * float64(len(coded)) / float64(len(to))
		t.Logf("density %v: %v, %.2f%%", c.density, coding, share)
		if share > c.most {
			t.Errorf("density %v: %v, %.2f%%; want at most %.2f%%", c.density, coding, share, c.most)
		}
	}
}

func BenchmarkBF16(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	content := floats(format.BF16, 1<<18, func() float64 { return r.NormFloat64() * 0.02 })
	var e Encoder
	coded, c := e.Append(nil, format.BF16, content)
	b.Run("append", func(b *testing.B) {
		b.SetBytes(int64(len(content)))
		for b.Loop() {
			coded, c = e.Append(coded[:0], format.BF16, content)
		}
	})
	b.Run("decode", func(b *testing.B) {
		var d Decoder
		b.SetBytes(int64(len(content)))
		for b.Loop() {
			if err := d.Decode(content, c, format.BF16, coded); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("append, all cores", func(b *testing.B) {
		b.SetBytes(int64(len(content)))
		b.RunParallel(func(pb *testing.PB) {
			var e Encoder
			var coded []byte
			for pb.Next() {
				coded, _ = e.Append(coded[:0], format.BF16, content)
			}
		})
	})
	b.Run("copy", func(b *testing.B) {
		dst := make([]byte, len(content))
		b.SetBytes(int64(len(content)))
		for b.Loop() {
			copy(dst, content)
		}
	})
}

func BenchmarkRelative(b *testing.B) {
	for _, density := range []float64{0.05, 1} {
		r := rand.New(rand.NewPCG(2, 3))
		base := floats(format.BF16, 1<<18, func() float64 { return r.NormFloat64() * 0.02 })
		x := make([]float64, 1<<18)
		format.Decode(format.BF16, x, base)
		for i := range x {
			if r.Float64() < density {
				x[i] += r.NormFloat64() * 0.002
			}
		}
		content := make([]byte, len(base))
		format.Encode(format.BF16, content, x)
		var e Encoder
		coded, c := e.AppendRelative(nil, format.BF16, content, base)
		b.Run(fmt.Sprintf("append/density=%v", density), func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			for b.Loop() {
				coded, c = e.AppendRelative(coded[:0], format.BF16, content, base)
			}
		})
		b.Run(fmt.Sprintf("decode/density=%v", density), func(b *testing.B) {
			var d Decoder
			b.SetBytes(int64(len(content)))
			for b.Loop() {
				if err := d.DecodeRelative(content, c, format.BF16, coded, base); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
