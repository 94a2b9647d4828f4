package fuse

import (
	"math"
	"slices"

	"weld/format"
	"weld/internal/vec"
)

// blend merges to θ = o + Σ cₖvₖ, where the vectors v are the models and o is 0, or the
// vectors are the task vectors and o is θ₀. The coefficients c follow from the vectors' inner
// products alone: whatever moves along spheres stays in the span of its points, so that a
// method, even one that iterates, is a function of the Gram matrix.
//
// A vector is the whole tensor, or one of the equal runs of elements that it consists of. Runs
// that a tile holds whole are dealt with there; the others are measured before.
type blend[T vec.Float] struct {
	*job
	run    int64                     // elements of a vector
	deltas bool                      // the vectors are θ − θ₀
	mix    func(c []float64, g gram) // the coefficients

	open     int64   // the run whose products are summed up, or -1
	sum      gram    // of that run
	masked   bool    // some measured element is not finite
	measured []int64 // runs, ascending
	weights  []T     // their coefficients, one for each vector
}

// wholeRun is the length of a vector that takes the whole tensor.
func wholeRun(j *Job) int64 { return max(j.Tiling.Elements(), 1) }

// lastRun is the length of the vectors along the last dimension; a tensor of fewer than two
// dimensions is one vector.
func lastRun(j *Job) int64 {
	if len(j.Shape) < 2 {
		return wholeRun(j)
	}
	return max(j.Shape[len(j.Shape)-1], 1)
}

// blendTiles are the tiles of scratch that a stage of a blend takes: vectors, their origin, the sum.
func blendTiles(models int) int { return models + 2 }

// blendBytes bounds what a blend of runs of at least so many elements holds of a tensor.
func blendBytes(j *Job, run int64) int64 {
	return (8 + 8*int64(len(j.Models))) * min(j.Tiling.Elements()/run, j.Tiling.Count())
}

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
	most := min(b.Tiling.Elements()/b.run, b.Tiling.Count())
	b.measured = make([]int64, 0, most)
	b.weights = make([]T, 0, most*int64(b.models()))
	return []Stage{measure(b.job, Reads{Base: b.deltas, Models: true}, b.parts, b.fold, b.settle), last}
}

// cut reports whether there are runs that lie in several tiles.
func (b *blend[T]) cut() bool {
	for i := range b.Tiling.Count() {
		if lo, _ := b.Tiling.Range(i); lo%b.run != 0 {
			return true
		}
	}
	return false
}

// piece is what a tile holds of a run.
type piece struct {
	run    int64
	lo, hi int // elements of the tile
	whole  bool
}

// pieces yields what the tile holds, run after run.
func (b *blend[T]) pieces(t Tile) func(yield func(piece) bool) {
	return func(yield func(piece) bool) {
		for at := t.Lo; at < t.Hi; {
			run := at / b.run
			end := min((run+1)*b.run, t.Hi)
			if !yield(piece{run, int(at - t.Lo), int(end - t.Lo), end-at == b.run}) {
				return
			}
			at = end
		}
	}
}

// points are the vectors in one tile, as they are stored, which is how kernels like them best,
// until somebody needs them decoded.
type points[T vec.Float] struct {
	input[T]
	deltas bool
	v      [][]T // decoded, or nil
	origin []T   // nil for 0
}

// decode decodes the vectors, and their origin if they are task vectors.
func (x *points[T]) decode() {
	if x.v != nil {
		return
	}
	if x.deltas {
		x.origin = x.base()
		x.v = x.input.deltas(x.origin)
		return
	}
	x.v = make([][]T, x.models())
	for k := range x.v {
		x.v[k] = x.theta(k)
	}
}

// mask decodes the vectors, and moves into their origin what they have alike that is not finite.
func (x *points[T]) mask() {
	x.decode()
	if x.origin == nil {
		x.origin = agreed(x.input, x.v)
	}
}

// gram computes the products of one piece of each vector.
func (x *points[T]) gram(g gram, p piece) {
	if g.n == 2 && !x.deltas && x.v == nil {
		height := x.s.mark()
		da, a := x.part(0, p.lo, p.hi)
		db, b := x.part(1, p.lo, p.hi)
		aa, ab, bb := format.Gram(da, a, db, b, x.room()[p.lo:p.hi], x.room()[p.lo:p.hi])
		g.set(0, 0, aa)
		g.set(0, 1, ab)
		g.set(1, 1, bb)
		x.s.release(height)
	} else {
		x.decode()
		fillGram(g, x.v, p)
	}
	// A sum is finite only if all its terms are.
	if first := g.dot(0, 0); first-first != 0 && x.origin == nil {
		if x.mask(); x.origin != nil {
			fillGram(g, x.v, p)
		}
	}
}

