package sparsify

import (
	"math"

	"weld/format"
	"weld/internal/vec"
	"weld/stream/fuse"
)

// Arithmetic is generalised task arithmetic of one tensor, with sparse task vectors:
//
//	τₜ = S(δₜ), times Σ|δₜ| / Σ|S(δₜ)| if rescale
//	dₜ = wₜ τₜ
//	consensus:  s = +1 if Σ dₜ ≥ 0 else −1;  mₜ = [sign(dₜ) = s];  D = Σ mₜdₜ;  Z = Σ mₜwₜ (0 → 1)
//	otherwise:  D = Σ dₜ;  Z = Σ wₜ (|Z| < 1e-8 → 1)
//	normalize:  D = D / Z
//	θ = θ₀ + λ D
type Arithmetic struct {
	Rule      Rule
	Consensus bool
	Normalize bool
	Rescale   bool
	Lambda    float64
	Seed      uint64
	Weights   []float64 // of the models that have the tensor
	Shares    []Share   // likewise
}

// ArithmeticTiles are the tiles of scratch that a stage takes.
func ArithmeticTiles(rule Rule, models int) int { return models + 8 + rule.tiles(models) }

// Stages merge a tensor.
func Stages[T vec.Float](f *fuse.Fusion, a Arithmetic) []fuse.Stage {
	g := &arithmetic[T]{
		Fusion: f, sparsifier: newSparsifier[T](a.Rule, f, a.Seed, a.Shares),
		consensus: a.Consensus, normalize: a.Normalize, rescale: a.Rescale,
		divisor: 1, lambda: T(a.Lambda),
	}
	for _, w := range a.Weights {
		g.weights = append(g.weights, T(w))
		g.factors = append(g.factors, 1)
	}
	if g.normalize && !g.consensus {
		g.divisor = T(WeightSum(a.Weights))
	}
	return g.stages()
}

// negligible is the sum of weights below which task vectors are not divided by it.
const negligible = 1e-8

// WeightSum is Σ w, or 1 where that is next to nothing.
func WeightSum(w []float64) float64 {
	var s float64
	for _, x := range w {
		s += x
	}
	if s >= negligible || s <= -negligible {
		return s
	}
	return 1
}

// arithmetic merges one tensor.
type arithmetic[T vec.Float] struct {
	*fuse.Fusion
	sparsifier[T]
	consensus, normalize, rescale bool

	weights []T
	factors []T // of the rescaling
	divisor T   // Z without consensus, where it is the same for all elements
	lambda  T
}

func (g *arithmetic[T]) stages() []fuse.Stage {
	stages := g.search()
	if g.rescale && g.sparse() {
		stages = append(stages, g.norms())
	}
	return g.lay(append(stages, fuse.Produce(g.Fusion, g.merged)))
}

// sparse reports whether some of any task vector is dropped.
func (g *arithmetic[T]) sparse() bool {
	for k := range g.weights {
		if g.keeps(k) == some {
			return true
		}
	}
	return false
}

// norms measures what the sparsifier leaves of the task vectors' L1 norms, and makes factors of it.
func (g *arithmetic[T]) norms() fuse.Stage {
	total := make([]fuse.L1, g.Count())
	return fuse.Measure(g.Fusion, fuse.Reads{Base: true, Models: true}, func(in fuse.Operands[T]) []fuse.L1 {
		norms := make([]fuse.L1, g.Count())
		var base []T
		for k := range norms {
			if g.keeps(k) != some {
				continue
			}
			if m, ok := g.sparsifier.(normed[T]); ok {
				if norms[k], ok = m.norm(in, k); ok {
					continue
				}
			}
			if base == nil {
				base = in.Base()
			}
			height := in.Scratch.Mark()
			norms[k] = g.norm(in, k, in.Delta(k, base))
			in.Scratch.Release(height)
		}
		return norms
	}, func(norms []fuse.L1) {
		for k, n := range norms {
			total[k].Before += n.Before
			total[k].After += n.After
		}
	}, func() error {
		for k, n := range total {
			if factor, ok := n.Factor(); ok {
				g.factors[k] = T(factor)
			}
		}
		return nil
	})
}

// norm measures Σ|δ| and Σ|S(δ)| of a tile, over what is finite; results report the rest.
func (g *arithmetic[T]) norm(in fuse.Operands[T], k int, delta []T) (n fuse.L1) {
	if m, ok := g.sparsifier.(masker[T]); ok {
		if n.Before, n.After = vec.SumAbsBits(delta, m.mask(in, k)); n.Before-n.Before == 0 {
			return n
		}
	}
	n.Before = finiteNorm(delta)
	g.sparsify(in, k, delta)
	n.After = finiteNorm(delta)
	return n
}

// finiteNorm is Σ|x| over what is finite.
func finiteNorm[T vec.Float](x []T) float64 {
	norm := vec.SumAbs(x)
	if norm-norm == 0 {
		return norm
	}
	norm = 0
	for _, v := range x {
		if v-v == 0 {
			norm += math.Abs(float64(v))
		}
	}
	return norm
}

// tau is a tile of the k-th model's task vector, sparse and rescaled.
func (g *arithmetic[T]) tau(in fuse.Operands[T], k int, base []T) []T {
	x := in.Delta(k, base)
	if g.keeps(k) == some {
		g.sparsify(in, k, x)
	}
	if f := g.factors[k]; f != 1 {
		vec.Scale(x, x, f)
	}
	return x
}

// merged is θ₀ + λD.
func (g *arithmetic[T]) merged(in fuse.Operands[T]) []T {
	base := in.Base()
	if g.consensus {
		g.applyAgreed(in, base)
		return base
	}
	d := g.sum(in, base)
	vec.Apply(d, base, g.lambda, d)
	return d
}

// sum is D without consensus.
func (g *arithmetic[T]) sum(in fuse.Operands[T], base []T) []T {
	d := in.Buffer()
	vec.Fill(d, 0)
	for k, w := range g.weights {
		height := in.Scratch.Mark()
		switch g.keeps(k) {
		case everything:
			dtype, data := in.Encoded(k)
			format.AxpyDelta(dtype, d, w, data, base, in.Buffer())
		case some:
			vec.Axpy(d, w, g.tau(in, k, base))
		}
		in.Scratch.Release(height)
	}
	if g.divisor != 1 {
		vec.Div(d, d, g.divisor)
	}
	return d
}

// applyAgreed adds λD to the base, D of what has the sign that the sum elects.
func (g *arithmetic[T]) applyAgreed(in fuse.Operands[T], base []T) {
	var few [8][]T
	var weights [8]T
	d, w := few[:0], weights[:0]
	for k, x := range g.weights {
		if g.keeps(k) != nothing {
			d, w = append(d, g.tau(in, k, base)), append(w, x)
		}
	}
	vec.ApplyElected(base, g.lambda, d, w, g.normalize)
}
