package scoring

import (
	"math"

	"weld/internal/vec"
)

// Held are the scores of a tensor that fall inside a [Bracket], of all tiles, until the k-th largest
// is found among them: what a sample narrows well enough need not be walked over again, neither
// for the value nor for where those equal to it lie.
type Held struct {
	bracket Bracket
	most    int      // values that are held; with more, none are
	over    bool     // there were more
	above   int64    // scores above the bracket
	values  []uint32 // bits of those inside, as they came
	tiles   []heldTile
}

// heldTile are the values of a tile.
type heldTile struct {
	tile       int64
	begin, end int
}

// NewHeld holds what is inside b: about so many scores, and no more than most.
func NewHeld(b Bracket, expected, most int64) *Held {
	return &Held{bracket: b, most: int(most), values: make([]uint32, 0, expected)}
}

// HeldRun is what one worker finds, to be added to a [Held]. It serves again after that.
type HeldRun struct {
	above  int64
	values []uint32
	inside []float32
	tiles  []heldTile
}

// Full reports whether the run is to be added before it grows further.
func (r *HeldRun) Full() bool { return len(r.values) >= heldRun }

// heldRun is how many values a run has about at most, HeldRunBytes what it takes.
const (
	heldRun      = 1 << 15
	HeldRunBytes = 4*heldRun + 3*4*8192
)

// Note looks at a tile's scores.
func (h *Held) Note(r *HeldRun, tile int64, scores []float32) {
	if len(r.inside) < len(scores) {
		r.inside = make([]float32, len(scores))
	}
	high := math.Float32frombits(bitsOf(h.bracket.High) + 1)
	n, above := vec.Between(r.inside, scores, h.bracket.Low, high)
	r.above += int64(above)
	begin := len(r.values)
	for _, v := range r.inside[:n] {
		r.values = append(r.values, bitsOf(v))
	}
	r.tiles = append(r.tiles, heldTile{tile, begin, len(r.values)})
}

// Add moves what a worker found and empties it. It is not safe for concurrent use.
func (h *Held) Add(r *HeldRun) {
	if h.over = h.over || len(h.values)+len(r.values) > h.most; h.over {
		h.values, h.tiles = nil, nil
		r.above, r.values, r.tiles = 0, r.values[:0], r.tiles[:0]
		return
	}
	shift := len(h.values)
	h.values = append(h.values, r.values...)
	for _, t := range r.tiles {
		h.tiles = append(h.tiles, heldTile{t.tile, t.begin + shift, t.end + shift})
	}
	h.above += r.above
	r.above, r.values, r.tiles = 0, r.values[:0], r.tiles[:0]
}

// Find finds the k-th largest of all scores; ok is false if it is outside the bracket, or more were
// inside than could be held.
func (h *Held) Find(k int64) (value float32, ties Ties, ok bool) {
	left := k - h.above
	if left < 1 || left > int64(len(h.values)) {
		return 0, Ties{}, false
	}
	lo, hi := bitsOf(h.bracket.Low), bitsOf(h.bracket.High)+1
	most := uint32(256)
	for most < heldBins && int(most) < len(h.values)/4 {
		most *= 2
	}
	bins := make([]uint32, most)
	for {
		shift := uint(0)
		for ; (hi-lo-1)>>shift >= most; shift++ {
		}
		clear(bins)
		for _, v := range h.values {
			if d := v - lo; d < hi-lo {
				bins[d>>(shift&31)]++
			}
		}
		i := uint32((hi - lo - 1) >> shift)
		for left > int64(bins[i]) {
			left -= int64(bins[i])
			i--
		}
		if shift == 0 {
			return math.Float32frombits(lo + i), Ties{left, int64(bins[i])}, true
		}
		lo, hi = lo+i<<shift, min(lo+(i+1)<<shift, hi)
	}
}

// heldBins is the most bins that values are sorted into at once.
const heldBins = 1 << 15

// Equal calls yield with the tiles that have values equal to one, and how many; the tiles come in no
// order.
func (h *Held) Equal(value float32, yield func(tile int64, n int64)) {
	bits := bitsOf(value)
	for _, t := range h.tiles {
		n := int64(0)
		for _, v := range h.values[t.begin:t.end] {
			if v == bits {
				n++
			}
		}
		if n > 0 {
			yield(t.tile, n)
		}
	}
}