// weighted fills out with Σ wₖvₖ of the piece.
func (x *points[T]) weighted(out, w []T, p piece) {
	if x.v == nil && !x.deltas {
		x.combine(out[p.lo:p.hi], w, p.lo)
		return
	}
	x.decode()
	vec.Scale(out[p.lo:p.hi], x.v[0][p.lo:], w[0])
	for k := 1; k < len(w); k++ {
		vec.Axpy(out[p.lo:p.hi], w[k], x.v[k][p.lo:])
	}
}

// agreed moves infinities and NaNs that all vectors have alike, as mask buffers do, into an
// origin: they are to stay, and no direction. It returns nil if there are none.
func agreed[T vec.Float](in input[T], v [][]T) []T {
	if vec.FirstNonFinite(v[0], vec.OverflowF64[T]()) < 0 {
		return nil
	}
	origin := in.room()
	vec.Fill(origin, 0)
	for i, x := range v[0] {
		alike := x-x != 0
		for k := 1; k < len(v) && alike; k++ {
			alike = sameBits(x, v[k][i])
		}
		if !alike {
			continue
		}
		origin[i] = x
		for k := range v {
			v[k][i] = 0
		}
	}
	return origin
}

// share is a tile's share in the inner products of a run.
type share struct {
	run    int64
	gram   gram
	masked bool
}

func (b *blend[T]) parts(in input[T]) []share {
	var shares []share
	x := points[T]{input: in, deltas: b.deltas}
	for p := range b.pieces(in.Tile) {
		if !p.whole {
			g := newGram(b.models())
			x.gram(g, p)
			shares = append(shares, share{p.run, g, !b.deltas && x.origin != nil})
		}
	}
	return shares
}

func (b *blend[T]) fold(shares []share) {
	for _, s := range shares {
		if s.run != b.open {
			b.settle()
			b.open = s.run
		}
		b.sum.add(s.gram)
		b.masked = b.masked || s.masked
	}
}

// settle ends the run that is summed up.
func (b *blend[T]) settle() error {
	if b.open >= 0 {
		b.measured = append(b.measured, b.open)
		b.weights = appendWeights(b.weights, b.coefficients(b.sum))
		b.open = -1
		clear(b.sum.dots)
	}
	return nil
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
	if b.masked {
		x.mask()
	}
	out, n := in.room(), b.models()
	g, c := newGram(n), make([]float64, n)
	weights := make([]T, 0, n)
	for p := range b.pieces(in.Tile) {
		if p.whole {
			x.gram(g, p)
			b.mix(c, g)
			weights = appendWeights(weights[:0], c)
		} else {
			i, _ := slices.BinarySearch(b.measured, p.run)
			weights = append(weights[:0], b.weights[i*n:(i+1)*n]...)
		}
		x.weighted(out, weights, p)
	}
	if x.origin != nil {
		vec.Add(out, x.origin)
	}
	return out
}

// gram is the inner products of some vectors, ⟨vᵢ, vⱼ⟩.
type gram struct {
	n    int
	dots []float64 // n×n, symmetric
}

func newGram(n int) gram { return gram{n, make([]float64, n*n)} }

// fillGram computes the products of one piece of each vector.
func fillGram[T vec.Float](g gram, v [][]T, p piece) {
	part := func(k int) []T { return v[k][p.lo:p.hi] }
	for i := 0; i < len(v); i += 2 { // by twos, which one sweep serves
		if i+1 == len(v) {
			g.set(i, i, vec.SumSquares(part(i)))
			return
		}
		aa, ab, bb := vec.Gram(part(i), part(i+1))
		g.set(i, i, aa)
		g.set(i, i+1, ab)
		g.set(i+1, i+1, bb)
		for j := i + 2; j < len(v); j++ {
			g.set(i, j, vec.Dot(part(i), part(j)))
			g.set(i+1, j, vec.Dot(part(i+1), part(j)))
		}
	}
}

func (g gram) set(i, j int, dot float64) { g.dots[i*g.n+j], g.dots[j*g.n+i] = dot, dot }

func (g gram) add(h gram) {
	for i, d := range h.dots {
		g.dots[i] += d
	}
}

// dot is ⟨vᵢ, vⱼ⟩.
func (g gram) dot(i, j int) float64 { return g.dots[i*g.n+j] }

// norm is ‖vᵢ‖.
func (g gram) norm(i int) float64 { return math.Sqrt(g.dot(i, i)) }

// onto is ⟨Σ cₖvₖ, vᵢ⟩.
func (g gram) onto(c []float64, i int) (sum float64) {
	for k, x := range c {
		sum += float64(x * g.dot(k, i))
	}
	return sum
}

// length is ‖Σ cₖvₖ‖.
func (g gram) length(c []float64) float64 {
	var sum float64
	for i, x := range c {
		sum += float64(x * g.onto(c, i))
	}
	return math.Sqrt(max(sum, 0))
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
