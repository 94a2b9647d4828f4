package scoring

import (
	"fmt"
	"slices"
	"strings"

	"weld/internal/vec"
)

// Score is a formula for the importance of one element: θ is the model's weight, δ
// its difference from the base, a ≥ 0 what the importance file says of it.
type Score uint8

const (
	// Weight is |θ|·a: the first-order Taylor importance of the paper.
	Weight Score = iota
	// Delta is |δ|·a: the loss change of undoing the update, to first order.
	Delta
	// Fisher is (|δ|·a)², which ranks as Delta and weighs more sharply.
	Fisher
	// Importance is a alone.
	Importance
	// Magnitude is |δ|; it needs no importance file.
	Magnitude
)

var scoreNames = []string{"weight", "delta", "fisher", "importance", "magnitude"}

// ParseScore finds a score by name.
func ParseScore(name string) (Score, error) { return parse[Score]("score", scoreNames, name) }

func (s Score) String() string { return scoreNames[s] }

// NeedsImportance reports whether the score reads an importance file.
func (s Score) NeedsImportance() bool { return s != Magnitude }

// NeedsWeight reports whether the score reads θ itself.
func (s Score) NeedsWeight() bool { return s == Weight }

// NeedsDelta reports whether the score reads δ.
func (s Score) NeedsDelta() bool { return s == Delta || s == Fisher || s == Magnitude }

// Compute fills dst with the scores of a tile. Operands that the score does not
// need may be nil. Every product is rounded to float32.
func (s Score) Compute(dst, theta, delta, a []float32) {
	switch s {
	case Weight:
		vec.MulAbs(dst, theta, a)
	case Delta:
		vec.MulAbs(dst, delta, a)
	case Fisher:
		vec.MulAbs(dst, delta, a)
		s.Sharpen(dst)
	case Importance:
		copy(dst, a)
	case Magnitude:
		vec.Abs(dst, delta)
	}
}

// Sharpen makes scores of |δ|·a.
func (s Score) Sharpen(x []float32) {
	if s == Fisher {
		vec.Square(x, x)
	}
}

// Statistic says what the numbers in an importance file are.
type Statistic uint8

const (
	// MeanAbsGrad is the mean over single samples of |g|.
	MeanAbsGrad Statistic = iota
	// MeanGrad is the mean of g.
	MeanGrad
	// MeanSqGrad is the mean of g², the diagonal of the empirical Fisher matrix.
	MeanSqGrad
	// AdamSecondMoment is an optimizer's exp_avg_sq.
	AdamSecondMoment
	// Finished is a score of the user's own making.
	Finished
)

var statisticNames = []string{"mean_abs_grad", "mean_grad", "mean_sq_grad", "adam_second_moment", "score"}

// StatisticKey is the metadata key by which an importance file names its
// statistic.
const StatisticKey = "weld.statistic"

// ParseStatistic finds a statistic by name.
func ParseStatistic(name string) (Statistic, error) {
	return parse[Statistic]("statistic", statisticNames, name)
}

func (s Statistic) String() string { return statisticNames[s] }

// IsMagnitude reports whether a is |x| of what the file holds. Where it holds squares, a is
// √x, which is NaN of a negative number.
func (s Statistic) IsMagnitude() bool { return s != MeanSqGrad && s != AdamSecondMoment }

// Magnitude turns what the file holds into a, in place.
func (s Statistic) Magnitude(x []float32) {
	if s.IsMagnitude() {
		vec.Abs(x, x)
		return
	}
	vec.Sqrt(x, x)
}

// parse finds name among names, or says which there are.
func parse[T ~uint8](what string, names []string, name string) (T, error) {
	if i := slices.Index(names, name); i >= 0 {
		return T(i), nil
	}
	return 0, fmt.Errorf("unknown %s %q: one of %s", what, name, strings.Join(names, ", "))
}
