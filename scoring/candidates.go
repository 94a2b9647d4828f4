package scoring

import (
	"math"
	"slices"

	"weld/internal/vec"
)

// Candidates are the scores of a tensor that fall inside a [Bracket]. The k-th largest of all is found among them,
// and so are the tiles of those equal to it: a tensor for which a sample gave a narrow bracket is walked over once.
type Candidates struct {
	bracket Bracket
	most    int       // values that are kept; with more, none are
	over    bool      // there were more
	above   int64     // scores above the bracket
	values  []float32 // those inside, as they came
	tiles   []tileCandidates
}

// tileCandidates are the values of a tile.
type tileCandidates struct {
	tile       int64
	begin, end int
}

// NewCandidates keeps what is inside b: about expected scores, and no more than most.
func NewCandidates(b Bracket, expected, most int64) *Candidates {
	return &Candidates{bracket: b, most: int(most), values: make([]float32, 0, expected)}
}

// CandidateRun is what one worker finds, to be added to the [Candidates]. It can be used again after that.
type CandidateRun struct {
	above  int64
	values []float32
	tiles  []tileCandidates
}

// Full reports whether the run is to be added before it grows further.
func (r *CandidateRun) Full() bool { return len(r.values) >= candidateRun }

// Bytes is what the run takes.
func (r *CandidateRun) Bytes() int64 {
	return int64(cap(r.values))*4 + int64(cap(r.tiles))*3*8
}

// candidateRun is how many values a run has about at most, and candidateTileBuffer the most that a tile adds to them;
// CandidateRunBytes is what it takes.
const (
	candidateRun        = 1 << 15
	candidateTileBuffer = 1 << 13
	CandidateRunBytes   = 4*(candidateRun+candidateTileBuffer) + 2*4*candidateTileBuffer
)

// Note looks at a tile's scores.
func (h *Candidates) Note(r *CandidateRun, tile int64, scores []float32) {
	if r.values == nil {
		r.values = make([]float32, 0, candidateRun+candidateTileBuffer)
	}
	begin := len(r.values)
	r.values = slices.Grow(r.values, len(scores))[:begin+len(scores)]
	high := math.Float32frombits(bitsOf(h.bracket.High) + 1)
	n, above := vec.Between(r.values[begin:], scores, h.bracket.Low, high)
	r.above += int64(above)
	r.values = r.values[:begin+n]
	r.tiles = append(r.tiles, tileCandidates{tile, begin, len(r.values)})
}

// Add moves what a worker found and empties it. It is not safe for concurrent use.
func (h *Candidates) Add(r *CandidateRun) {
	if h.over = h.over || len(h.values)+len(r.values) > h.most; h.over {
		h.values, h.tiles = nil, nil
		r.above, r.values, r.tiles = 0, r.values[:0], r.tiles[:0]
		return
	}
	shift := len(h.values)
	h.values = append(h.values, r.values...)
	for _, t := range r.tiles {
		h.tiles = append(h.tiles, tileCandidates{t.tile, t.begin + shift, t.end + shift})
	}
	h.above += r.above
	r.above, r.values, r.tiles = 0, r.values[:0], r.tiles[:0]
}

// Find finds the k-th largest of all scores; ok is false if it is outside the bracket, or more were
// inside than could be kept.
func (h *Candidates) Find(k int64) (value float32, ties Ties, ok bool) {
	left := k - h.above
	if left < 1 || left > int64(len(h.values)) {
		return 0, Ties{}, false
	}
	var f KthFinder
	value, ties = f.find(h.values, bitsOf(h.bracket.Low), bitsOf(h.bracket.High)+1, left)
	return value, ties, true
}

// Equal calls yield with the tiles that have values equal to one, and how many; the tiles come in no
// order.
func (h *Candidates) Equal(value float32, yield func(tile int64, n int64)) {
	for _, t := range h.tiles {
		n := int64(0)
		for _, v := range h.values[t.begin:t.end] {
			if v == value {
				n++
			}
		}
		if n > 0 {
			yield(t.tile, n)
		}
	}
}
