package gather

import (
	"slices"

	"weld/format"
	"weld/mmapio"
)

// Window is the most bytes of a file that are lent at a time.
const Window = 1 << 20

// Source lends ranges of a file; Read is for few bytes of which no neighbours are wanted.
type Source interface {
	View(off, n int64) (mmapio.View, error)
	Read(off, n int64) (mmapio.View, error)
}

// Read fills out, a whole number of elements, with those from number first on. The layout must be one that [Layout.Check] accepts.
func (l *Layout) Read(out []byte, first int64, sources func(i int) Source) error {
	g := &gathering{l, out, first, Rows(l.Shape), sources}
	rank := len(l.Shape)
	return g.boxes(first, first+int64(len(out))/l.Width, 0, make([]int64, rank), make([]int64, rank))
}

// gathering is a range of elements that is being read.
type gathering struct {
	*Layout
	out     []byte
	first   int64   // number of the element that out begins with
	rows    []int64 // strides of the tensor in C order
	sources func(i int) Source
}

// boxes cuts elements [lo, hi), counted within the dimensions from dim on, into boxes, and reads each: what begins in the midst
// of a row, whole rows, what ends in the midst of one. offset and shape have the box so far.
func (g *gathering) boxes(lo, hi int64, dim int, offset, shape []int64) error {
	if lo >= hi {
		return nil
	}
	if dim == len(offset) {
		return g.box(offset, shape)
	}
	row := g.rows[dim]
	part := func(index, lo, hi int64) error {
		offset[dim], shape[dim] = index, 1
		return g.boxes(lo, hi, dim+1, offset, shape)
	}
	from, to := lo/row, hi/row // whole rows
	if lo%row != 0 {
		from++
	}
	if from > to { // all in one row
		return part(to, lo-to*row, hi-to*row)
	}
	if lo%row != 0 {
		if err := part(from-1, lo-(from-1)*row, row); err != nil {
			return err
		}
	}
	if from < to {
		offset[dim], shape[dim] = from, to-from
		copy(offset[dim+1:], make([]int64, len(offset)-dim-1))
		copy(shape[dim+1:], g.Shape[dim+1:])
		if err := g.box(offset, shape); err != nil {
			return err
		}
	}
	if hi%row != 0 {
		return part(to, 0, hi-to*row)
	}
	return nil
}

// box reads a box of the tensor from all pieces that have a part in it.
func (g *gathering) box(offset, shape []int64) error {
	for i := range g.Pieces {
		p := &g.Pieces[i]
		at, to, dims, ok := g.meet(p, offset, shape)
		if !ok {
			continue
		}
		if err := g.copy(g.sources(p.Source), p.Begin+at*g.Width, to, arranged(dims)); err != nil {
			return err
		}
	}
	return nil
}

// meet finds what a piece has of a box: how many elements behind its first one that begins, which element of the memory it becomes, and the
// dimensions of what is copied. ok is false if the piece has nothing of it.
func (g *gathering) meet(p *Piece, offset, shape []int64) (at, to int64, dims []axis, ok bool) {
	to = -g.first
	for d, size := range shape {
		lo, hi := max(offset[d], p.Offset[d]), min(offset[d]+size, p.Offset[d]+p.Shape[d])
		if lo >= hi {
			return 0, 0, nil, false
		}
		at += (lo - p.Offset[d]) * p.Strides[d]
		to += lo * g.rows[d]
		if hi-lo > 1 {
			dims = append(dims, axis{hi - lo, p.Strides[d], g.rows[d]})
		}
	}
	return at, to, dims, true
}

// axis is one dimension of what is copied: its size, and the strides in the file and in memory, in elements.
type axis struct{ size, from, to int64 }

// arranged are dimensions in the order of the file's bytes, those that follow each other there and in memory as one.
func arranged(dims []axis) []axis {
	slices.SortStableFunc(dims, func(a, b axis) int {
		switch {
		case a.from > b.from:
			return -1
		case a.from < b.from:
			return 1
		}
		return 0
	})
	merged := dims[:0]
	for _, d := range dims {
		if n := len(merged); n > 0 && merged[n-1].from == d.from*d.size && merged[n-1].to == d.to*d.size {
			merged[n-1] = axis{merged[n-1].size * d.size, d.from, d.to}
			continue
		}
		merged = append(merged, d)
	}
	return merged
}

// extent is the number of elements from the first to the last one.
func extent(dims []axis) int64 {
	n := int64(1)
	for _, d := range dims {
		n += (d.size - 1) * d.from
	}
	return n
}

// sparse is how many times the bytes that are wanted lie apart, where they are read one stretch after the other.
const sparse = 16

// copy copies elements from byte at of a source to number to of the memory, window by window.
func (g *gathering) copy(src Source, at, to int64, dims []axis) error {
	if bytes := extent(dims) * g.Width; bytes <= Window && (len(dims) == 0 || bytes <= format.FewBytes || !g.scattered(dims)) {
		return g.window(src, at, bytes, to, dims)
	}
	outer, inner := dims[0], dims[1:]
	one, some := extent(inner)*g.Width, int64(1)
	if one <= Window && !g.scattered(dims) {
		some = 1 + (Window-one)/max(1, outer.from*g.Width)
	}
	part := slices.Concat([]axis{outer}, inner)
	for i := int64(0); i < outer.size; i += some {
		part[0].size = min(some, outer.size-i)
		rest := part
		if part[0].size == 1 {
			rest = part[1:]
		}
		if err := g.copy(src, at+i*outer.from*g.Width, to+i*outer.to, rest); err != nil {
			return err
		}
	}
	return nil
}

// scattered reports whether a window over the outermost dimension would be mostly of bytes that are not wanted.
func (g *gathering) scattered(dims []axis) bool {
	inner := extent(dims[1:]) * g.Width
	return inner <= format.FewBytes && dims[0].from*g.Width >= max(sparse*inner, format.FewBytes)
}

// window copies what lies in a few bytes of a file.
func (g *gathering) window(src Source, at, bytes, to int64, dims []axis) error {
	lend := src.View
	if bytes <= format.FewBytes {
		lend = src.Read
	}
	view, err := lend(at, bytes)
	if err != nil {
		return err
	}
	defer view.Release()
	return mmapio.Guard([]mmapio.View{view}, func() error {
		scatter(g.out[to*g.Width:], view.Data, dims, g.Width)
		return nil
	})
}

// scatter copies elements of a width, dimension by dimension.
func scatter(out, in []byte, dims []axis, width int64) {
	switch len(dims) {
	case 0:
		copy(out[:width], in)
		return
	case 1:
		if d := dims[0]; d.from == 1 && d.to == 1 {
			copy(out[:d.size*width], in)
			return
		}
		scatterRow(out, in, dims[0], width)
		return
	}
	d := dims[0]
	for i := range d.size {
		scatter(out[i*d.to*width:], in[i*d.from*width:], dims[1:], width)
	}
}

// scatterRow copies elements along one dimension.
func scatterRow(out, in []byte, d axis, width int64) {
	from, to := d.from*width, d.to*width
	switch width {
	case 2:
		for i := range d.size {
			*(*[2]byte)(out[i*to:]) = *(*[2]byte)(in[i*from:])
		}
	case 4:
		for i := range d.size {
			*(*[4]byte)(out[i*to:]) = *(*[4]byte)(in[i*from:])
		}
	default:
		for i := range d.size {
			copy(out[i*to:i*to+width], in[i*from:])
		}
	}
}
