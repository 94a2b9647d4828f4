package scoring

import (
	"math"

	"weld/internal/vec"
)

// RawHistogram counts raw scores of one tensor whose divisor is not known yet, so that summing
// them up and counting them is one walk. Around where the model's quantile will fall, every
// float32 value, or every value that a coarser grain of scores allows, has a bin of its
// own: scores that differ once they are divided are counted apart. [RawHistogram.Settle] finds out
// where the estimates behind it were wrong.
type RawHistogram struct {
	elements int64
	lo, hi   uint32 // bits of the raw scores that have bins; multiples of the grain
	grain    uint   // trailing bits that are 0 in all scores
	above    int64  // scores at or above hi
	seen     uint32 // bits below the grain that were set after all
	bins     []uint32
}

// NewRawHistogram makes the histogram of a tensor for a quantile that lies in b; nil if its bins would
// take more than limit bytes.
func (n Normalization) NewRawHistogram(s *Sketch, b Bracket, limit int64) *RawHistogram {
	d, e := n.divisor(s, 0, 1), n.uncertainty(s)
	low, high := float64(b.Low)*d*(1-e), float64(b.High)*d*(1+e)
	if !(high < math.MaxFloat32) || s.elements > math.MaxUint32 {
		return nil
	}
	t := &RawHistogram{elements: s.elements, grain: s.grain()}
	t.lo = bitsOf(float32(max(0, low))) >> t.grain << t.grain
	t.hi = (bitsOf(float32(high))>>t.grain + 2) << t.grain
	if t.Bytes() > limit || t.hi > infinityBits {
		return nil
	}
	return t
}

// Bytes is what the histogram takes once it is open.
func (t *RawHistogram) Bytes() int64 {
	if t == nil {
		return 0
	}
	return int64((t.hi-t.lo)>>t.grain) * 4
}

// Open makes the bins.
func (t *RawHistogram) Open() { t.bins = make([]uint32, t.Bytes()/4) }

// Count tallies one tile. [Counts.Full] must be false.
func (t *RawHistogram) Count(c *Counts, raw []float32) {
	c.fit(len(raw))
	inside, above := vec.Between(c.inside, raw, math.Float32frombits(t.lo), math.Float32frombits(t.hi))
	c.above += int64(above)
	at := len(c.keys)
	c.keys = c.keys[:at+inside]
	vec.BitKeys(c.keys[at:], c.inside[:inside], t.lo, 0)
}

// Add moves a worker's counts into the histogram and empties them. It is not safe for
// concurrent use.
func (t *RawHistogram) Add(c *Counts) {
	t.above += c.above
	c.above = 0
	var seen uint32
	for _, key := range c.keys {
		seen |= key
		t.bins[key>>(t.grain&31)]++
	}
	t.seen |= seen & (1<<t.grain - 1)
	c.keys = c.keys[:0]
}

// Settle shows all scores of the tensor to the quantile, normalised by the scale that is
// now known. It reports false, and shows none, if the bins do not cover the
// quantile's interval: then the scores must be counted one by one.
func (t *RawHistogram) Settle(q *Quantile, sc Scale) bool {
	if sc.Divisor == 0 {
		q.AddRepeated(0, t.elements)
		return true
	}
	w := q.Window(sc)
	low, high := bitsOf(w.low), bitsOf(w.high)
	if low < t.lo || high > t.hi || t.seen != 0 {
		return false
	}
	q.above += t.above
	for i, n := range t.bins {
		if n == 0 {
			continue
		}
		switch bits := t.lo + uint32(i)<<t.grain; {
		case bits >= high:
			q.above += int64(n)
		case bits >= low:
			q.AddRepeated(sc.One(math.Float32frombits(bits)), int64(n))
		}
	}
	return true
}
