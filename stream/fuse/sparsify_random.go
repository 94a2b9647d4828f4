package fuse

import "weld/internal/vec"

// byChance keeps each element with probability d.
type byChance[T vec.Float] struct {
	*job
	chance
}

func newByChance[T vec.Float](j *job) *byChance[T] { return &byChance[T]{j, newChance(j)} }

func (b *byChance[T]) search() []Stage { return nil }

func (b *byChance[T]) sparsify(in input[T], k int, delta []T) {
	vec.SelectBits(delta, b.mask(in, k))
}

// mask implements [masker].
func (b *byChance[T]) mask(in input[T], k int) []uint32 {
	return b.noise[k].mask(in.s.mask[:], in.Lo, in.Hi, b.density[k])
}

func (b *byChance[T]) lay(stages []Stage) []Stage { return stages }

// chance is the luck of each model that has a tensor.
type chance struct {
	density []float64
	noise   []noise
}

func newChance(j *job) (c chance) {
	seed := uint64(j.shared("seed"))
	for k, model := range j.sources {
		c.density = append(c.density, j.own(k, "density"))
		c.noise = append(c.noise, newNoise(seed, model, j.Name))
	}
	return c
}

func (c chance) keeps(k int) extent { return extentOf(c.density[k]) }
