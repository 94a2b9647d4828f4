package selective

import (
	"math"
	"math/bits"
	"sync"

	"weld/format"
	"weld/internal/vec"
	"weld/scoring"
	"weld/stream/fuse"
)

// factors are what is left of a matrix v of second moments, a = √v, if only its row and column sums are kept (Adafactor,
// arXiv 1804.04235; arXiv 2509.11167):
//
//	vᵢⱼ ≈ rᵢ·cⱼ / Σ r,  r = Σⱼ v,  c = Σᵢ v
//
// They are kept as roots: a is one product, and no product of small numbers comes to nothing.
type factors struct {
	row, col []float32 // √rᵢ, √(cⱼ / Σ r)
}

// fill makes the a of a tile.
func (f *factors) fill(a []float32, t fuse.Tile) {
	width := int64(len(f.col))
	row, column := t.Lo/width, int(t.Lo%width)
	for at := 0; at < len(a); row++ {
		end := min(at+int(width)-column, len(a))
		vec.Scale(a[at:end], f.col[column:column+end-at], f.row[row])
		at, column = end, 0
	}
}

// factored reports whether a tensor's importance is taken by its factors: that of a matrix. One of a single row or
// column is what its sums say.
func (x *scoredTensor) factored() bool {
	shape := x.job.Shape
	return x.RankOne && len(shape) == 2 && shape[0] > 1 && shape[1] > 1
}

// factorBytes is what factors and the sums behind them take while a chain runs.
func (x *scoredTensor) factorBytes() int64 {
	if !x.factored() {
		return 0
	}
	t := x.job.Tiling
	return int64(len(x.models)) * (max(t.Rows(), t.Count())*8 + t.Rows()*4 + t.RowLen()*(8+8+4))
}

// sumsBytes is what a worker holds of sums over columns.
func (x *scoredTensor) sumsBytes() int64 {
	if !x.factored() {
		return 0
	}
	return x.job.Tiling.RowLen() * (8 + 8)
}

// factorStages measure the factors, in two walks over the importance.
func (x *scoredTensor) factorStages() []fuse.Stage {
	f := &factoring{scoredTensor: x, width: int(x.job.Tiling.RowLen()), of: make([]marginals, len(x.models))}
	for m := range x.models {
		if x.models[m].role == ranked {
			f.of[m] = marginals{
				rows:    make([]float64, max(x.job.Tiling.Rows(), x.job.Tiling.Count())),
				largest: make([]float64, f.width), columns: make([]int64, f.width),
			}
		}
	}
	return []fuse.Stage{&rowSums{f}, &columnSums{f}}
}

// factoring is one tensor while its factors are measured.
type factoring struct {
	*scoredTensor
	width int
	mu    sync.Mutex
	of    []marginals // of each model; empty for one that is not ranked
}

// marginals are sums of one model's v. Those of rows are taken in float64: of each tile's part of a row where rows
// are longer than a tile, or else of whole rows. Those of columns go through all tiles, in whatever order these come, and are
// taken as integers, whose sum is the same in any order. The unit is chosen for each column by its largest element.
type marginals struct {
	rows    []float64
	largest []float64
	columns []int64
}

// columnScratch is what a worker keeps of a span's columns.
type columnScratch struct {
	largest []float64
	sums    []int64
}

func (f *factoring) Reads() fuse.Reads { return fuse.Reads{Importance: true} }

// fine is what an element in units of its column is multiplied with to become an integer, so that the sum over the
// column fits.
func (f *factoring) fine() float64 {
	return math.Ldexp(1, 62-bits.Len64(uint64(f.job.Tiling.Rows())))
}

// second is v, of what the importance file holds: NaN where that is no second moment.
func second(x float32, statistic scoring.Statistic) float64 {
	v := float64(x)
	if statistic.IsMagnitude() {
		v *= v
	}
	if !(v >= 0) || math.IsInf(v, 1) {
		return math.NaN()
	}
	return v
}

// part is what a tile holds of a row: v, from a column on.
type part struct {
	v      []float64
	row    int64
	column int
}

