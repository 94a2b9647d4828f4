package sparsify

import (
	"math"

	"weld/internal/vec"
	"weld/stream/fuse"
)

// byRank keeps an element with probability (d−ε) + 2ε·r, r the rank of its magnitude in its row,
// from 0 for the smallest to 1 for the largest; in a row of one element, ½.
type byRank[T vec.Float] struct {
	*fuse.Fusion
	chance
	rows    rows
	chosen  chosen
	epsilon []float64
}

func newByRank[T vec.Float](f *fuse.Fusion, seed uint64, shares []Share) *byRank[T] {
	b := &byRank[T]{Fusion: f, chance: newChance(f, seed, shares), rows: rowsOf(f.Job)}
	for _, s := range shares {
		b.epsilon = append(b.epsilon, s.Epsilon)
	}
	return b
}

func (b *byRank[T]) search() []fuse.Stage { return nil }

// lay has every stage choose in whole rows before it works on their tiles, or remember what was chosen. The
// tiles are those of the shape, whatever is kept, because stages of several merges may be shown the same
// ones ([fuse.Joint]).
func (b *byRank[T]) lay(stages []fuse.Stage) []fuse.Stage {
	if len(stages) > 1 {
		masked := make([]bool, b.Count())
		for k := range masked {
			masked[k] = b.keeps(k) == some
		}
		b.chosen = newChosen(b.rows, masked)
	}
	for i, st := range stages {
		stages[i] = inRows{st, b.rows, b.choose}
	}
	return stages
}

func (b *byRank[T]) sparsify(in fuse.Operands[T], k int, delta []T) {
	vec.SelectBits(delta, b.mask(in, k))
}

// mask implements [masker].
func (b *byRank[T]) mask(in fuse.Operands[T], k int) []uint32 {
	own := fuse.Memory[workerMemory](in.Scratch)
	return own.rows.mask(own.mask[:], k, in.Tile)
}

// choose decides what is kept of a span of whole rows. Most elements have a number that every rank or
// none would be kept with; rows are ranked for the sake of the others.
func (b *byRank[T]) choose(s *fuse.Scratch, sp *fuse.Span, whole int64) {
	own := fuse.Memory[workerMemory](s)
	m := &own.rows
	lo, hi := m.begin(sp)
	if b.chosen.recall(m, whole) {
		return
	}
	for k := range b.Count() {
		if b.keeps(k) != some {
			continue
		}
		for t := range sp.Tiles {
			s.Reset()
			in := fuse.Operands[T]{Fusion: b.Fusion, Scratch: s, Span: sp, Tile: t}
			in.Distance(m.sizes[t.Lo-lo:t.Hi-lo], k)
		}
		m.draw(k, b.noise[k])
		for at := lo; at < hi; at += b.rows.length {
			m.chooseRow(k, int(at-lo), int(min(at+b.rows.length, hi)-lo), odds{b.density[k] - b.epsilon[k], 2 * b.epsilon[k]})
		}
		m.norms[k] = m.norms[k][:0]
		for t := range sp.Tiles {
			before, after := vec.SumAbsBits(m.sizes[t.Lo-lo:t.Hi-lo], m.mask(own.mask[:], k, t))
			m.norms[k] = append(m.norms[k], fuse.L1{Before: before, After: after})
		}
	}
	b.chosen.note(m, whole)
}

// norm implements [normed], where all elements are finite.
func (b *byRank[T]) norm(in fuse.Operands[T], k int) (n fuse.L1, ok bool) {
	if _, wide := any(T(0)).(float64); wide {
		return n, false // sizes are of float32
	}
	norms := fuse.Memory[workerMemory](in.Scratch).rows.norms[k]
	n = norms[in.Index-in.Span.First]
	return n, n.Before < math.MaxFloat32 // what is not finite has at least that size
}

// odds are the probabilities of ranks, from the lowest on.
type odds struct{ least, span float64 }

// atMost is the largest number that keeps the element of a rank among n, at least two. It never falls
// with the rank.
func (o odds) atMost(rank, n int) int32 {
	return atMost(o.least + float64(o.span*(float64(rank)/float64(n-1))))
}

// draw draws the numbers of all elements. Nothing is kept yet.
func (m *rowMemory) draw(k int, random Noise) {
	m.kept[k] = grown(m.kept[k], words(m.hi-m.lo)+1)
	clear(m.kept[k])
	m.numbers = random.Numbers(m.buffer, m.lo, m.hi)
}

// chooseRow chooses from the elements [from, to), a row. It drops zeros if they need a rank, which makes no
// difference.
//
// Most elements have a number that every rank would be kept with, or none. For most others, the bin of
// similar magnitudes that they are in gives the rank well enough. The exact rank decides about what is left.
func (m *rowMemory) chooseRow(k, from, to int, o odds) {
	n := to - from
	if n == 1 {
		o, n = odds{o.least + o.span/2, 0}, 2
	}
	used := int(words(int64(to - from)))
	sure, open, numbers := m.sure[:used], m.open[:used], m.numbers[from:from+32*used]
	vec.AtMost(sure, numbers, o.atMost(0, n))
	vec.AtMost(open, numbers, o.atMost(n-1, n))
	for i, s := range sure {
		open[i] &^= s
	}
	if rest := uint(to-from) % 32; rest > 0 {
		sure[used-1] &= 1<<rest - 1
		open[used-1] &= 1<<rest - 1
	}
	if r := &m.ranks; o.span > 0 && r.sort(m.sizes[from:to]) {
		const slack = 8 // what computes limits is that precise
		step := o.span * (1 << 31) / float64(n-1)
		vec.AddLimits(r.limits, r.first, r.next, o.least*(1<<31)-slack, step, 2*slack)
		vec.Settle(sure, open, numbers, r.bins, r.limits)
		r.find(open)
		for u, i := range r.unsure {
			if numbers[i] <= o.atMost(int(r.ranks[u]), n) {
				sure[i/32] |= 1 << (i % 32)
			}
		}
	}
	deposit(m.kept[k], sure, from)
}
