package vec

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// sideBySide are values of eight groups: of many magnitudes and signs, with zeros, equal values and ties between codes among them.
func sideBySide(r *rand.Rand, n int) []float64 {
	x := make([]float64, Lanes*n)
	for k := range Lanes {
		scale, kind := math.Exp2(float64(r.IntN(60)-40)), r.IntN(6)
		for i := range n {
			v := r.NormFloat64() * scale
			switch kind {
			case 1:
				v = math.Abs(v)
			case 2:
				v = -3*scale - math.Abs(v)
			case 3:
				v = float64(r.IntN(9)-4) * scale / 2
			case 4:
				v = 0
			}
			x[Lanes*i+k] = float64(float32(v))
		}
	}
	return x
}

// lane are the values of one group.
func lane(x []float64, k int) (values []float64) {
	for i := k; i < len(x); i += Lanes {
		values = append(values, x[i])
	}
	return values
}

func TestSpansSideBySide(t *testing.T) {
	levelsFrom(Portable, t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		for range 300 {
			x := sideBySide(r, 1+r.IntN(40))
			var least, most, sum, extreme [Lanes]float64
			SpansSideBySide(x, &least, &most, &sum)
			ExtremesSideBySide(x, &extreme)
			for k := range Lanes {
				values, total := lane(x, k), 0.0
				for _, v := range values {
					total += v
				}
				first := values[0]
				for _, v := range values {
					if math.Abs(v) > math.Abs(first) {
						first = v
					}
				}
				if least[k] != slices.Min(values) || most[k] != slices.Max(values) || sum[k] != total || extreme[k] != first {
					t.Fatalf("%v: from %v to %v, %v in all, extreme %v", values, least[k], most[k], sum[k], extreme[k])
				}
			}
		}
	})
}

// fitBits tells zeros of both signs, and numbers that print the same, apart.
func fitBits(fit any) string {
	switch f := fit.(type) {
	case *LineFit:
		return fmt.Sprintf("%x %x %x", f.Error, f.Scale, f.Offset)
	case *ScaleFit:
		return fmt.Sprintf("%x %x", f.Gain, f.Scale)
	}
	panic("no fit")
}

// Every level keeps the same lines and scales, to the bit, trial by trial.
func TestLattice(t *testing.T) {
	everyLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 4))
		kept := 0
		for range 2000 {
			n := 1 + r.IntN(40)
			x := sideBySide(r, n)
			var line LineFit
			var scale ScaleFit
			var most [Lanes]float64
			SpansSideBySide(x, &line.Least, &most, &line.Sum)
			ExtremesSideBySide(x, &scale.Most)
			for k := range Lanes {
				line.Least[k] = min(0, line.Least[k])
				line.Width[k], line.Error[k] = most[k]-line.Least[k], math.Inf(1)
				if line.Width[k] == 0 {
					line.Width[k], line.Error[k] = 1, math.Inf(-1)
				}
				if scale.Most[k] == 0 {
					scale.Most[k], scale.Gain[k] = 1, math.Inf(1)
				}
			}
			wantLine, wantScale := line, scale
			for range 4 {
				by := r.Float64()*2 - 1
				line.Try(x, 15+by, 15)
				scale.Try(x, -(32 + by), 32)
				at(Portable, func() {
					wantLine.Try(x, 15+by, 15)
					wantScale.Try(x, -(32 + by), 32)
				})
				if got, want := fitBits(&line), fitBits(&wantLine); got != want {
					t.Fatalf("%v: lines\n%s, want\n%s", x, got, want)
				}
				if got, want := fitBits(&scale), fitBits(&wantScale); got != want {
					t.Fatalf("%v: scales\n%s, want\n%s", x, got, want)
				}
			}
			for k := range Lanes {
				if line.Scale[k] > 0 && line.Offset[k] > 0 && scale.Scale[k] != 0 {
					kept++
				}
			}
		}
		if kept < 1000 {
			t.Errorf("only %d lines with offsets are kept", kept)
		}
	})
}

func TestLatticeCodes(t *testing.T) {
	levelsFrom(Portable, t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 6))
		for n := range 100 {
			room := guardedFloats(n)
			for i := range room {
				room[i] = float32(r.IntN(200)-100) / 4
				if r.IntN(9) == 0 {
					room[i] = float32(r.NormFloat64() * 1e30)
				}
			}
			for _, c := range []struct {
				offset, scale, least, most float64
				zero                       byte
			}{{0, 0.5, -32, 31, 32}, {3.25, 0.25, 0, 15, 0}, {0, -0.125, -32, 31, 0}, {1e-9, 1e-30, 0, 15, 0}} {
				got := make([]byte, n+1)
				got[n] = 77
				LatticeCodes(got[:n], room, c.offset, c.scale, c.least, c.most, c.zero)
				for i, v := range room {
					want := byte(int(min(max(math.RoundToEven((float64(v)+c.offset)/c.scale), c.least), c.most))) + c.zero
					if got[i] != want {
						t.Fatalf("%v of %v is %d, want %d", c, v, got[i], want)
					}
				}
				if got[n] != 77 {
					t.Fatal("wrote behind the end")
				}
			}
		}
	})
}

func TestSideBySide(t *testing.T) {
	src := make([]float32, Lanes*5)
	for i := range src {
		src[i] = float32(i)
	}
	dst := make([]float64, len(src))
	SideBySide(dst, src, 5)
	for i, v := range dst {
		if want := float64(i%Lanes*5 + i/Lanes); v != want {
			t.Fatalf("%d: %v, want %v", i, v, want)
		}
	}
}
