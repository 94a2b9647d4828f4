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

// lay has every stage choose in whole rows before it works on their tiles. The tiles are those of the
// shape, whatever is kept, because stages of several merges may be shown the same ones ([Together]).
func (b *byRank[T]) lay(stages []Stage) []Stage {
	for i, st := range stages {
		stages[i] = inRows{st, b.rows, b.choose}
	}
	return stages
}

func (b *byRank[T]) sparsify(in input[T], k int, delta []T) {
	vec.Select(delta, in.s.rows.tile(k, in.Tile), 1)
}

// choose decides what is kept of a span of whole rows.
func (b *byRank[T]) choose(s *Scratch, sp *Span) {
	lo, hi := s.rows.begin(sp)
	for k := range b.models() {
		if b.keeps(k) != some {
			continue
		}
		for t := range sp.Tiles {
			s.reset()
			in := input[T]{b.job, s, sp, t}
			copy(s.rows.tile(k, t), magnitudes(in, in.delta(k, in.base())))
		}
		for at := lo; at < hi; at += b.rows.length {
			b.chooseRow(k, at, s.rows.run(k, at, min(at+b.rows.length, hi)), &s.rows)
		}
	}
}

// chooseRow turns the magnitudes of a row, whose first element is at, into 1 for what is kept and
// 0 for what is dropped. It drops zeros, which makes no difference.
//
// What bin of similar magnitudes an element is in tells its rank well enough to decide, for all but
// a few random numbers. Where it does not, the bin is sorted.
func (b *byRank[T]) chooseRow(k int, at int64, x []float32, m *rowMemory) {
	bins := &m.bins
	if !bins.sort(x) {
		return // all are 0
	}
	odds := odds{b.density[k] - b.epsilon[k], 2 * b.epsilon[k], float64(len(x) - 1)}
	m.limits = grown(m.limits, int64(len(bins.first)))
	for c, rank := range bins.first {
		if c > 0 && rank == bins.first[c-1] {
			m.limits[c] = m.limits[c-1]
			continue
		}
		m.limits[c] = odds.limit(rank)
	}
	m.luck, m.kept = grown(m.luck, int64(len(x))), grown(m.kept, int64(len(x)))
	luck, kept, limits := m.luck, m.kept, m.limits
	b.noise[k].fill(luck, at)
	unsure := false
	for i, v := range x {
		c, u := bins.of(v), math.Float32bits(luck[i])
		limit, next := limits[c], limits[c+1]
		kept[i] = oneUnless(u, limit)
		if u-next < limit-next && c > 0 { // next ≤ u < limit
			bins.marked[c] = true
			unsure = true
		}
	}
	if unsure {
		for i, rank := range m.ranks(x) {
			kept[i] = oneUnless(math.Float32bits(luck[i]), odds.limit(rank))
		}
	}
	copy(x, kept)
}

// oneUnless is 1 unless u is less than limit; then it is 0. A branch would be mispredicted.
func oneUnless(u, limit uint32) float32 {
	less := uint32((int64(u) - int64(limit)) >> 63)
	return math.Float32frombits(0x3f800000 &^ less)
}

// odds are the probabilities of the ranks in a row.
type odds struct{ least, span, last float64 }

// limit is the bits of the least random number that keeps the element of a rank. It never grows
// with the rank.
func (o odds) limit(rank uint32) uint32 {
	r := 0.5
	if o.last > 0 {
		r = float64(rank) / o.last
	}
	t := max(0, 2-(o.least+float64(o.span*r)))
	limit := float32(t)
	if float64(limit) < t {
		limit = nextUp(limit)
	}
	return math.Float32bits(limit)
}
