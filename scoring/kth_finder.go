package scoring

import (
	"math"

	"weld/internal/vec"
)

// FindBytes bounds the memory of a [KthFinder].
const FindBytes = 4*mostBins + 4*findBuffer

// Figures of a search among scores in memory.
const (
	fewestBins = 1 << 8
	mostBins   = leadingBins
	findTile   = 1 << 13 // scores that are looked at together
	findBuffer = 3 * findTile
)

// KthFinder searches scores that are all in memory by histograms, as [Quantile] does. It can be used again, with the memory that it has. The zero
// value is ready.
type KthFinder struct {
	bins   []uint32
	buffer []float32
}

// Find finds the k-th largest of scores, 1 ≤ k ≤ their number, and how many equal it.
func (f *KthFinder) Find(scores []float32, k int64) (float32, Ties) {
	return f.find(scores, 0, infinityBits, k)
}

// find is [KthFinder.Find] among scores whose bits are in [lo, hi).
func (f *KthFinder) find(scores []float32, lo, hi uint32, k int64) (float32, Ties) {
	all, ours := true, false // scores are all inside the interval; they lie in the buffer
	f.fit(len(scores))
	for {
		bins, shift := f.binsFor(lo, hi, len(scores))
		if all {
			tally(bins, scores, lo, shift)
		} else {
			for at := 0; at < len(scores); at += findTile {
				tally(bins, f.inside(0, scores[at:min(at+findTile, len(scores))], lo, hi), lo, shift)
			}
		}
		i := uint32((hi - lo - 1) >> shift)
		for ; k > int64(bins[i]); i-- {
			k -= int64(bins[i])
		}
		if shift == 0 {
			return math.Float32frombits(lo + i), Ties{k, int64(bins[i])}
		}
		lo, hi = lo+i<<shift, min(lo+(i+1)<<shift, hi)
		switch n := int(bins[i]); {
		case all && n == len(scores):
		case ours:
			scores = f.inside(0, scores, lo, hi)
		case n+min(findTile, len(scores)) <= len(f.buffer):
			kept := 0
			for at := 0; at < len(scores); at += findTile {
				kept += len(f.inside(kept, scores[at:min(at+findTile, len(scores))], lo, hi))
			}
			scores, all, ours = f.buffer[:kept], true, true
		default:
			all = false
		}
	}
}

// fit sees to bins and a buffer for a search among n scores.
func (f *KthFinder) fit(n int) {
	if size := min(n+min(n, findTile), findBuffer); len(f.buffer) < size {
		f.buffer = make([]float32, size)
	}
	most := fewestBins
	for most < mostBins && most < n/4 {
		most *= 2
	}
	if len(f.bins) < most {
		f.bins = make([]uint32, most)
	}
}

// binsFor makes bins for an interval, as many as n scores are worth, and says how wide they are.
func (f *KthFinder) binsFor(lo, hi uint32, n int) (bins []uint32, shift uint) {
	most := fewestBins
	for most < len(f.bins) && most < n/4 {
		most *= 2
	}
	for ; (hi-lo-1)>>shift >= uint32(most); shift++ {
	}
	clear(f.bins[:most])
	return f.bins[:most], shift
}

// tally counts scores whose bits are at least lo.
func tally(bins []uint32, scores []float32, lo uint32, shift uint) {
	if lo == 0 && shift == 16 && len(bins) == leadingBins {
		vec.HistogramHigh(bins, scores)
	} else {
		vec.HistogramKeys(bins, scores, lo, shift)
	}
}

// inside moves to the buffer, from index at on, the scores whose bits are in [lo, hi).
func (f *KthFinder) inside(at int, scores []float32, lo, hi uint32) []float32 {
	n, _ := vec.Between(f.buffer[at:][:len(scores)], scores, math.Float32frombits(lo), math.Float32frombits(hi))
	return f.buffer[at:][:n]
}
