package renamed

import (
	"fmt"
	"sort"

	"weld/format"
	"weld/format/names"
	"weld/mmapio"
)

// turnBytes bounds what is viewed at once of a matrix that is turned, unless one of its lines is longer.
const turnBytes = 1 << 20

// View implements [format.Checkpoint].
func (s *shownCheckpoint) View(i int, off, n int64) (mmapio.View, error) {
	return s.lend(i, off, n, false)
}

// Read implements [format.Copied].
func (s *shownCheckpoint) Read(i int, off, n int64) (mmapio.View, error) {
	return s.lend(i, off, n, true)
}

// lender lends views of the checkpoint's own tensors: mapped, or copied where that is wanted.
type lender struct {
	format.Checkpoint
	copied bool
}

func (s lender) lend(i int, off, n int64) (mmapio.View, error) {
	if s.copied {
		return format.Read(s.Checkpoint, i, off, n)
	}
	return s.View(i, off, n)
}

// lend lends bytes of a shown tensor.
func (s *shownCheckpoint) lend(i int, off, n int64, copied bool) (mmapio.View, error) {
	from := lender{s.Checkpoint, copied}
	f := s.from[i]
	if f.whole != names.None {
		return from.lend(f.whole, off, n)
	}
	t := &s.tensors[i]
	if err := format.CheckView(s, i, off, n); err != nil || n == 0 {
		return mmapio.View{}, err
	}
	g := gathering{shownFrom: f, width: s.width(i), from: from}
	k := f.holding(off / g.width)
	begin := g.begins(k)
	if p := f.pieces[k]; !p.Turned && off+n <= f.ends[k]*g.width {
		return from.lend(p.Tensor, p.At*g.width+off-begin, n)
	}
	view, err := s.lent.Lend(off, n, 1, func(data []byte, off int64) error { return g.fill(data, off, k) })
	if err != nil {
		return mmapio.View{}, fmt.Errorf("%s: tensor %q: %w", s.Path(), t.Name, err)
	}
	return view, nil
}

// holding is the piece that holds an element.
func (f shownFrom) holding(element int64) int {
	return sort.Search(len(f.ends), func(k int) bool { return f.ends[k] > element })
}

// gathering copies a range of a tensor from its pieces.
type gathering struct {
	shownFrom
	width int64 // bytes of an element
	from  lender
}

// begins is the byte at which a piece begins.
func (g gathering) begins(k int) int64 {
	if k == 0 {
		return 0
	}
	return g.ends[k-1] * g.width
}

// fill fills dst with the bytes from off, which piece k holds.
func (g gathering) fill(dst []byte, off int64, k int) error {
	for ; len(dst) > 0; k++ {
		n := min(int64(len(dst)), g.ends[k]*g.width-off)
		at := off - g.begins(k)
		var err error
		if p := g.pieces[k]; p.Turned {
			err = g.turn(dst[:n], p, at)
		} else {
			err = g.copy(dst[:n], p.Tensor, p.At*g.width+at)
		}
		if err != nil {
			return err
		}
		dst, off = dst[n:], off+n
	}
	return nil
}

func (g gathering) copy(dst []byte, tensor int, off int64) error {
	view, err := g.from.lend(tensor, off, int64(len(dst)))
	if err != nil {
		return err
	}
	defer view.Release()
	return mmapio.Guard([]mmapio.View{view}, func() error {
		copy(dst, view.Data)
		return nil
	})
}

// turn fills dst with the bytes from at of a matrix that is stored the other way round. Whole elements are
// gathered; a range may begin or end within one.
func (g gathering) turn(dst []byte, p names.Piece, at int64) error {
	first := at / g.width / p.Cols
	last := (at + int64(len(dst)) - 1) / g.width / p.Cols
	// The rows [first, last] are runs of last−first+1 elements in each stored line.
	run, line := (last-first+1)*g.width, p.Rows*g.width
	lines := max(1, turnBytes/line)
	for c := int64(0); c < p.Cols; c += lines {
		count := min(lines, p.Cols-c)
		begin := (p.At + c*p.Rows + first) * g.width
		view, err := g.from.lend(p.Tensor, begin, (count-1)*line+run)
		if err != nil {
			return err
		}
		err = mmapio.Guard([]mmapio.View{view}, func() error {
			for r := range last - first + 1 {
				g.scatter(dst, view.Data[r*g.width:], p, (first+r)*p.Cols*g.width-at, c, count)
			}
			return nil
		})
		view.Release()
		if err != nil {
			return err
		}
	}
	return nil
}

// scatter puts elements of one row, columns [c, c+count), into dst, where the row begins at byte row, which
// may lie before it. src has one of them at the beginning of each stored line.
func (g gathering) scatter(dst, src []byte, p names.Piece, row, c, count int64) {
	line := p.Rows * g.width
	for k := range count {
		to, from := row+(c+k)*g.width, src[k*line:k*line+g.width]
		if to < 0 { // the range begins within this element, or behind it
			if to+g.width <= 0 {
				continue
			}
			from, to = from[-to:], 0
		}
		if to >= int64(len(dst)) {
			return
		}
		copy(dst[to:], from)
	}
}

// ViewCost implements [format.Costly]: a buffer, and the views that it is filled from meanwhile.
func (s *shownCheckpoint) ViewCost(n int64) int64 {
	cost := format.ViewCost(s.Checkpoint, n)
	if !s.gathers {
		return cost
	}
	if s.turns {
		cost = max(cost, format.ViewCost(s.Checkpoint, s.turned()))
	}
	return cost + n
}

// turned is the most bytes that are viewed at once of a matrix that is turned.
func (s *shownCheckpoint) turned() (most int64) {
	for i, f := range s.from {
		for _, p := range f.pieces {
			if p.Turned {
				most = max(most, turnBytes, p.Rows*s.width(i))
			}
		}
	}
	return most
}

// Advise implements [format.Advised].
func (s *shownCheckpoint) Advise(a mmapio.Advice, i int, off, n int64) {
	f := s.from[i]
	if f.whole != names.None {
		format.Advise(s.Checkpoint, a, f.whole, off, n)
		return
	}
	if n <= 0 {
		return
	}
	g := gathering{shownFrom: f, width: s.width(i)}
	for k := f.holding(off / g.width); k < len(f.pieces) && g.begins(k) < off+n; k++ {
		p := f.pieces[k]
		lo, hi := max(off, g.begins(k))-g.begins(k), min(off+n, f.ends[k]*g.width)-g.begins(k)
		if p.Turned { // all lines have a part in every row
			if whole := p.Elements() * g.width; a == mmapio.Soon && lo == 0 || a == mmapio.Done && hi == whole {
				format.Advise(s.Checkpoint, a, p.Tensor, p.At*g.width, whole)
			}
			continue
		}
		format.Advise(s.Checkpoint, a, p.Tensor, p.At*g.width+lo, hi-lo)
	}
}
