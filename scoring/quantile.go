package scoring

import (
	"math"

	"weld/internal/vec"
)

// Figures of the search.
const (
	infinityBits = 0x7f800000 // of +Inf: above all scores
	leadingBins  = 1 << 15    // of a pass over a wide interval: sign and leading half of the bits
	wideBins     = 1 << 16    // of a pass that ends a search without a sample
	narrowBins   = 3 << 18    // of a pass over an interval that a sample has narrowed
	keyBuffer    = 1 << 15    // candidates that a worker keeps before they are added
)

// SampleSize is how many scores make a sample that narrows a search well enough for
// one pass to finish it.
const SampleSize = 1 << 19

// CountsBytes is the memory of one [Counts], QuantileBytes the most that one
// [Quantile] takes, BracketBytes what it takes once a sample has narrowed it, SampleBytes what
// the sample of a model takes before, with a few bytes for each block of each tensor.
const (
	CountsBytes   = wideBins*4 + 2*keyBuffer*4
	QuantileBytes = wideBins * 8
	BracketBytes  = narrowBins * 8
	SampleBytes   = SampleSize*8 + SampleSize/2
)

// Counts is what one worker tallies, to be added to a [Quantile].
type Counts struct {
	above  int64
	only   int64     // inside an interval of one bin
	bins   []uint32  // of a wide interval
	keys   []uint32  // of candidates in a narrow one
	inside []float32 // scores of one tile inside the interval
}

// NewCounts allocates a worker's memory.
func NewCounts() *Counts {
	return &Counts{bins: make([]uint32, wideBins), keys: make([]uint32, 0, keyBuffer)}
}

// fit sees to buffers for a tile.
func (c *Counts) fit(n int) {
	if len(c.inside) < n {
		c.inside = make([]float32, n)
	}
}

// Full reports whether the counts must be added before the next tile of n scores.
func (c *Counts) Full(n int) bool { return len(c.keys)+n > cap(c.keys) }

// Quantile finds the k-th largest of a multiset of scores that is far too large to be
// kept or sorted: exactly, ties included, in fixed memory.
//
// Scores are float32, finite and at least 0, so they order as their bits do. The
// search keeps an interval of bits that holds the k-th largest. In each pass over the
// scores it counts those above the interval, and those in each of the equal bins that the
// interval is divided into; the bin that holds the k-th largest is the next interval. A
// bin of one value ends the search.
//
// Without a sample that takes two passes, one for each half of the bits. [Quantile.Narrow] begins
// with the interval that a sample gave, and one pass is enough. The counts are of all scores: a
// sample that misleads costs further passes, and never changes the result.
//
// A pass shows every score once, through Count into a [Counts] and from there through
// Add, or through a [RawHistogram]; then [Quantile.Next] ends it.
type Quantile struct {
	k      int64  // rank from the top, 1-based
	lo, hi uint32 // the k-th largest has bits in [lo, hi)
	narrow bool   // few scores are expected inside
	shift  uint   // bits of a bin's width
	above  int64  // scores at or above hi
	bins   []uint64
	ties   Ties // once found
}

// Ties are the scores that equal the k-th largest.
type Ties struct {
	Wanted int64 // of them are among the k largest
	Count  int64 // all
}

// NewQuantile looks for the k-th largest score, k ≥ 1.
func NewQuantile(k int64) *Quantile {
	q := &Quantile{k: k}
	q.narrowTo(0, infinityBits, false)
	return q
}

// narrowTo starts a pass over an interval.
func (q *Quantile) narrowTo(lo, hi uint32, narrow bool) {
	q.lo, q.hi, q.narrow, q.above = lo, hi, narrow, 0
	most := uint32(wideBins)
	switch {
	case narrow:
		most = narrowBins
	case hi-lo > wideBins:
		most = leadingBins
	}
	for q.shift = 0; (hi-lo-1)>>q.shift >= most; q.shift++ {
	}
	bins := int((hi-lo-1)>>q.shift + 1)
	if bins > cap(q.bins) {
		q.bins = make([]uint64, bins)
	}
	q.bins = q.bins[:bins]
	clear(q.bins)
}

// SampleSigma is how many standard deviations an estimate may be off. The deviation is itself
// estimated, from 16 values: one in 2000 is off by more.
const SampleSigma = 4.5

// Narrow starts the search, before its first pass, in the bracket that a sample gave.
func (q *Quantile) Narrow(b Bracket) { q.narrowTo(bitsOf(b.Low), bitsOf(b.High)+1, true) }

// bitsOf is the rank of a score among all float32 values from 0 on.
func bitsOf(s float32) uint32 { return math.Float32bits(s) &^ (1 << 31) }

// Window is the interval of a pass as scores before a normalisation.
type Window struct {
	low, high float32 // raw scores in [low, high) fall inside
	scale     Scale
}

// Window translates the interval for scores that sc has yet to normalise.
func (q *Quantile) Window(sc Scale) Window {
	return Window{sc.least(math.Float32frombits(q.lo)), sc.least(math.Float32frombits(q.hi)), sc}
}

// Window is that of a bracket.
func (b Bracket) Window(sc Scale) Window {
	return Window{sc.least(b.Low), sc.least(math.Float32frombits(bitsOf(b.High) + 1)), sc}
}

