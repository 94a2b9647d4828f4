package lora

import (
	"weld/format"
	"weld/internal/vec"
	"weld/mmapio"
)

// lowRank is a product that is added to a tensor: W[i, j] + s·Σₖ L[i, k]·R[k, j].
type lowRank struct {
	source     format.DType // of W
	shown      format.DType // of the sum
	scale      float64
	rows, cols int64
	rank       int64
	left       factor // L, whose positions are the rows
	right      factor // R, whose positions are the columns
}

// factor is a matrix of the adapter: of rank × positions, or the other way round.
type factor struct {
	tensor    int
	dtype     format.DType
	positions int64
	rankFirst bool // stored [rank, positions]
}

// Figures of a computation.
const (
	pieceBytes    = 256 << 10 // most bytes of one view of W, or of a factor
	peekBytes     = 16 << 10  // most bytes of a view that is a copy
	rowPart       = 2048      // columns that are summed at a time, so that they sit in L1
	leftElements  = 64 << 10  // of L that are held at a time, if a row has not more
	blockElements = 64 << 10  // of R, likewise
	blockCols     = 16        // columns of R that are held at least
	stageElements = 16 << 10  // that are held to be transposed, likewise
	panelBytes    = 4 << 20   // most of an R that is held whole
)

// compute fills out with elements of the sum from element lo on.
func compute[T vec.Float](shop *workshop[T], low *lowRank, from format.Checkpoint, tensor int, out []byte, lo int64) error {
	room := shop.enter()
	defer shop.leave(room)
	if err := widen(room, low, from, tensor, out, lo); err != nil {
		return err
	}
	p := product[T]{shop: shop, room: room, low: low, out: out, lo: lo}
	if low.panel() {
		whole, err := shop.borrow(low, room)
		if err != nil {
			return err
		}
		defer shop.giveBack(low)
		p.whole = whole
	}
	hi := lo + int64(len(out))*8/int64(low.shown.Bits())
	for _, b := range bands(lo, hi, low.cols) {
		if err := p.band(b); err != nil {
			return err
		}
	}
	return nil
}

// widen fills out with W as the sum's type.
func widen[T vec.Float](room *room[T], low *lowRank, from format.Checkpoint, tensor int, out []byte, lo int64) error {
	shown := low.shown.Bits() / 8
	return pieces(from, tensor, low.source, lo, int64(len(out)/shown), func(stored []byte, n int) {
		for n > 0 {
			part := room.base[:min(n, rowPart)]
			format.Decode(low.source, part, stored)
			format.Encode(low.shown, out[:len(part)*shown], part)
			out, n = out[len(part)*shown:], n-len(part)
			stored = stored[len(part)*low.source.Bits()/8:]
		}
	})
}

// read decodes len(dst) elements of a tensor from element lo on.
func read[T vec.Float](from format.Checkpoint, tensor int, d format.DType, dst []T, lo int64) error {
	return pieces(from, tensor, d, lo, int64(len(dst)), func(stored []byte, n int) {
		format.Decode(d, dst[:n], stored)
		dst = dst[n:]
	})
}

// pieces has n elements from element lo on visited, a few at a time, in order.
func pieces(from format.Checkpoint, tensor int, d format.DType, lo, n int64, visit func(stored []byte, n int)) error {
	size := int64(d.Bits() / 8)
	for end := lo + n; lo < end; {
		n := min(end-lo, pieceBytes/size)
		lend := from.View
		if n*size <= peekBytes {
			lend = from.Peek
		}
		view, err := lend(tensor, lo*size, n*size)
		if err != nil {
			return err
		}
		err = mmapio.Guard([]mmapio.View{view}, func() error {
			visit(view.Data, int(n))
			return nil
		})
		view.Release()
		if err != nil {
			return err
		}
		lo += n
	}
	return nil
}

// band is a rectangle of a matrix: rows [top, bottom), columns [left, right).
type band struct{ top, bottom, left, right int64 }

// bands cuts elements [lo, hi) of a matrix with rows of cols elements into rectangles: the
// end of a row, whole rows, the beginning of a row.
func bands(lo, hi, cols int64) (list []band) {
	if lo >= hi {
		return nil
	}
	top, left := lo/cols, lo%cols
	last, right := (hi-1)/cols, (hi-1)%cols+1
	if top == last {
		return []band{{top, top + 1, left, right}}
	}
	if left > 0 {
		list = append(list, band{top, top + 1, left, cols})
		top++
	}
	whole := last
	if right == cols {
		whole++
	}
	if top < whole {
		list = append(list, band{top, whole, 0, cols})
	}
	if whole == last {
		list = append(list, band{last, last + 1, 0, right})
	}
	return list
}

