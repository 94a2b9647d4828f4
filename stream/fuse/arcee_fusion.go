package fuse

import (
	"fmt"
	"math"

	"weld/format"
	"weld/internal/vec"
)

func init() {
	reads := Reads{Base: true, Models: true}
	formulas["arcee_fusion"] = formula{
		single: arceeFusion[float32], double: arceeFusion[float64], reads: reads,
		tiles: func(int) int { return 8 + quantilesTiles(3) },
		state: func(j *Job) int64 {
			n := quantilesBytes(3)
			if linesOf(j).cut() {
				n += 2 * j.Tiling.Count() * divergenceBytes // append may take twice as much
			}
			return n
		},
	}
}

// arceeFusion is θ₀ + m ⊙ δ for one model, as mergekit has it (Arcee Fusion, arcee.ai): the
// mask m keeps scores
//
//	s = |δ| · KL(softmax θ ‖ softmax θ₀) ≥ median s + 1.5·(Q₃ − Q₁)
//
// with the softmax along the last dimension and the quantiles of the tensor's scores, which are
// the elements at ⌊q(n−1)⌋ of their ascending order.
func arceeFusion[T vec.Float](j *job) []Stage {
	reads := Reads{Base: true, Models: true}
	n := j.Tiling.Elements()
	switch {
	case j.models() > 1:
		return fails(fmt.Errorf("tensor %q: arcee_fusion takes one model beside the base, not %d", j.Name, j.models()))
	case j.models() == 0 || n == 0:
		return []Stage{produce(j, input[T].base)}
	}
	var stages []Stage
	d := &divergences[T]{lines: linesOf(j.Job)}
	if d.cut() {
		stages = append(stages, measure(j, reads, d.parts, d.addParts, nil), measure(j, reads, d.terms, d.addTerms, nil))
	}
	fromTop := func(quarters int64) int64 { return n - (n-1)/4*quarters - (n-1)%4*quarters/4 } // without overflow
	quartiles := newQuantiles(fromTop(1), fromTop(2), fromTop(3))
	stages = append(stages, quantileStages(j, quartiles, reads, func(in input[T]) []float32 {
		return d.scores(in, in.delta(0, in.base()))
	})...)
	return append(stages, produce(j, func(in input[T]) []T {
		base := in.base()
		delta := in.delta(0, base)
		q := quartiles.values
		threshold := float64(q[1]) + 1.5*(float64(q[2])-float64(q[0]))
		if threshold > 0 { // or all are kept, those of score 0 too
			vec.Select(delta, d.scores(in, delta), roundUp(threshold))
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
	return nextUp(float32(x))
}

// divergences are KL(softmax θ ‖ softmax θ₀) of a tensor's lines, in float64. Lines that are
// whole in a tile are looked at there and then; for the others [divergences.parts] and then
// [divergences.terms] of all tiles have to be measured first.
type divergences[T vec.Float] struct {
	lines
	known perCut[divergence]
}

// divergence is what is known of a line.
type divergence struct {
	theta, base softmax
	kl          float64
}

const divergenceBytes = 5*8 + 8 // with the number of the line

// cutLines are figures of those lines of a tile that are not whole.
type cutLines struct {
	n    int
	line [cutSegments]int64
	of   [cutSegments]divergence
}

func (c *cutLines) add(line int64, d divergence) {
	c.line[c.n], c.of[c.n] = line, d
	c.n++
}

// parts measures the softmaxes.
func (d *divergences[T]) parts(in input[T]) (c cutLines) {
	theta, base, p, q := d.load(in)
	for g := range d.of(in.Tile) {
		if !g.whole {
			c.add(g.line, divergence{
				theta: softmaxOf(p[g.lo:g.hi], theta[g.lo:g.hi]),
				base:  softmaxOf(q[g.lo:g.hi], base[g.lo:g.hi]),
			})
		}
	}
	return c
}

func (d *divergences[T]) addParts(c cutLines) {
	for i := range c.n {
		known := d.known.of(c.line[i])
		known.theta = known.theta.with(c.of[i].theta)
		known.base = known.base.with(c.of[i].base)
	}
}

// terms sums up the divergence once the softmaxes are known.
func (d *divergences[T]) terms(in input[T]) (c cutLines) {
	theta, base, p, q := d.load(in)
	for g := range d.of(in.Tile) {
		if g.whole {
			continue
		}
		known := d.known.of(g.line)
		exponentials(p[g.lo:g.hi], theta[g.lo:g.hi], known.theta.max)
		exponentials(q[g.lo:g.hi], base[g.lo:g.hi], known.base.max)
		c.add(g.line, divergence{kl: relativeEntropy(p[g.lo:g.hi], q[g.lo:g.hi], known.theta.sum, known.base.sum)})
	}
	return c
}

func (d *divergences[T]) addTerms(c cutLines) {
	for i := range c.n {
		d.known.of(c.line[i]).kl += c.of[i].kl
	}
}

// load decodes θ and θ₀, and gives room for their softmaxes.
func (d *divergences[T]) load(in input[T]) (theta, base, p, q []float64) {
	theta, base = take[float64](in.s, in.Len()), take[float64](in.s, in.Len())
	dtype, data := in.operand(0)
	format.Decode(dtype, theta, data)
	format.Decode(in.span.Base.DType, base, in.span.Base.tile(in.Tile))
	return theta, base, take[float64](in.s, in.Len()), take[float64](in.s, in.Len())
}

// scores are |δ| times the divergence of the line.
func (d *divergences[T]) scores(in input[T], delta []T) []float32 {
	theta, base, p, q := d.load(in)
	s := take[float32](in.s, in.Len())
	for g := range d.of(in.Tile) {
		delta, s := delta[g.lo:g.hi], s[g.lo:g.hi]
		var kl float64
		switch {
		case allZero(delta):
		case g.whole:
			p, q := p[g.lo:g.hi], q[g.lo:g.hi]
			soft, hard := softmaxOf(p, theta[g.lo:g.hi]), softmaxOf(q, base[g.lo:g.hi])
			kl = relativeEntropy(p, q, soft.sum, hard.sum)
		default:
			kl = d.known.of(g.line).kl
		}
		weigh(s, delta, clampDivergence(kl))
	}
	clampScores(s)
	return s
}

func weigh[T vec.Float](s []float32, delta []T, kl float64) {
	for i, x := range delta {
		s[i] = float32(math.Abs(float64(x)) * kl)
	}
}

// clampDivergence drops what rounding may leave below 0, and makes a finite number of what a
// value that is not finite gives, so that it is kept, and judged when it is written.
func clampDivergence(kl float64) float64 {
	if !(kl <= largest) {
		return largest
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
func softmaxOf(e, x []float64) softmax {
	f := softmax{max: -math.MaxFloat64}
	for _, v := range x {
		if v > f.max {
			f.max = v
		}
	}
	exponentials(e, x, f.max)
	f.sum = vec.Sum(e)
	return f
}

// with is the softmax over the elements of both.
func (f softmax) with(g softmax) softmax {
	switch {
	case f.sum == 0:
		return g
	case f.max < g.max:
		return softmax{g.max, float64(f.sum*expDown(f.max-g.max)) + g.sum}
	}
	return softmax{f.max, f.sum + float64(g.sum*expDown(g.max-f.max))}
}

// exponentials fills e with e^(x − shift).
func exponentials(e, x []float64, shift float64) {
	for i, v := range x {
		e[i] = expDown(v - shift)
	}
}

// relativeEntropy is Σ p·ln(p/q), p and q being exponentials over their sums, and 1e-8 more.
// It overwrites the first.
func relativeEntropy(p, q []float64, sumP, sumQ float64) float64 {
	const least = 1e-8
	toP, toQ := 1/sumP, 1/sumQ
	for i := range p {
		x, y := float64(p[i]*toP)+least, float64(q[i]*toQ)+least
		p[i] = x * logNormal(x/y)
	}
	return vec.Sum(p)
}
