package sparsify

import (
	"weld/internal/vec"
	"weld/stream/fuse"
)

// byChance keeps each element with probability d.
type byChance[T vec.Float] struct {
	*fuse.Fusion
	chance
}

func (b *byChance[T]) search() []fuse.Stage { return nil }

func (b *byChance[T]) sparsify(in fuse.Operands[T], k int, delta []T) {
	vec.SelectBits(delta, b.mask(in, k))
}

// mask implements [masker].
func (b *byChance[T]) mask(in fuse.Operands[T], k int) []uint32 {
	return b.noise[k].Mask(fuse.Memory[workerMemory](in.Scratch).mask[:], in.Lo, in.Hi, b.density[k])
}

func (b *byChance[T]) lay(stages []fuse.Stage) []fuse.Stage { return stages }

// chance is what decides about each model that has a tensor.
type chance struct {
	density []float64
	noise   []Noise
}

func newChance(f *fuse.Fusion, seed uint64, shares []Share) (c chance) {
	for k, model := range f.Present {
		c.density = append(c.density, shares[k].Density)
		c.noise = append(c.noise, NewNoise(seed, model, f.Name))
	}
	return c
}

func (c chance) keeps(k int) extent { return extentOf(c.density[k]) }
