package fuse

import (
	"math"

	"weld/internal/vec"
)

// byRank keeps an element with probability (d−ε) + 2ε·r, r the rank of its magnitude in its row,
// from 0 for the smallest to 1 for the largest; in a row of one element, ½.
type byRank[T vec.Float] struct {
	*job
	chance
	rows    rows
	chosen  chosen
	epsilon []float64
}

func newByRank[T vec.Float](j *job) *byRank[T] {
	b := &byRank[T]{job: j, chance: newChance(j), rows: rowsOf(j.Job)}
	for k := range j.models() {
		b.epsilon = append(b.epsilon, j.own(k, "epsilon"))
	}
	return b
}

func (b *byRank[T]) search() []Stage { return nil }

// lay has every stage choose in whole rows before it works on their tiles, or remember what was chosen. The
// tiles are those of the shape, whatever is kept, because stages of several merges may be shown the same
// ones ([Together]).
func (b *byRank[T]) lay(stages []Stage) []Stage {
	if len(stages) > 1 {
		masked := make([]bool, b.models())
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

func (b *byRank[T]) sparsify(in input[T], k int, delta []T) { vec.SelectBits(delta, b.mask(in, k)) }

// mask implements [masker].
func (b *byRank[T]) mask(in input[T], k int) []uint32 {
	return in.s.rows.mask(in.s.mask[:], k, in.Tile)
}

// choose decides what is kept of a span of whole rows. Most elements have a number that every rank or
// none would be kept with; rows are ranked for the sake of the others.
func (b *byRank[T]) choose(s *Scratch, sp *Span, whole int64) {
	m := &s.rows
	lo, hi := m.begin(sp)
	if b.chosen.recall(m, whole) {
		return
	}
	for k := range b.models() {
		if b.keeps(k) != some {
			continue
		}
		for t := range sp.Tiles {
			s.reset()
			in := input[T]{b.job, s, sp, t}
			in.distance(m.sizes[t.Lo-lo:t.Hi-lo], k)
		}
		m.draw(k, b.noise[k])
		for at := lo; at < hi; at += b.rows.length {
			m.chooseRow(k, int(at-lo), int(min(at+b.rows.length, hi)-lo), odds{b.density[k] - b.epsilon[k], 2 * b.epsilon[k]})
		}
		m.norms[k] = m.norms[k][:0]
		for t := range sp.Tiles {
			before, after := vec.SumAbsBits(m.sizes[t.Lo-lo:t.Hi-lo], m.mask(s.mask[:], k, t))
			m.norms[k] = append(m.norms[k], l1Pair{before, after})
		}
	}
	b.chosen.note(m, whole)
}

// norm implements [normed], where all elements are finite.
func (b *byRank[T]) norm(in input[T], k int) (n l1Pair, ok bool) {
	if _, wide := any(T(0)).(float64); wide {
		return n, false // sizes are of float32
	}
	norms := in.s.rows.norms[k]
	n = norms[in.Index-in.span.First]
	return n, n.before < math.MaxFloat32 // what is not finite has at least that size
}

// odds are the probabilities of ranks, from the lowest on.
type odds struct{ least, span float64 }

// atMost is the largest number that keeps the element of a rank among n, at least two. It never falls
// with the rank.
func (o odds) atMost(rank, n int) int32 {
	return atMost(o.least + float64(o.span*(float64(rank)/float64(n-1))))
}

// draw draws the numbers of all elements. Nothing is kept yet.
func (m *rowMemory) draw(k int, luck noise) {
	m.kept[k] = grown(m.kept[k], words(m.hi-m.lo)+1)
	clear(m.kept[k])
	m.numbers = luck.numbers(m.room, m.lo, m.hi)
}

// chooseRow chooses from the elements [from, to), a row. It drops zeros if they need a rank, which makes no
// difference.
//
// Most elements have a number that every rank would be kept with, or none. For most others, the bin of
// similar magnitudes that they are in tells the rank well enough. The exact rank decides about what is left.
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
