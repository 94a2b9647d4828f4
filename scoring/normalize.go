package scoring

import (
	"math"

	"weld/internal/vec"
)

// Normalization makes the scores of one tensor comparable with another's, by a
// divisor taken over all of the tensor's elements.
type Normalization uint8

const (
	// ByMean divides by the mean score.
	ByMean Normalization = iota
	// Raw leaves scores as they are.
	Raw
	// ByMax divides by the largest score.
	ByMax
	// ByRange is (s − min) / (max − min).
	ByRange
	// ByL2 divides by the root of the sum of squares.
	ByL2
)

var normalizationNames = []string{"mean", "none", "max", "minmax", "l2"}

func (n Normalization) String() string { return normalizationNames[n] }

// Estimable reports whether a sample bounds the divisor. It does not where the divisor is an extreme value.
func (n Normalization) Estimable() bool { return n != ByMax && n != ByRange }

// Aggregate is the number, sums and extremes of a range of scores.
type Aggregate struct {
	N        int64
	Sum      float64
	Squares  float64 // sum of squares; only for ByL2
	Min, Max float32 // only for ByMax and ByRange
}

// Summarize measures one tile, as far as n needs it; the sum is always there.
func (n Normalization) Summarize(s []float32) Aggregate {
	sum := Aggregate{N: int64(len(s)), Sum: vec.Sum(s)}
	switch n {
	case ByL2:
		sum.Squares = vec.SumSquares(s)
	case ByMax, ByRange:
		sum.Min, sum.Max = vec.Min(s), vec.Max(s)
	}
	return sum
}

// Mean is the mean score, rounded once to float32; 0 where there are none.
func (s Aggregate) Mean() float32 {
	if s.N == 0 {
		return 0
	}
	return float32(s.Sum / float64(s.N))
}

// Add appends the aggregate of the elements that follow. Sums are rounded at every
// step: add in index order.
func (s *Aggregate) Add(next Aggregate) {
	if s.N == 0 {
		*s = next
		return
	}
	s.N += next.N
	s.Sum += next.Sum
	s.Squares += next.Squares
	s.Min, s.Max = min(s.Min, next.Min), max(s.Max, next.Max)
}

// Scale is a normalisation with its figures filled in, for one tensor.
type Scale struct {
	Shift   float32 // subtracted first; 0 but for minmax
	Divisor float32 // 1 leaves scores as they are; 0 makes all of them 0
}

// Identity leaves scores as they are.
var Identity = Scale{Divisor: 1}

// Scale derives the divisor from a tensor's total: one float32 value, or 0 where
// that is not a positive finite number.
func (n Normalization) Scale(total Aggregate) Scale {
	var sc Scale
	switch n {
	case Raw:
		return Identity
	case ByMean:
		sc.Divisor = total.Mean()
	case ByMax:
		sc.Divisor = total.Max
	case ByRange:
		sc.Shift, sc.Divisor = total.Min, total.Max-total.Min
	case ByL2:
		sc.Divisor = float32(math.Sqrt(total.Squares))
	}
	if !(sc.Divisor > 0) || math.IsInf(float64(sc.Divisor), 0) {
		return Scale{}
	}
	return sc
}

// Apply normalises scores in place.
func (sc Scale) Apply(s []float32) {
	switch {
	case sc.Divisor == 0:
		vec.Fill(s, 0)
	case sc.Shift != 0:
		vec.SubDiv(s, s, sc.Shift, sc.Divisor)
	case sc.Divisor != 1:
		vec.Div(s, s, sc.Divisor)
	}
}

// One normalises a single score, as Apply does.
func (sc Scale) One(s float32) float32 {
	one := [1]float32{s}
	sc.Apply(one[:])
	return one[0]
}

// least is the smallest raw score whose normalised score is at least s, +Inf if there
// is none. Rounding is monotone, so a comparison with it decides exactly as one of
// normalised scores would, without a division.
func (sc Scale) least(s float32) float32 {
	lo, hi := uint32(0), uint32(infinityBits)
	for lo < hi {
		mid := lo + (hi-lo)/2
		if sc.One(math.Float32frombits(mid)) >= s {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return math.Float32frombits(lo)
}
