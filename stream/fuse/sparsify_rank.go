package fuse

import "weld/internal/vec"

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

// lay has every stage choose in whole rows before it works on their tiles.
func (b *byRank[T]) lay(stages []Stage) []Stage {
	for k := range b.models() {
		if b.keeps(k) == some {
			for i, st := range stages {
				stages[i] = inRows{st, b.rows, b.choose}
			}
			return stages
		}
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
// 0 for what is dropped.
func (b *byRank[T]) chooseRow(k int, at int64, x []float32, m *rowMemory) {
	order := m.sort(x)
	b.noise[k].fill(x, at)
	least, span := b.density[k]-b.epsilon[k], 2*b.epsilon[k]
	last := float64(len(x) - 1)
	for i, key := range order {
		r := 0.5
		if last > 0 {
			r = float64(i) / last
		}
		u := &x[uint32(key)]
		kept := float32(0)
		if float64(*u) >= 2-(least+float64(span*r)) {
			kept = 1
		}
		*u = kept
	}
}
