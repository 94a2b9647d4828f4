package fuse

import (
	"math"

	"weld/format"
	"weld/internal/vec"
)

// arithmetic is a method of generalised task arithmetic (DESIGN.md, section 4).
type arithmetic struct {
	sparsifier sparsifierKind
	consensus  bool
}

func init() {
	for name, a := range map[string]arithmetic{
		"ties":             {byMagnitude, true},      // arXiv 2306.01708
		"dare_linear":      {atRandom, false},        // arXiv 2311.03099
		"dare_ties":        {atRandom, true},         // and election
		"breadcrumbs":      {withoutOutliers, false}, // arXiv 2312.06795
		"breadcrumbs_ties": {withoutOutliers, true},  // and election
		"della_linear":     {byRankAndChance, false}, // arXiv 2406.11617, without its election
		"della":            {byRankAndChance, true},
	} {
		formulas[name] = a.formula()
	}
}

func (a arithmetic) formula() formula {
	return formula{
		single: func(j *job) []Stage { return newGTA[float32](a, j).stages() },
		double: func(j *job) []Stage { return newGTA[float64](a, j).stages() },
		reads:  gtaReads,
		tiles: func(models int) int {
			switch a.sparsifier {
			case byMagnitude:
				return models + 8 + models*heldTiles
			case withoutOutliers:
				return models + 8 + models*cutsOfGroup*heldTiles + quantilesTiles(cutsOfGroup)
			}
			return models + 8
		},
		state: a.sparsifier.state,
		rows:  a.sparsifier.rows,
	}
}

var gtaReads = Reads{Base: true, Models: true}

// gta merges one tensor:
//
//	τₜ = S(δₜ), times Σ|δₜ| / Σ|S(δₜ)| if rescale
//	dₜ = wₜ τₜ
//	consensus:  s = +1 if Σ dₜ ≥ 0 else −1;  mₜ = [sign(dₜ) = s];  D = Σ mₜdₜ;  Z = Σ mₜwₜ (0 → 1)
//	otherwise:  D = Σ dₜ;  Z = Σ wₜ (|Z| < 1e-8 → 1)
//	normalize:  D = D / Z
//	θ = θ₀ + λ D
type gta[T vec.Float] struct {
	*job
	sparsifier[T]
	consensus, normalize, rescale bool

	weights []T
	factors []T // of the rescaling
	divisor T   // Z without consensus, where it is the same for all elements
	lambda  T
}

func newGTA[T vec.Float](a arithmetic, j *job) *gta[T] {
	g := &gta[T]{
		job: j, sparsifier: newSparsifier[T](a.sparsifier, j), consensus: a.consensus,
		normalize: j.Params.Bool("normalize"), rescale: j.Params.Bool("rescale"),
		divisor: 1, lambda: T(j.shared("lambda")),
	}
	for _, w := range j.weights() {
		g.weights = append(g.weights, T(w))
		g.factors = append(g.factors, 1)
	}
	if g.normalize && !g.consensus {
		g.divisor = T(weightSum(j.weights()))
	}
	return g
}

func (g *gta[T]) stages() []Stage {
	stages := g.search()
	if g.rescale && g.sparse() {
		stages = append(stages, g.norms())
	}
	return g.lay(append(stages, produce(g.job, g.merged)))
}

// sparse reports whether some of any task vector is dropped.
func (g *gta[T]) sparse() bool {
	for k := range g.weights {
		if g.keeps(k) == some {
			return true
		}
	}
	return false
}

// norms measures what the sparsifier leaves of the task vectors' L1 norms, and makes factors of it.
func (g *gta[T]) norms() Stage {
	total := make([]l1Pair, g.models())
	return measure(g.job, gtaReads, func(in input[T]) []l1Pair {
		norms := make([]l1Pair, g.models())
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
				base = in.base()
			}
			height := in.s.mark()
			norms[k] = g.norm(in, k, in.delta(k, base))
			in.s.release(height)
		}
		return norms
	}, func(norms []l1Pair) {
		for k, n := range norms {
			total[k].before += n.before
			total[k].after += n.after
		}
	}, func() error {
		for k, n := range total {
			if n.before >= l1Negligible && n.after >= l1Negligible {
				g.factors[k] = T(float32(n.before / n.after))
			}
		}
		return nil
	})
}

// norm measures Σ|δ| and Σ|S(δ)| of a tile, over what is finite: of the rest, results tell.
func (g *gta[T]) norm(in input[T], k int, delta []T) (n l1Pair) {
	if m, ok := g.sparsifier.(masker[T]); ok {
		if n.before, n.after = vec.SumAbsBits(delta, m.mask(in, k)); n.before-n.before == 0 {
			return n
		}
	}
	n.before = finiteNorm(delta)
	g.sparsify(in, k, delta)
	n.after = finiteNorm(delta)
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
func (g *gta[T]) tau(in input[T], k int, base []T) []T {
	x := in.delta(k, base)
	if g.keeps(k) == some {
		g.sparsify(in, k, x)
	}
	if f := g.factors[k]; f != 1 {
		vec.Scale(x, x, f)
	}
	return x
}

// merged is θ₀ + λD.
func (g *gta[T]) merged(in input[T]) []T {
	base := in.base()
	if g.consensus {
		g.applyAgreed(in, base)
		return base
	}
	d := g.sum(in, base)
	vec.Apply(d, base, g.lambda, d)
	return d
}

// sum is D without consensus.
func (g *gta[T]) sum(in input[T], base []T) []T {
	d := in.room()
	vec.Fill(d, 0)
	for k, w := range g.weights {
		height := in.s.mark()
		switch g.keeps(k) {
		case everything:
			dtype, data := in.operand(k)
			format.AxpyDelta(dtype, d, w, data, base, in.room())
		case some:
			vec.Axpy(d, w, g.tau(in, k, base))
		}
		in.s.release(height)
	}
	divide(d, g.divisor)
	return d
}

// applyAgreed adds λD to the base, D of what has the sign that the sum elects.
func (g *gta[T]) applyAgreed(in input[T], base []T) {
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
