package methods

import (
	"fmt"
	"math"

	"weld/internal/vec"
	"weld/stream/fuse"
	"weld/stream/recipe"
)

func init() {
	register(definition[none, none]{
		MethodSchema: recipe.MethodSchema{
			Name:    "arcee_fusion",
			Summary: "take the updates that matter most, by size and by what they do to the rows' distributions",
			Source:  "https://www.arcee.ai/blog/meet-mergekit-v0-1-arcee-fusion-expanded-model-support-multi-gpu-acceleration",
			Formula: `θ = θ₀ + m·δ,  m = [s ≥ median s + 1.5·(Q₃−Q₁)]
s = |δ| · KL(softmax θ₁ ‖ softmax θ₀), the softmax over a row; quantiles are exact`,
			Base: recipe.Required, MinModels: 1, MaxModels: 1,
		},
		family: twoModels,
		deviations: []Deviation{
			{Name: "exact-quantiles", Text: "quantiles are exact, where mergekit takes those of a random sample from 1,000,000 elements on"}, outputType},
		formula: formula[none, none]{
			single: arceeFusion[float32], double: arceeFusion[float64], reads: fuse.Reads{Base: true, Models: true},
			tiles: tiles(6 + fuse.QuantilesTiles(3)),
			state: func(j *fuse.Job, _ *none) int64 {
				return fuse.QuantilesBytes(3) + 2*fuse.LinesOf(j).Remembered()*divergenceBytes // append may take twice as much
			},
		},
	})
}

// arceeFusion is θ₀ + m ⊙ δ for one model, as mergekit has it (Arcee Fusion, arcee.ai): the
// mask m keeps scores
//
//	s = |δ| · KL(softmax θ ‖ softmax θ₀) ≥ median s + 1.5·(Q₃ − Q₁)
//
// with the softmax along the last dimension and the quantiles of the tensor's scores, which are
// the elements at ⌊q(n−1)⌋ of their ascending order.
func arceeFusion[T vec.Float](f *fused[none, none]) []fuse.Stage {
	reads := fuse.Reads{Base: true, Models: true}
	n := f.Tiling.Elements()
	switch {
	case f.Count() > 1:
		return fuse.Fails(fmt.Errorf("tensor %q: arcee_fusion takes one model beside the base, not %d", f.Name, f.Count()))
	case f.Count() == 0 || n == 0:
		return []fuse.Stage{fuse.Produce(f.Fusion, fuse.Operands[T].Base)}
	}
	var stages []fuse.Stage
	d := &divergences[T]{Lines: fuse.LinesOf(f.Job)}
	if d.Remembered() > 0 {
		stages = append(stages, fuse.Measure(f.Fusion, reads, d.parts, d.addParts, nil))
	}
	if d.Cut() {
		stages = append(stages, fuse.Measure(f.Fusion, reads, d.terms, d.addTerms, nil))
	}
	fromTop := func(quarters int64) int64 { return n - (n-1)/4*quarters - (n-1)%4*quarters/4 } // without overflow
	quartiles := fuse.NewQuantiles(fromTop(1), fromTop(2), fromTop(3))
	stages = append(stages, fuse.QuantileStages(f.Fusion, quartiles, reads, func(in fuse.Operands[T]) []float32 {
		base := in.Base()
		return d.scores(in, base, in.Delta(0, base))
	})...)
	return append(stages, fuse.Produce(f.Fusion, func(in fuse.Operands[T]) []T {
		base := in.Base()
		delta := in.Delta(0, base)
		q := quartiles.Values
		threshold := float64(q[1]) + float64(1.5*(float64(q[2])-float64(q[0])))
		if threshold > 0 { // or all are kept, those of score 0 too
			vec.Select(delta, d.scores(in, base, delta), roundUp(threshold))
		}
		vec.Add(base, delta)
		return base
	}))
}

// roundUp is the least float32 that is at least x.
func roundUp(x float64) float32 {
	if y := float32(x); float64(y) >= x {
		return y
	}
	return fuse.NextUp(float32(x))
}

// divergences are KL(softmax θ ‖ softmax θ₀) of a tensor's lines, in float64. Those of long lines and of
// lines that are spread over several tiles are measured by [divergences.parts] and, if there are any of the
// latter, [divergences.terms]; all others are looked at where they are needed.
type divergences[T vec.Float] struct {
	fuse.Lines
	known fuse.PerLine[divergence]
}

// divergence is what is known of a line, or of a part of it.
type divergence struct {
	theta, base softmax
	kl          float64
}

const divergenceBytes = 5*8 + 8 // with the number of the line

// figures are of those lines in a tile that are remembered.
type figures struct {
	n    int
	line [fuse.MostRemembered]int64
	of   [fuse.MostRemembered]divergence
}

func (f *figures) add(line int64, d divergence) {
	f.line[f.n], f.of[f.n] = line, d
	f.n++
}

// addParts folds the figures of a tile's parts.
func (d *divergences[T]) addParts(f figures) {
	for i := range f.n {
		known := d.known.Of(f.line[i])
		known.theta = known.theta.with(f.of[i].theta)
		known.base = known.base.with(f.of[i].base)
		known.kl += f.of[i].kl
	}
}