// product adds to elements that are computed already from W.
type product[T vec.Float] struct {
	shop  *workshop[T]
	room  *room[T]
	low   *lowRank
	whole []T // all of R, or nil
	out   []byte
	lo    int64 // the element at the beginning of out
}

// band adds to a rectangle, in parts for which L and R fit the room.
func (p *product[T]) band(b band) error {
	from, rank := p.shop.adapter(), p.low.rank
	rows := max(1, leftElements/rank)
	for top := b.top; top < b.bottom; top += rows {
		bottom := min(top+rows, b.bottom)
		left := p.room.left[:(bottom-top)*rank]
		if err := load(from, p.low.left, rank, left, top, bottom, false, p.room.stage); err != nil {
			return err
		}
		if p.whole != nil {
			p.rows(band{top, bottom, b.left, b.right}, left, p.whole, 0, p.low.cols)
			continue
		}
		cols := max(blockCols, blockElements/rank)
		for l := b.left; l < b.right; l += cols {
			r := min(l+cols, b.right)
			right := p.room.block[:(r-l)*rank]
			if err := load(from, p.low.right, rank, right, l, r, true, p.room.stage); err != nil {
				return err
			}
			p.rows(band{top, bottom, l, r}, left, right, l, r-l)
		}
	}
	return nil
}

// rows adds to a rectangle whose rows of L are given, and whose columns of R are, from
// column first on, in rows of stride.
func (p *product[T]) rows(b band, left, right []T, first, stride int64) {
	rank := p.low.rank
	for l := b.left; l < b.right; l += rowPart {
		n := min(rowPart, b.right-l)
		for i := b.top; i < b.bottom; i++ {
			sum := p.room.sum[:n]
			vec.Fill(sum, 0)
			for k, w := range left[(i-b.top)*rank:][:rank] {
				vec.Axpy(sum, w, right[int64(k)*stride+l-first:][:n])
			}
			p.add(i*p.low.cols+l, sum)
		}
	}
}

// add adds s·sum to elements from lo on.
func (p *product[T]) add(lo int64, sum []T) {
	size := int64(p.low.shown.Bits() / 8)
	at := p.out[(lo-p.lo)*size:][:int64(len(sum))*size]
	base := p.room.base[:len(sum)]
	format.Decode(p.low.shown, base, at)
	vec.Apply(base, base, T(p.low.scale), sum)
	format.Encode(p.low.shown, at, base)
}

// load decodes positions [lo, hi) of a factor into dst: in rows of the rank's elements, or,
// rankFirst, a row for each index of the rank.
func load[T vec.Float](from format.Checkpoint, f factor, rank int64, dst []T, lo, hi int64, rankFirst bool, stage []T) error {
	n := hi - lo
	switch {
	case f.rankFirst && rankFirst && n == f.positions, !f.rankFirst && !rankFirst:
		return read(from, f.tensor, f.dtype, dst, lo*rank)
	case f.rankFirst && rankFirst:
		for k := range rank {
			if err := read(from, f.tensor, f.dtype, dst[k*n:][:n], k*f.positions+lo); err != nil {
				return err
			}
		}
		return nil
	case f.rankFirst:
		for k := range rank {
			for at := int64(0); at < n; at += int64(len(stage)) {
				part := stage[:min(int64(len(stage)), n-at)]
				if err := read(from, f.tensor, f.dtype, part, k*f.positions+lo+at); err != nil {
					return err
				}
				scatter(dst[at*rank+k:], part, rank)
			}
		}
		return nil
	}
	most := int64(len(stage)) / rank
	for at := int64(0); at < n; at += most {
		m := min(most, n-at)
		if err := read(from, f.tensor, f.dtype, stage[:m*rank], (lo+at)*rank); err != nil {
			return err
		}
		for j := range m {
			scatter(dst[at+j:], stage[j*rank:][:rank], n)
		}
	}
	return nil
}

// scatter writes elements at every stride-th place.
func scatter[T vec.Float](dst, src []T, stride int64) {
	for i, x := range src {
		dst[int64(i)*stride] = x
	}
}

// panel reports whether R is held whole.
func (l *lowRank) panel() bool {
	return l.rank*l.cols <= panelBytes/int64(l.shown.Bits()/8)
}
