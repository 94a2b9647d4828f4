package tokens

import (
	"fmt"
	"slices"
	"sync"

	"weld/format"
	"weld/internal/vec"
	"weld/mmapio"
)

const (
	chunkBytes  = 1 << 20   // borrowed of an input at a time
	segment     = 2048      // elements computed at a time
	leastAdvice = 128 << 10 // bytes that follow each other and are worth a system call
	longestRow  = 4 << 20   // elements of which a mean is kept
)

// modelEmbedding is one model's embedding.
type modelEmbedding struct {
	format.Checkpoint // nil where the model has none
	index             int
	tensor            format.Tensor
	own               []int32
}

// newEmbedding is the new embedding of one model.
type newEmbedding struct {
	rows   *rowMap
	token  []bool
	models []modelEmbedding // by model
	self   int

	once    sync.Once
	mean    []byte // of the rows that belong to a token, in the tensor's type
	meanErr error
}

func (x *newEmbedding) tensor() format.Tensor { return x.models[x.self].tensor }

func (x *newEmbedding) rowBytes() int64 {
	t := x.tensor()
	return t.RowLen() * int64(t.DType.Bits()) / 8
}

// wide reports whether means are computed in float64: if any operand is.
func (x *newEmbedding) wide() bool {
	return slices.ContainsFunc(x.models, func(p modelEmbedding) bool { return p.Checkpoint != nil && p.tensor.DType == format.F64 })
}

// check refuses rows that do not fit this tensor.
func (x *newEmbedding) check() error {
	t := x.tensor()
	fault := func(kind format.Kind, text string, args ...any) error {
		return &format.Error{Path: x.models[x.self].Path(), Tensor: t.Name, Kind: kind, Detail: fmt.Sprintf(text, args...)}
	}
	if t.RowLen()*int64(t.DType.Bits())%8 != 0 {
		return fault(format.KindDType, "a row of %d elements of %v does not end on a byte", t.RowLen(), t.DType)
	}
	fits := func(p modelEmbedding) error {
		if !slices.Equal(p.tensor.Shape[1:], t.Shape[1:]) {
			return fault(format.KindShape, "rows of shape %v, but %s, which gives it some, has %v", t.Shape[1:], p.Path(), p.tensor.Shape[1:])
		}
		if p.tensor.DType != t.DType && !(p.tensor.DType.Computable() && t.DType.Computable()) {
			return fault(format.KindDType, "dtype %v, but %s, which gives it rows, has %v", t.DType, p.Path(), p.tensor.DType)
		}
		return nil
	}
	seen := make(map[int32]bool)
	for _, at := range x.rows.at {
		if at >= 0 {
			continue
		}
		s := x.rows.from[-1-at]
		if seen[s.model] {
			continue
		}
		seen[s.model] = true
		switch s.model {
		case fromNothing:
		case fromRows, fromAll:
			if !t.DType.Computable() {
				return fault(format.KindDType, "weld cannot take a mean of rows of dtype %v", t.DType)
			}
			if s.model == fromRows && t.RowLen() > longestRow {
				return fault(format.KindShape, "rows of %d elements are too long to take their mean", t.RowLen())
			}
			for _, p := range x.models {
				if p.Checkpoint != nil && s.model == fromAll {
					if err := fits(p); err != nil {
						return err
					}
				}
			}
		default:
			if err := fits(x.models[s.model]); err != nil {
				return err
			}
		}
	}
	return nil
}

// cost bounds what reading takes beside the destination.
func (x *newEmbedding) cost() (n int64) {
	for _, p := range x.models {
		if p.Checkpoint != nil {
			n = max(n, format.ViewCost(p.Checkpoint, chunkBytes))
		}
	}
	return n + 32*segment + 32*min(x.tensor().RowLen(), longestRow) + chunkBytes
}

// origin is where a row comes from, with the model's own spelled out.
func (x *newEmbedding) origin(row int64) rowOrigin {
	if at := x.rows.at[row]; at < 0 {
		return x.rows.from[-1-at]
	} else {
		return rowOrigin{int32(x.self), at}
	}
}

