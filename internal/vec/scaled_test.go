package vec

import (
	"math"
	"math/rand/v2"
	"testing"
)

// scalesE4M3 are scales at the edges of what assembly takes and of what float32 holds, and some between.
func scalesE4M3() []float32 {
	all := []float32{0, 1, -1, 0x1p-149, -0x1.8p-140, 0x1p-126, 0x1p-118, 0x1.fffffep119, 0x1p120, -0x1p120, 0x1p127, math.MaxFloat32, float32(math.Inf(1)), float32(math.NaN())}
	r := rand.New(rand.NewPCG(21, 22))
	for range 50 {
		all = append(all, math.Float32frombits(r.Uint32()))
	}
	return all
}

// Every code by every scale is the product in float64, rounded once, and NaN is the one that encoders write; from every
// alignment, and nothing is written behind the last.
func TestDecodeF8E4M3Groups(t *testing.T) {
	levelsFrom(Portable, t, func(t *testing.T) {
		codes := make([]byte, 256+8)
		for i := range codes {
			codes[i] = byte(i * 37)
		}
		for _, scale := range scalesE4M3() {
			for _, n := range []int{0, 1, 31, 32, 33, 63, 64, 100, 256} {
				for offset := range 8 {
					src, dst := codes[offset:], make([]float32, n+1)
					dst[n] = 42
					DecodeF8E4M3Groups(dst[:n], src, []float32{scale}, 256)
					for i, got := range dst[:n] {
						want := float32(formats[2].value(uint32(src[i])) * float64(scale)) // 28 bits: exact before
						if want != want {
							want = math.Float32frombits(nan32)
						}
						if math.Float32bits(got) != math.Float32bits(want) {
							t.Fatalf("code %#x by %g is %g, want %g (element %d of %d at offset %d)", src[i], scale, got, want, i, n, offset)
						}
					}
					if dst[n] != 42 {
						t.Fatalf("wrote behind %d elements", n)
					}
				}
			}
		}
	})
}

func TestFloats(t *testing.T) {
	b := make([]byte, 16)
	values, ok := Floats(b[4:12])
	if !ok {
		t.Skip("memory has another order, or b lies anywhere")
	}
	values[1] = 1
	if len(values) != 2 || b[10] != 0x80 || b[11] != 0x3f {
		t.Errorf("%v in % x", values, b)
	}
	for _, odd := range [][]byte{b[1:5], b[4:10]} {
		if _, ok := Floats(odd); ok {
			t.Errorf("%d bytes are floats", len(odd))
		}
	}
}

// Groups of any size, of which each has its own scale: whoever reads behind the last scale or code dies.
func TestDecodeF8E4M3ManyGroups(t *testing.T) {
	const most = 4096
	r := rand.New(rand.NewPCG(23, 24))
	scaleRoom, srcRoom, dstRoom := guardedFloats(most), guarded(most), guardedFloats(most)
	for i := range srcRoom {
		srcRoom[i] = byte(r.Uint32())
	}
	grouped(t, most, func(t *testing.T, n, group int) {
		scales := numbersOfGroups(r, scaleRoom, n, group, anyScale(r))
		src, dst := srcRoom[most-n:], dstRoom[most-n:]
		DecodeF8E4M3Groups(dst, src, scales, group)
		for i, got := range dst {
			if want := stepwise(fromE4M3[src[i]], 0, scales[i/group]); !sameBits(got, want) {
				t.Fatalf("%d in groups of %d: element %d is %x, want %g x %g = %x", n, group, i, got, fromE4M3[src[i]], scales[i/group], want)
			}
		}
	})
}

func BenchmarkDecodeF8E4M3Groups(b *testing.B) {
	dst, src, scales := make([]float32, 4096), make([]byte, 4096), make([]float32, 32)
	Fill(scales, 0.5)
	b.SetBytes(4096)
	for b.Loop() {
		DecodeF8E4M3Groups(dst, src, scales, 128)
	}
}