// addTerms folds those of its terms. The softmaxes are being read meanwhile.
func (d *divergences[T]) addTerms(f figures) {
	for i := range f.n {
		d.known.Of(f.line[i]).kl += f.of[i].kl
	}
}

// parts measures the softmaxes, and the divergences of lines that are whole.
func (d *divergences[T]) parts(in fuse.Operands[T]) (f figures) {
	base := in.Base()
	theta, p, q := d.load(in)
	for g := range d.Of(in.Tile) {
		if !d.Remembers(g) {
			continue
		}
		p, q := p[g.Lo:g.Hi], q[g.Lo:g.Hi]
		x := divergence{theta: softmaxOf(p, theta[g.Lo:g.Hi]), base: softmaxOf(q, base[g.Lo:g.Hi])}
		if g.Whole {
			x.kl = relativeEntropy(p, q, x.theta.sum, x.base.sum)
		}
		f.add(g.Line, x)
	}
	return f
}

// terms sums up the other divergences, once the softmaxes are known.
func (d *divergences[T]) terms(in fuse.Operands[T]) (f figures) {
	base := in.Base()
	theta, p, q := d.load(in)
	for g := range d.Of(in.Tile) {
		if g.Whole {
			continue
		}
		p, q, known := p[g.Lo:g.Hi], q[g.Lo:g.Hi], d.known.Of(g.Line)
		vec.Exponentials(p, theta[g.Lo:g.Hi], known.theta.max)
		vec.Exponentials(q, base[g.Lo:g.Hi], known.base.max)
		f.add(g.Line, divergence{kl: relativeEntropy(p, q, known.theta.sum, known.base.sum)})
	}
	return f
}

// load decodes θ, and lends buffers for two softmaxes.
func (d *divergences[T]) load(in fuse.Operands[T]) (theta []T, p, q []float64) {
	return in.Theta(0), fuse.Take[float64](in.Scratch, in.Len()), fuse.Take[float64](in.Scratch, in.Len())
}

// scores are |δ| times the divergence of the line.
func (d *divergences[T]) scores(in fuse.Operands[T], base, delta []T) []float32 {
	var theta []T // if it is looked at
	var p, q []float64
	s := fuse.Take[float32](in.Scratch, in.Len())
	for g := range d.Of(in.Tile) {
		delta, s := delta[g.Lo:g.Hi], s[g.Lo:g.Hi]
		var kl float64
		switch {
		case allZero(delta):
		case d.Remembers(g):
			kl = d.known.Of(g.Line).kl
		default:
			if theta == nil {
				theta, p, q = d.load(in)
			}
			p, q := p[g.Lo:g.Hi], q[g.Lo:g.Hi]
			soft, hard := softmaxOf(p, theta[g.Lo:g.Hi]), softmaxOf(q, base[g.Lo:g.Hi])
			kl = relativeEntropy(p, q, soft.sum, hard.sum)
		}
		vec.Weigh(s, delta, clampDivergence(kl))
	}
	return s
}

// clampDivergence drops what rounding may leave below 0, and makes a finite number of what a
// value that is not finite gives, so that it is kept, and judged when it is written.
func clampDivergence(kl float64) float64 {
	if !(kl <= math.MaxFloat32) {
		return math.MaxFloat32
	}
	return max(kl, 0)
}

func allZero[T vec.Float](x []T) bool {
	for _, v := range x {
		if v != 0 {
			return false
		}
	}
	return true
}

// softmax is what turns elements x into probabilities e^(x − max) / sum. The zero value is
// of no elements.
type softmax struct{ max, sum float64 }

// softmaxOf fills e with exponentials of x.
func softmaxOf[T vec.Float](e []float64, x []T) softmax {
	f := softmax{max: max(-math.MaxFloat64, largestOf(x))}
	vec.Exponentials(e, x, f.max)
	f.sum = vec.Sum(e)
	return f
}

// largestOf passes over what is no number, and is −Inf if nothing is.
func largestOf[T vec.Float](x []T) float64 {
	if x, ok := any(x).([]float32); ok {
		return float64(vec.Max(x))
	}
	most := math.Inf(-1)
	for _, v := range x {
		if v := float64(v); v > most {
			most = v
		}
	}
	return most
}

// with is the softmax over the elements of both.
func (f softmax) with(g softmax) softmax {
	switch {
	case f.sum == 0:
		return g
	case f.max < g.max:
		return softmax{g.max, float64(f.sum*vec.ExpDown(f.max-g.max)) + g.sum}
	}
	return softmax{f.max, f.sum + float64(g.sum*vec.ExpDown(g.max-f.max))}
}

// relativeEntropy is Σ p·ln(p/q), p and q being exponentials over their sums, and 1e-8 more.
// It overwrites the first.
func relativeEntropy(p, q []float64, sumP, sumQ float64) float64 {
	const least = 1e-8
	vec.EntropyTerms(p, p, q, 1/sumP, 1/sumQ, least)
	return vec.Sum(p)
}
