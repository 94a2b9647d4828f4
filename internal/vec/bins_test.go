package vec

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// ranked are magnitudes as rows have them: many of one size, zeros, and what is far from all others.
func ranked(r *rand.Rand, x []float32) {
	for i := range x {
		switch r.IntN(8) {
		case 0:
			x[i] = 0
		case 1:
			x[i] = []float32{math.SmallestNonzeroFloat32, 0x1p-126, math.MaxFloat32, 1}[r.IntN(4)]
		default:
			x[i] = abs(float32(r.NormFloat64()))
		}
	}
}

func TestBitRange(t *testing.T) {
	const most = 200
	elements := guardedOf[float32](most)
	r := rand.New(rand.NewPCG(51, 52))
	levelsFrom(Portable, t, func(t *testing.T) {
		for n := range most + 1 {
			for _, zeros := range []bool{false, true} {
				x := elements[most-n:]
				ranked(r, x)
				if zeros {
					clear(x)
				}
				var low, high uint32
				for _, v := range x {
					b := math.Float32bits(v)
					if high = max(high, b); b > 0 && (low == 0 || b < low) {
						low = b
					}
				}
				if least, most := BitRange(x); least != low || most != high {
					t.Fatalf("%d scores: %#x to %#x, want %#x to %#x", n, least, most, low, high)
				}
			}
		}
	})
}

func TestBins(t *testing.T) {
	const most = 200
	elements, binBuffer := guardedOf[float32](most), guardedOf[uint16](most)
	r := rand.New(rand.NewPCG(53, 54))
	levelsFrom(Portable, t, func(t *testing.T) {
		for n := range most + 1 {
			for _, shift := range []uint{15, 16, 20, 31} {
				x, bins := elements[most-n:], binBuffer[most-n:]
				ranked(r, x)
				base := uint32(0)
				if shift < 20 {
					base = (math.MaxUint32/2 - 9<<23) >> shift
				}
				Bins(bins, x, base, shift)
				even, odd := make([]uint32, 1<<16), make([]uint32, 1<<16)
				CountBins(even, odd, bins)
				for i, got := range bins {
					want := uint16(0)
					if b := math.Float32bits(x[i]); b > 0 {
						want = uint16(max((b-1)>>shift, base) - base + 1)
					}
					if got != want {
						t.Fatalf("base %d, shift %d: the bin of %g is %d, want %d", base, shift, x[i], got, want)
					}
					[][]uint32{even, odd}[i%2][got]--
				}
				if slices.Max(even) != 0 || slices.Max(odd) != 0 {
					t.Fatalf("%d bins are counted wrongly", n)
				}
			}
		}
	})
}

func TestSettle(t *testing.T) {
	const most, kinds = 300, 5
	masks := [2][]uint32{guardedOf[uint32](words(most)), guardedOf[uint32](words(most))}
	numbers, binBuffer, limits := guardedOf[int32](most), guardedOf[uint16](most), guardedOf[Limits](kinds)
	r := rand.New(rand.NewPCG(55, 56))
	copy(limits, []Limits{{-1, -1}, {-1, 5}, {5, 5}, {5, math.MaxInt32}, {math.MaxInt32, math.MaxInt32}})
	levelsFrom(Portable, t, func(t *testing.T) {
		for n := range most + 1 {
			x, bins := numbers[most-n:], binBuffer[most-n:]
			kept, open := masks[0][len(masks[0])-words(n):], masks[1][len(masks[1])-words(n):]
			for i := range open {
				open[i] = r.Uint32() & []uint32{r.Uint32(), math.MaxUint32, 0}[r.IntN(3)]
				kept[i] = r.Uint32() &^ open[i]
			}
			if rest := n % 32; rest > 0 {
				open[len(open)-1] &= 1<<rest - 1
			}
			for i := range x {
				x[i], bins[i] = []int32{0, 4, 5, 6, math.MaxInt32, int32(r.Uint32() >> 1)}[r.IntN(6)], uint16(r.IntN(kinds))
			}
			wasKept, wasOpen := bitsOf(kept, n), bitsOf(open, n)
			Settle(kept, open, x, bins, limits)
			isOpen := bitsOf(open, n)
			for i, k := range bitsOf(kept, n) {
				l := limits[bins[i]]
				sure, dropped := wasOpen[i] && x[i] <= l[0], wasOpen[i] && x[i] > l[1]
				if k != (wasKept[i] || sure) || isOpen[i] != (wasOpen[i] && !sure && !dropped) {
					t.Fatalf("%d elements: %d, %d with limits %d, open %v, is kept %v, open %v", n, i, x[i], l, wasOpen[i], k, isOpen[i])
				}
			}
		}
	})
}

// Every number of bins up to a page that must not be touched: first counts what is before, and limits are those of the
// ranks.
func TestAddLimits(t *testing.T) {
	const most = 100
	evenBuffer, oddBuffer, limitBuffer := guardedOf[uint32](most), guardedOf[uint32](most), guardedOf[Limits](most)
	r := rand.New(rand.NewPCG(57, 58))
	levelsFrom(Portable, t, func(t *testing.T) {
		for n := range most + 1 {
			for _, line := range [][3]float64{{0, 0, 0}, {0x1p29 - 8, 0x1p31 * 0.3 / 5000, 16}, {-0x1p28, 0x1p24, 16}, {0x1p31 * 0.9, 1e6, 16}, {-5, 1e-4, 16}, {-1e12, 1e9, 3}} {
				first, odd, limits := evenBuffer[most-n:], oddBuffer[most-n:], limitBuffer[most-n:]
				want, wantLimits, before := make([]uint32, n), make([]Limits, n), uint32(0)
				limit := func(rank, slack float64) int32 {
					return int32(min(max(float64(rank*line[1])+slack, -1), math.MaxInt32))
				}
				for c := range first {
					first[c], odd[c] = r.Uint32N(50), r.Uint32N(50)
					if r.IntN(4) == 0 {
						first[c], odd[c] = 0, 0
					}
					want[c], wantLimits[c][0] = before, limit(float64(before), line[0])
					before += first[c] + odd[c]
					wantLimits[c][1] = limit(float64(before), line[0]-line[1]+line[2])
				}
				AddLimits(limits, first, odd, line[0], line[1], line[2])
				if !slices.Equal(first, want) || !slices.Equal(limits, wantLimits) {
					t.Fatalf("%d bins, %v: %v, %v; want %v, %v", n, line, first, limits, want, wantLimits)
				}
			}
		}
	})
}
