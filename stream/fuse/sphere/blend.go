package sphere

import (
	"slices"

	"weld/internal/vec"
	"weld/stream/fuse"
)

// Blend merges to θ = o + Σ cₖvₖ, where the vectors v are the models and o is 0, or the
// vectors are the task vectors and o is θ₀. The coefficients c follow from the vectors' inner
// products alone: whatever moves along spheres stays in the span of its points, so that a
// method, even one that iterates, is a function of the Gram matrix.
//
// A vector is a line: the whole tensor, or one of those along its last dimension. Lines that a
// tile holds whole are dealt with there; the others are measured before.
type Blend[T vec.Float] struct {
	*fuse.Fusion
	fuse.Lines                           // the vectors
	Deltas     bool                      // the vectors are θ − θ₀
	Mix        func(c []float64, g Gram) // the coefficients

	open     int64   // the line whose products are summed up, or -1
	sum      Gram    // of that line
	masked   bool    // some measured element is not finite
	culprit  error   // the first one that not all vectors have
	measured []int64 // lines, ascending
	weights  []T     // their coefficients, one for each vector
}

// Tiles are the tiles of scratch that a stage of a blend takes: vectors, their origin, the sum.
func Tiles(models int) int { return models + 2 }

// Bytes bounds what a blend of such vectors holds of a tensor.
func Bytes(j *fuse.Job, of fuse.Lines) int64 { return (8 + 8*int64(len(j.Models))) * of.MostCut() }

// Stages merge the tensor.
func (b *Blend[T]) Stages() []fuse.Stage {
	b.Narrow(b.Deltas)
	last := fuse.Produce(b.Fusion, b.tile)
	if !b.Cut() {
		return []fuse.Stage{last}
	}
	b.open, b.sum = -1, newGram(b.Count())
	most := b.MostCut()
	b.measured = make([]int64, 0, most)
	b.weights = make([]T, 0, most*int64(b.Count()))
	return []fuse.Stage{fuse.Measure(b.Fusion, fuse.Reads{Base: b.Deltas, Models: true}, b.parts, b.fold, b.end), last}
}

// share is a tile's share in the inner products of a line.
type share struct {
	line    int64
	gram    Gram
	masked  bool
	culprit error
}

func (b *Blend[T]) parts(in fuse.Operands[T]) []share {
	var shares []share
	x := points[T]{Operands: in, deltas: b.Deltas}
	for p := range b.Of(in.Tile) {
		if !p.Whole {
			g := newGram(b.Count())
			x.gram(g, p)
			shares = append(shares, share{p.Line, g, !b.Deltas && x.origin != nil, x.culprit(g, p)})
		}
	}
	return shares
}

func (b *Blend[T]) fold(shares []share) {
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
func (b *Blend[T]) end() error {
	b.settle()
	if b.Nonfinite() == fuse.StopNonfinite {
		return b.culprit
	}
	return nil
}

// settle ends the line that is summed up.
func (b *Blend[T]) settle() {
	if b.open >= 0 {
		b.measured = append(b.measured, b.open)
		b.weights = appendWeights(b.weights, b.coefficients(b.sum))
		b.open = -1
		clear(b.sum.dots)
	}
}

func (b *Blend[T]) coefficients(g Gram) []float64 {
	c := make([]float64, g.N)
	b.Mix(c, g)
	return c
}

func appendWeights[T vec.Float](w []T, c []float64) []T {
	for _, x := range c {
		w = append(w, T(x))
	}
	return w
}

func (b *Blend[T]) tile(in fuse.Operands[T]) []T {
	x := points[T]{Operands: in, deltas: b.Deltas}
	switch {
	case b.masked:
		x.mask()
	case b.Lines.Length < fuse.LongLine: // a sweep over the tile is less work than many over its lines
		x.decode()
	}
	out, n := in.Result(), b.Count()
	g, c := newGram(n), make([]float64, n)
	weights := make([]T, 0, n)
	for p := range b.Of(in.Tile) {
		if p.Whole {
			x.gram(g, p)
			b.Mix(c, g)
			weights = appendWeights(weights[:0], c)
		} else {
			i, _ := slices.BinarySearch(b.measured, p.Line)
			weights = append(weights[:0], b.weights[i*n:(i+1)*n]...)
		}
		x.weighted(out, weights, p)
	}
	if x.origin != nil {
		vec.Add(out, x.origin)
	}
	return out
}

// ClampCosine keeps a cosine that rounding moved past ±1 where it belongs.
func ClampCosine(c float64) float64 { return max(-1, min(1, c)) }

// Arc sets the coefficients of the point at t on the great circle from v₀ to v₁, which are
// an angle apart (Shoemake, Animating rotation with quaternion curves, 1985).
func Arc(c []float64, t, angle float64) {
	s := Sine(angle)
	c[0], c[1] = Sine((1-t)*angle)/s, Sine(t*angle)/s
}

// Chord sets the coefficients of the point at t on the line from v₀ to v₁.
func Chord(c []float64, t float64) { c[0], c[1] = 1-t, t }