// parts yields the parts of a tile.
func (f *factoring) parts(s *fuse.Scratch, sp *fuse.Span, t fuse.Tile, m int) func(yield func(part) bool) {
	stored, v := fuse.Take[float32](s, t.Len()), fuse.Take[float64](s, t.Len())
	o := sp.Importance[m]
	format.Decode(o.DType, stored, o.Of(t))
	for i, x := range stored {
		v[i] = second(x, f.Models[m].Statistic)
	}
	return func(yield func(part) bool) {
		row, column := t.Lo/int64(f.width), int(t.Lo%int64(f.width))
		for at := 0; at < len(v); row++ {
			end := min(at+f.width-column, len(v))
			if !yield(part{v[at:end], row, column}) {
				return
			}
			at, column = end, 0
		}
	}
}

// rowSums is the first walk: sums of rows, and the largest of each column.
type rowSums struct{ *factoring }

func (st *rowSums) Span(s *fuse.Scratch, sp *fuse.Span) error {
	local := fuse.Memory[columnScratch](s)
	for m, of := range st.of {
		if of.rows == nil {
			continue
		}
		local.largest = cleared(local.largest, st.width)
		for t := range sp.Tiles {
			s.Reset()
			for p := range st.parts(s, sp, t, m) {
				var sum float64
				largest := local.largest[p.column:]
				for i, x := range p.v {
					sum += x
					if x > largest[i] || x != x {
						largest[i] = x
					}
				}
				if sum != sum {
					if err := st.judge(sp, t, m); err != nil {
						return err
					}
				}
				if st.job.Tiling.LongRows() {
					p.row = t.Index
				}
				of.rows[p.row] = sum
			}
		}
		st.mu.Lock()
		for i, x := range local.largest {
			if x > of.largest[i] || x != x {
				of.largest[i] = x
			}
		}
		st.mu.Unlock()
	}
	return nil
}

// judge stops the run at the first element of a tile that is no second moment, unless the user asked for something else.
func (st *rowSums) judge(sp *fuse.Span, t fuse.Tile, m int) error {
	a := make([]float32, t.Len())
	decodeImportance(st.scoredTensor, sp, t, m, a)
	return st.judgeCurvature(sp, t, m, a)
}

// End chooses the units: powers of two that scale a column's elements to at most 1, or NaN where one is none.
func (st *rowSums) End() error {
	for _, of := range st.of {
		for i, most := range of.largest {
			if most == most {
				_, exponent := math.Frexp(most)
				of.largest[i] = math.Ldexp(1, -exponent)
			}
		}
	}
	return nil
}

// columnSums is the second walk.
type columnSums struct{ *factoring }

func (st *columnSums) Span(s *fuse.Scratch, sp *fuse.Span) error {
	local := fuse.Memory[columnScratch](s)
	fine := st.fine()
	for m, of := range st.of {
		if of.rows == nil {
			continue
		}
		local.sums = cleared(local.sums, st.width)
		for t := range sp.Tiles {
			s.Reset()
			for p := range st.parts(s, sp, t, m) {
				sums, units := local.sums[p.column:], of.largest[p.column:]
				for i, x := range p.v {
					if x = x * units[i]; x == x {
						sums[i] += int64(math.RoundToEven(x * fine))
					}
				}
			}
		}
		st.mu.Lock()
		for i, n := range local.sums {
			of.columns[i] += n
		}
		st.mu.Unlock()
	}
	return nil
}

// End makes the factors.
func (st *columnSums) End() error {
	rows, fine := int(st.job.Tiling.Rows()), st.fine()
	for m, of := range st.of {
		if of.rows == nil {
			continue
		}
		f := &factors{row: make([]float32, rows), col: make([]float32, st.width)}
		parts := 1
		if st.job.Tiling.LongRows() {
			parts = len(of.rows) / rows
		}
		var total float64
		for i := range f.row {
			var sum float64
			for _, part := range of.rows[i*parts:][:parts] {
				sum += part
			}
			f.row[i] = float32(math.Sqrt(sum))
			total += sum
		}
		for i, n := range of.columns {
			if total != 0 {
				f.col[i] = float32(math.Sqrt(float64(n) / fine / of.largest[i] / total))
			}
		}
		st.models[m].factors = f
	}
	st.of = nil
	return nil
}

// cleared is n zeros, in the memory of x if there is enough.
func cleared[E int64 | float64](x []E, n int) []E {
	if cap(x) < n {
		return make([]E, n)
	}
	x = x[:n]
	clear(x)
	return x
}
