package sphere

import (
	"math"
	"math/bits"
	"sync"

	"weld/internal/vec"
	"weld/stream/fuse"
)

// columns is a blend of two vectors each of which is a column: the elements at one place of
// every row. Products of a column are summed up as integers, whose sum is the same in
// any order: figures of tiles, to be folded in order, would be larger than the tiles. The unit
// of the integers is chosen for each column by its largest elements, which are measured first.
type columns[T vec.Float] struct {
	*Blend[T]
	width int

	mu       sync.Mutex
	largest  [2][]float64 // magnitude in each column
	products [3][]int64   // ⟨v₀,v₀⟩, ⟨v₀,v₁⟩, ⟨v₁,v₁⟩ of each column, in its units
	weights  [2][]T       // coefficients
}

// ColumnStages merge the tensor by its columns, whatever the blend's lines are.
func (b *Blend[T]) ColumnStages() []fuse.Stage {
	x := &columns[T]{Blend: b, width: int(b.Tiling.RowLen())}
	return x.stages()
}

// ColumnBytes is what the figures of a tensor's columns take.
func ColumnBytes(j *fuse.Job) int64 { return (2 + 3 + 2) * 8 * j.Tiling.RowLen() }

func (x *columns[T]) stages() []fuse.Stage {
	for i := range x.largest {
		x.largest[i] = make([]float64, x.width)
	}
	for i := range x.products {
		x.products[i] = make([]int64, x.width)
	}
	x.Narrow(x.Deltas)
	reads := fuse.Reads{Base: x.Deltas, Models: true}
	none := func(struct{}) {} // to be folded
	return []fuse.Stage{
		fuse.Measure(x.Fusion, reads, x.extremes, none, x.units),
		fuse.Measure(x.Fusion, reads, x.sums, none, x.settle),
		fuse.Produce(x.Fusion, x.tile),
	}
}

// segments yields the parts of rows that a tile holds: the first column, and elements of the tile.
func (x *columns[T]) segments(t fuse.Tile) func(yield func(column int, p fuse.LineSegment) bool) {
	return func(yield func(int, fuse.LineSegment) bool) {
		column := int(t.Lo % int64(x.width))
		for at := 0; at < t.Len(); {
			end := min(at+x.width-column, t.Len())
			if !yield(column, fuse.LineSegment{Lo: at, Hi: end}) {
				return
			}
			at, column = end, 0
		}
	}
}

// vectors decodes both, and their origin where it is not 0.
func (x *columns[T]) vectors(in fuse.Operands[T]) (v [][]T, origin []T) {
	both := points[T]{Operands: in, deltas: x.Deltas}
	both.mask()
	return both.v, both.origin
}

func (x *columns[T]) extremes(in fuse.Operands[T]) struct{} {
	v, _ := x.vectors(in)
	x.mu.Lock()
	defer x.mu.Unlock()
	for column, p := range x.segments(in.Tile) {
		for k := range v {
			largest := x.largest[k][column:]
			for i, e := range v[k][p.Lo:p.Hi] {
				a := math.Abs(float64(e))
				if a != a {
					a = math.Inf(1) // NaN: no less a reason to give up the column
				}
				largest[i] = max(largest[i], a)
			}
		}
	}
	return struct{}{}
}

// units turns the largest magnitudes into powers of two that scale a column's elements into
// (-1, 1), or NaN where that cannot be.
func (x *columns[T]) units() error {
	for k := range x.largest {
		for i, most := range x.largest[k] {
			_, exponent := math.Frexp(most)
			x.largest[k][i] = math.Ldexp(1, -max(exponent, -1000))
			if most > math.MaxFloat64 {
				x.largest[k][i] = math.NaN()
			}
		}
	}
	return nil
}

// fine is what a product of scaled elements is multiplied with to become an integer, so
// that the sum over a column fits.
func (x *columns[T]) fine() float64 {
	return math.Ldexp(1, 62-bits.Len64(uint64(x.Tiling.Rows())))
}

func (x *columns[T]) sums(in fuse.Operands[T]) struct{} {
	v, _ := x.vectors(in)
	fine := x.fine()
	x.mu.Lock()
	defer x.mu.Unlock()
	for column, p := range x.segments(in.Tile) {
		for i := range p.Hi - p.Lo {
			c := column + i
			a, b := float64(v[0][p.Lo+i])*x.largest[0][c], float64(v[1][p.Lo+i])*x.largest[1][c]
			if a != a || b != b {
				continue // the column has been given up
			}
			x.products[0][c] += int64(math.RoundToEven(a * a * fine))
			x.products[1][c] += int64(math.RoundToEven(a * b * fine))
			x.products[2][c] += int64(math.RoundToEven(b * b * fine))
		}
	}
	return struct{}{}
}

func (x *columns[T]) settle() error {
	for k := range x.weights {
		x.weights[k] = make([]T, x.width)
	}
	g, c, fine := newGram(2), make([]float64, 2), x.fine()
	for i := range x.width {
		s0, s1 := x.largest[0][i], x.largest[1][i]
		g.dots[0] = float64(x.products[0][i]) / fine / s0 / s0
		g.dots[1] = float64(x.products[1][i]) / fine / s0 / s1
		g.dots[3] = float64(x.products[2][i]) / fine / s1 / s1
		g.dots[2] = g.dots[1]
		x.Mix(c, g)
		x.weights[0][i], x.weights[1][i] = T(c[0]), T(c[1])
	}
	x.largest, x.products = [2][]float64{}, [3][]int64{}
	return nil
}

func (x *columns[T]) tile(in fuse.Operands[T]) []T {
	v, origin := x.vectors(in)
	out := in.Result()
	for column, p := range x.segments(in.Tile) {
		vec.Mul(out[p.Lo:p.Hi], x.weights[0][column:], v[0][p.Lo:])
		vec.MulAxpy(out[p.Lo:p.Hi], 1, x.weights[1][column:], v[1][p.Lo:])
	}
	if origin != nil {
		vec.Add(out, origin)
	}
	return out
}
