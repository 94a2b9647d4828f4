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
	height := in.s.mark()
	u := take[float32](in.s, len(delta))
	b.noise[k].fill(u, in.Lo)
	vec.Select(delta, u, float32(2-b.density[k]))
	in.s.release(height)
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
