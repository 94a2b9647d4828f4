package fuse

import (
	"slices"

	"weld/internal/vec"
)

// blend merges to θ = o + Σ cₖvₖ, where the vectors v are the models and o is 0, or the
// vectors are the task vectors and o is θ₀. The coefficients c follow from the vectors' inner
// products alone: whatever moves along spheres stays in the span of its points, so that a
// method, even one that iterates, is a function of the Gram matrix.
//
// A vector is a line: the whole tensor, or one of those along its last dimension. Lines that a
// tile holds whole are dealt with there; the others are measured before.
type blend[T vec.Float] struct {
	*job
	lines                            // the vectors
	deltas bool                      // the vectors are θ − θ₀
	mix    func(c []float64, g gram) // the coefficients

	open     int64   // the line whose products are summed up, or -1
	sum      gram    // of that line
	masked   bool    // some measured element is not finite
	culprit  error   // the first one that not all vectors have
	measured []int64 // lines, ascending
	weights  []T     // their coefficients, one for each vector
}

// blendTiles are the tiles of scratch that a stage of a blend takes: vectors, their origin, the sum.
func blendTiles(models int) int { return models + 2 }

// blendBytes bounds what a blend of such vectors holds of a tensor.
func blendBytes(j *Job, of lines) int64 { return (8 + 8*int64(len(j.Models))) * of.mostCut() }

// narrow sees to it that a job's stages read no base that they do not need.
func (j *job) narrow(base bool) {
	j.reads = Reads{Base: base || j.finisher.policy == BaseNonfinite, Models: true}
}

func (b *blend[T]) stages() []Stage {
	b.narrow(b.deltas)
	last := produce(b.job, b.tile)
	if !b.cut() {
		return []Stage{last}
	}
	b.open, b.sum = -1, newGram(b.models())
	most := b.mostCut()
	b.measured = make([]int64, 0, most)
	b.weights = make([]T, 0, most*int64(b.models()))
	return []Stage{measure(b.job, Reads{Base: b.deltas, Models: true}, b.parts, b.fold, b.end), last}
}

// share is a tile's share in the inner products of a line.
type share struct {
	line    int64
	gram    gram
	masked  bool
	culprit error
}

func (b *blend[T]) parts(in input[T]) []share {
	var shares []share
	x := points[T]{input: in, deltas: b.deltas}
	for p := range b.of(in.Tile) {
		if !p.whole {
			g := newGram(b.models())
			x.gram(g, p)
			shares = append(shares, share{p.line, g, !b.deltas && x.origin != nil, x.culprit(g, p)})
		}
	}
	return shares
}

func (b *blend[T]) fold(shares []share) {
	for _, s := range shares {
		if s.line != b.open {
			b.settle()
			b.open = s.line
		}
		b.sum.add(s.gram)
		b.masked = b.masked || s.masked
		if b.culprit == nil {
			b.culprit = s.culprit
		}
	}
}

// end ends the measuring. One element that is not finite makes NaN of its whole line: it is
// reported, where that ends the run, instead of the line's first.
func (b *blend[T]) end() error {
	b.settle()
	if b.finisher.policy == StopNonfinite {
		return b.culprit
	}
	return nil
}

// settle ends the line that is summed up.
func (b *blend[T]) settle() {
	if b.open >= 0 {
		b.measured = append(b.measured, b.open)
		b.weights = appendWeights(b.weights, b.coefficients(b.sum))
		b.open = -1
		clear(b.sum.dots)
	}
}

func (b *blend[T]) coefficients(g gram) []float64 {
	c := make([]float64, g.n)
	b.mix(c, g)
	return c
}

func appendWeights[T vec.Float](w []T, c []float64) []T {
	for _, x := range c {
		w = append(w, T(x))
	}
	return w
}

func (b *blend[T]) tile(in input[T]) []T {
	x := points[T]{input: in, deltas: b.deltas}
	switch {
	case b.masked:
		x.mask()
	case b.length < longLine: // a sweep over the tile is less work than many over its lines
		x.decode()
	}
	out, n := in.room(), b.models()
	g, c := newGram(n), make([]float64, n)
	weights := make([]T, 0, n)
	for p := range b.of(in.Tile) {
		if p.whole {
			x.gram(g, p)
			b.mix(c, g)
			weights = appendWeights(weights[:0], c)
		} else {
			i, _ := slices.BinarySearch(b.measured, p.line)
			weights = append(weights[:0], b.weights[i*n:(i+1)*n]...)
		}
		x.weighted(out, weights, p)
	}
	if x.origin != nil {
		vec.Add(out, x.origin)
	}
	return out
}

// clampCosine keeps a cosine that rounding moved past ±1 where it belongs.
func clampCosine(c float64) float64 { return max(-1, min(1, c)) }

// arc sets the coefficients of the point at t on the great circle from v₀ to v₁, which are
// an angle apart (Shoemake, Animating rotation with quaternion curves, 1985).
func arc(c []float64, t, angle float64) {
	s := sine(angle)
	c[0], c[1] = sine((1-t)*angle)/s, sine(t*angle)/s
}

// chord sets the coefficients of the point at t on the line from v₀ to v₁.
func chord(c []float64, t float64) { c[0], c[1] = 1-t, t }

// only is the model that has the tensor, if it is the only one.
func only(j *Job) (model int, ok bool) {
	for m, c := range j.Models {
		if c.Absent {
			continue
		}
		if ok {
			return 0, false
		}
		model, ok = m, true
	}
	return model, ok
}

// alone is the stage for the tensor of one model, which stays as it is.
func alone[T vec.Float](j *job) []Stage {
	j.narrow(false)
	return []Stage{produce(j, func(in input[T]) []T { return in.theta(0) })}
}
