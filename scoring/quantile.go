package scoring

import (
	"math"

	"weld/internal/vec"
)

// The bits of a score are counted in two passes: first the leading half, whose
// sign bit is always 0, then the half below, inside the one leading bin that holds
// the quantile.
const (
	highBins = 1 << 15
	lowBins  = 1 << 16
)

// Counts is a histogram that one worker fills, to be added to a [Quantile]. It can
// take 2³² − 1 scores between two [Quantile.Add].
type Counts struct{ bins []uint32 }

// NewCounts allocates a worker's histogram: 256 KiB, whatever is counted.
func NewCounts() *Counts { return &Counts{bins: make([]uint32, lowBins)} }

// CountsBytes is the memory of one [Counts], QuantileBytes that of one [Quantile].
const (
	CountsBytes   = lowBins * 4
	QuantileBytes = lowBins * 8
)

// Quantile finds the k-th largest of a multiset of scores that is far too large to
// be held or sorted: exactly, with ties, in two passes over the scores and half a
// megabyte.
//
// In each pass every score is shown once, through Count into a [Counts] and from
// there through Add; then [Quantile.Next] ends the pass. Scores are finite and at
// least 0.
type Quantile struct {
	k      int64 // rank from the top, 1-based, among the scores not yet counted out
	bins   []uint64
	prefix uint32 // leading bits of the threshold, once known
	pass   int    // 0: leading bits, 1: trailing bits, 2: found
	bits   uint32
}

// NewQuantile looks for the k-th largest score, k ≥ 1.
func NewQuantile(k int64) *Quantile {
	return &Quantile{k: k, bins: make([]uint64, lowBins)}
}

// Count tallies one tile of the current pass.
func (q *Quantile) Count(c *Counts, s []float32) {
	if q.pass == 0 {
		vec.HistogramHigh(c.bins[:highBins], s)
		return
	}
	vec.HistogramLow(c.bins, s, q.prefix)
}

// AddRepeated counts n equal scores. Like [Quantile.Add] it is not safe for
// concurrent use.
func (q *Quantile) AddRepeated(s float32, n int64) {
	bits := math.Float32bits(s)
	if q.pass == 0 {
		q.bins[bits>>16] += uint64(n)
	} else if bits>>16 == q.prefix {
		q.bins[bits&0xffff] += uint64(n)
	}
}

// Add moves a worker's counts into the quantile and empties them. It is not safe
// for concurrent use; the sums do not depend on the order.
func (q *Quantile) Add(c *Counts) {
	bins := c.bins
	if q.pass == 0 {
		bins = bins[:highBins]
	}
	for i, n := range bins {
		if n != 0 {
			q.bins[i] += uint64(n)
			bins[i] = 0
		}
	}
}

// Next ends a pass, and reports whether the scores must be shown once more.
func (q *Quantile) Next() bool {
	bin := q.locate()
	q.pass++
	if q.pass == 1 {
		q.prefix = bin
		clear(q.bins)
		return true
	}
	q.bits = q.prefix<<16 | bin
	q.bins = nil
	return false
}

// locate finds the bin that holds the k-th largest score and takes the scores
// above it off k. If fewer than k scores were shown it is the lowest bin.
func (q *Quantile) locate() uint32 {
	for i := len(q.bins) - 1; i > 0; i-- {
		n := int64(q.bins[i])
		if q.k <= n {
			return uint32(i)
		}
		q.k -= n
	}
	return 0
}

// Value is the k-th largest score, valid after [Quantile.Next] returned false.
func (q *Quantile) Value() float32 { return math.Float32frombits(q.bits) }

// Rank is k = ⌈density·n⌉, between 0 and n.
func Rank(density float64, n int64) int64 {
	return min(max(int64(math.Ceil(density*float64(n))), 0), n)
}

// Cut is a mask rule: which scores are kept.
type Cut struct {
	All bool    // keep everything, scores of 0 too
	T   float32 // otherwise keep s ≥ T and s > 0
}

// CutAll keeps everything, CutNone nothing.
var (
	CutAll  = Cut{All: true}
	CutNone = Cut{T: float32(math.Inf(1))}
)

// Select sets to 0 the elements of x whose scores are not kept, and returns how
// many scores are.
func Select[T vec.Float](c Cut, x []T, s []float32) int {
	if c.All {
		return len(x)
	}
	return vec.Select(x, s, c.T)
}

// Kept counts the scores that are kept.
func (c Cut) Kept(s []float32) int {
	if c.All {
		return len(s)
	}
	return vec.CountAtLeast(s, c.T)
}

// One reports whether a single score is kept.
func (c Cut) One(s float32) bool { return c.All || (s >= c.T && s > 0) }