// run is the rows of the output from row on, at most so many, that come from one origin.
func (x *newEmbedding) run(row, most int64) (s rowOrigin, rows int64) {
	s = x.origin(row)
	for rows = 1; rows < most; rows++ {
		next := x.origin(row + rows)
		follows := next.model == s.model
		if s.model >= 0 || s.model == fromAll {
			follows = follows && int64(next.row) == int64(s.row)+rows
		}
		if !follows {
			break
		}
	}
	return s, rows
}

// eachRun visits the runs of bytes [off, off+n): the origin, the bytes [lo, hi) of the
// range, and the offset of the first in the run's first row.
func (x *newEmbedding) eachRun(off, n int64, visit func(s rowOrigin, lo, hi, skip int64) error) error {
	size := x.rowBytes()
	for lo := int64(0); lo < n; {
		row, skip := (off+lo)/size, (off+lo)%size
		s, rows := x.run(row, (off+n-1)/size-row+1)
		hi := min(n, lo+rows*size-skip)
		if err := visit(s, lo, hi, skip); err != nil {
			return err
		}
		lo = hi
	}
	return nil
}

// read fills dst with the bytes of the new embedding from off on.
func (x *newEmbedding) read(dst []byte, off int64, copied bool) error {
	size := x.rowBytes()
	return x.eachRun(off, int64(len(dst)), func(s rowOrigin, lo, hi, skip int64) error {
		dst := dst[lo:hi]
		switch s.model {
		case fromNothing:
			clear(dst)
			return nil
		case fromRows:
			if x.once.Do(x.measure); x.meanErr != nil {
				return x.meanErr
			}
			for len(dst) > 0 {
				k := copy(dst, x.mean[skip:])
				dst, skip = dst[k:], 0
			}
			return nil
		case fromAll:
			for row := int64(s.row); len(dst) > 0; row++ {
				k := min(int64(len(dst)), size-skip)
				if err := x.average(dst[:k], row, skip, copied); err != nil {
					return err
				}
				dst, skip = dst[k:], 0
			}
			return nil
		}
		p := &x.models[s.model]
		if p.tensor.DType == x.tensor().DType {
			return p.copy(dst, int64(s.row)*size+skip, copied)
		}
		if x.wide() {
			return convert[float64](x, dst, p, int64(s.row), skip, copied)
		}
		return convert[float32](x, dst, p, int64(s.row), skip, copied)
	})
}

// borrow shows bytes of the embedding to use, at most chunkBytes.
func (p *modelEmbedding) borrow(off, n int64, copied bool, use func(data []byte)) error {
	view, err := p.lend(off, n, copied)
	if err != nil {
		return err
	}
	defer view.Release()
	return mmapio.Guard([]mmapio.View{view}, func() error {
		use(view.Data)
		return nil
	})
}

func (p *modelEmbedding) lend(off, n int64, copied bool) (mmapio.View, error) {
	if copied {
		return format.Read(p.Checkpoint, p.index, off, n)
	}
	return p.View(p.index, off, n)
}

// copy takes bytes as they are.
func (p *modelEmbedding) copy(dst []byte, off int64, copied bool) error {
	for len(dst) > 0 {
		n := min(len(dst), chunkBytes)
		if err := p.borrow(off, int64(n), copied, func(data []byte) { copy(dst, data) }); err != nil {
			return err
		}
		dst, off = dst[n:], off+int64(n)
	}
	return nil
}

// eachSegment divides bytes of the embedding, from the offset skip in some row, into segments of
// whole elements; compute makes elements [lo, hi) counted from that row's first.
func (x *newEmbedding) eachSegment(dst []byte, skip int64, compute func(out []byte, lo, hi int64) error) error {
	size := int64(x.tensor().DType.Bits() / 8)
	scratch := make([]byte, min(segment, int64(len(dst))/size+2)*size)
	for len(dst) > 0 {
		lo := skip / size
		hi := min(lo+int64(len(scratch))/size, (skip+int64(len(dst))+size-1)/size)
		out := scratch[:(hi-lo)*size]
		if err := compute(out, lo, hi); err != nil {
			return err
		}
		k := copy(dst, out[skip-lo*size:])
		dst, skip = dst[k:], skip+int64(k)
	}
	return nil
}