// Bounds are the raw scores [low, high) that fall inside.
func (w Window) Bounds() (low, high float32) { return w.low, w.high }

// Count tallies one tile of the pass, given in raw scores. [Counts.Full] must be
// false.
func (q *Quantile) Count(c *Counts, raw []float32, w Window) {
	c.fit(len(raw))
	if q.shift == 16 && q.lo == 0 && q.hi == infinityBits { // the whole range: nothing to choose
		inside := c.inside[:copy(c.inside, raw)]
		w.scale.Apply(inside)
		vec.HistogramHigh(c.bins, inside)
		return
	}
	n, above := vec.Between(c.inside, raw, w.low, w.high)
	c.above += int64(above)
	inside := c.inside[:n]
	if len(q.bins) == 1 {
		c.only += int64(len(inside))
		return
	}
	w.scale.Apply(inside)
	if !q.narrow {
		vec.HistogramKeys(c.bins, inside, q.lo, q.shift)
		return
	}
	at := len(c.keys)
	c.keys = c.keys[:at+n]
	vec.BitKeys(c.keys[at:], inside, q.lo, q.shift)
}

// AddRepeated counts n equal scores. Like [Quantile.Add] it is not safe for
// concurrent use.
func (q *Quantile) AddRepeated(s float32, n int64) {
	switch bits := bitsOf(s); {
	case bits >= q.hi:
		q.above += n
	case bits >= q.lo:
		q.bins[(bits-q.lo)>>q.shift] += uint64(n)
	}
}

// AddInside counts scores that a normalisation is yet to be applied to, of a pass in which so many others are above the
// interval. It normalises them in place. Like [Quantile.Add] it is not safe for concurrent use.
func (q *Quantile) AddInside(raw []float32, sc Scale, above int64) {
	q.above += above
	sc.Apply(raw)
	for _, s := range raw {
		q.AddRepeated(s, 1)
	}
}

// Apart reports whether the pass counts each value of its interval apart: then none follows, if the k-th largest is there.
func (q *Quantile) Apart() bool { return q.shift == 0 }

// Wrong reports, when a pass is through and before [Quantile.Next], whether the k-th largest is not inside the interval,
// and whether it is above it.
func (q *Quantile) Wrong() (wrong, higher bool) {
	inside := int64(0)
	for _, n := range q.bins {
		inside += int64(n)
	}
	return q.k <= q.above || q.k > q.above+inside && q.lo > 0, q.k <= q.above
}

// Beside is the interval next to a bracket, above it or below it, and so many times as wide.
func (b Bracket) Beside(higher bool, times int64) Bracket {
	low, high := int64(bitsOf(b.Low)), int64(bitsOf(b.High))
	width := times * (high - low + 1)
	if higher {
		low, high = high+1, high+width
	} else {
		low, high = low-width, low-1
	}
	within := func(bits int64) float32 { return math.Float32frombits(uint32(min(max(bits, 0), infinityBits-1))) }
	return Bracket{within(low), within(high)}
}

// Add moves a worker's counts into the quantile and empties them. It is not safe for
// concurrent use; the sums do not depend on the order.
func (q *Quantile) Add(c *Counts) {
	q.above += c.above
	q.bins[0] += uint64(c.only)
	c.above, c.only = 0, 0
	if q.narrow {
		for _, key := range c.keys {
			q.bins[key]++
		}
		c.keys = c.keys[:0]
		return
	}
	for i, n := range c.bins[:len(q.bins)] {
		if n != 0 {
			q.bins[i] += uint64(n)
			c.bins[i] = 0
		}
	}
}

// Next ends a pass, and reports whether the scores must be shown once more.
func (q *Quantile) Next() bool {
	if q.k <= q.above { // the sample misled
		q.narrowTo(q.hi, infinityBits, false)
		return true
	}
	left := q.k - q.above
	for i := len(q.bins) - 1; i >= 0; i-- {
		n := int64(q.bins[i])
		if left > n {
			left -= n
			continue
		}
		lo := q.lo + uint32(i)<<q.shift
		if q.shift > 0 {
			q.narrowTo(lo, min(lo+1<<q.shift, q.hi), false)
			return true
		}
		q.lo, q.ties = lo, Ties{left, n}
		return false
	}
	if q.lo > 0 { // the sample misled
		q.narrowTo(0, q.lo, false)
		return true
	}
	return false // fewer than k scores were shown: the least there is
}

// Ties are valid after [Quantile.Next] returned false.
func (q *Quantile) Ties() Ties { return q.ties }

// Rerank changes k, before [Quantile.Next]: the search may begin with a guess of it.
func (q *Quantile) Rerank(k int64) { q.k = k }

// Rank is k.
func (q *Quantile) Rank() int64 { return q.k }

// Value is the k-th largest score, valid after [Quantile.Next] returned false.
func (q *Quantile) Value() float32 { return math.Float32frombits(q.lo) }

// Rank is k = ⌈density·n⌉, between 0 and n.
func Rank(density float64, n int64) int64 {
	return min(max(int64(math.Ceil(density*float64(n))), 0), n)
}
