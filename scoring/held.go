package scoring

import (
	"math"
	"slices"

	"weld/internal/vec"
)

// Held are the scores of a tensor that fall inside a [Bracket], of all tiles, until the k-th largest
// is found among them: what a sample narrows well enough need not be walked over again, neither
// for the value nor for where those equal to it lie.
type Held struct {
	bracket Bracket
	most    int       // values that are held; with more, none are
	over    bool      // there were more
	above   int64     // scores above the bracket
	values  []float32 // those inside, as they came
	tiles   []heldTile
}

// heldTile are the values of a tile.
type heldTile struct {
	tile       int64
	begin, end int
}

// NewHeld holds what is inside b: about so many scores, and no more than most.
func NewHeld(b Bracket, expected, most int64) *Held {
	return &Held{bracket: b, most: int(most), values: make([]float32, 0, expected)}
}

// HeldRun is what one worker finds, to be added to a [Held]. It serves again after that.
type HeldRun struct {
	above  int64
	values []float32
	tiles  []heldTile
}

// Full reports whether the run is to be added before it grows further.
func (r *HeldRun) Full() bool { return len(r.values) >= heldRun }

// heldRun is how many values a run has about at most, and heldTileRoom the most that a tile adds to them;
// HeldRunBytes is what it takes.
const (
	heldRun      = 1 << 15
	heldTileRoom = 1 << 13
	HeldRunBytes = 4*(heldRun+heldTileRoom) + 2*4*heldTileRoom
)

// Note looks at a tile's scores.
func (h *Held) Note(r *HeldRun, tile int64, scores []float32) {
	if r.values == nil {
		r.values = make([]float32, 0, heldRun+heldTileRoom)
	}
	begin := len(r.values)
	r.values = slices.Grow(r.values, len(scores))[:begin+len(scores)]
	high := math.Float32frombits(bitsOf(h.bracket.High) + 1)
	n, above := vec.Between(r.values[begin:], scores, h.bracket.Low, high)
	r.above += int64(above)
	r.values = r.values[:begin+n]
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
	var f Finder
	value, ties = f.find(h.values, bitsOf(h.bracket.Low), bitsOf(h.bracket.High)+1, left)
	return value, ties, true
}

// Equal calls yield with the tiles that have values equal to one, and how many; the tiles come in no
// order.
func (h *Held) Equal(value float32, yield func(tile int64, n int64)) {
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