// convert takes elements of another type.
func convert[T format.Float](x *newEmbedding, dst []byte, p *modelEmbedding, row, skip int64, copied bool) error {
	to, from := x.tensor().DType, p.tensor.DType
	first, size := row*x.tensor().RowLen(), int64(from.Bits()/8)
	values := make([]T, segment)
	return x.eachSegment(dst, skip, func(out []byte, lo, hi int64) error {
		v := values[:hi-lo]
		err := p.borrow((first+lo)*size, (hi-lo)*size, copied, func(data []byte) { format.Decode(from, v, data) })
		if err == nil {
			format.Encode(to, out, v)
		}
		return err
	})
}

// average makes bytes of a row that is the mean over the models that have it.
func (x *newEmbedding) average(dst []byte, row, skip int64, copied bool) error {
	if x.wide() {
		return average[float64](x, dst, row, skip, copied)
	}
	return average[float32](x, dst, row, skip, copied)
}

func average[T format.Float](x *newEmbedding, dst []byte, row, skip int64, copied bool) error {
	acc, values := make([]T, segment), make([]T, segment)
	return x.eachSegment(dst, skip, func(out []byte, lo, hi int64) error {
		acc, values := acc[:hi-lo], values[:hi-lo]
		clear(acc)
		count := 0
		for k := range x.models {
			p := &x.models[k]
			if p.Checkpoint == nil || p.own[row] < 0 {
				continue
			}
			count++
			size := int64(p.tensor.DType.Bits() / 8)
			first := int64(p.own[row]) * p.tensor.RowLen()
			if err := p.borrow((first+lo)*size, (hi-lo)*size, copied, func(data []byte) { format.Decode(p.tensor.DType, values, data) }); err != nil {
				return err
			}
			vec.Add(acc, values)
		}
		for i := range acc {
			acc[i] /= T(count)
		}
		format.Encode(x.tensor().DType, out, acc)
		return nil
	})
}

// measure takes the mean of all rows that belong to a token, in one walk. Sums are
// taken in float64 in the order of the rows, however many are read at once.
func (x *newEmbedding) measure() {
	dtype, length, size := x.tensor().DType, x.tensor().RowLen(), x.rowBytes()
	sum, values := make([]float64, length), make([]float64, length)
	batch := max(1, chunkBytes/2/max(1, size))
	buffer := make([]byte, batch*size)
	count := 0
	for row := int64(0); row < int64(len(x.token)); {
		if !x.token[row] {
			row++
			continue
		}
		rows := int64(1)
		for rows < batch && row+rows < int64(len(x.token)) && x.token[row+rows] {
			rows++
		}
		data := buffer[:rows*size]
		if x.meanErr = x.read(data, row*size, false); x.meanErr != nil {
			return
		}
		for ; len(data) > 0; data = data[size:] {
			format.Decode(dtype, values, data[:size])
			vec.Add(sum, values)
		}
		count, row = count+int(rows), row+rows
	}
	for i := range sum {
		sum[i] /= float64(count)
	}
	x.mean = make([]byte, size)
	format.Encode(dtype, x.mean, sum)
}

// advise passes advice on for long runs of the model's own rows.
func (x *newEmbedding) advise(a mmapio.Advice, off, n int64) {
	size := x.rowBytes()
	n = min(n, size*int64(len(x.rows.at))-off)
	if off < 0 || n <= 0 || size == 0 {
		return
	}
	_ = x.eachRun(off, n, func(s rowOrigin, lo, hi, skip int64) error {
		if p := x.models[x.self]; int(s.model) == x.self && hi-lo >= leastAdvice {
			format.Advise(p.Checkpoint, a, p.index, int64(s.row)*size+skip, hi-lo)
		}
		return nil
	})
}
