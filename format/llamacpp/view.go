package llamacpp

import (
	"fmt"
	"slices"

	"weld/format"
	"weld/mmapio"
)

// view shows a checkpoint with the names, shapes and values of the other side. It implements [format.Checkpoint].
type view struct {
	format.Checkpoint
	parts   []part
	tensors []format.Tensor
	table   format.NameTable
	lent    mmapio.Buffers
}

// show shows the parts of a checkpoint, in the order in which they are stored.
func show(c format.Checkpoint, parts []part) (*view, error) {
	slices.SortStableFunc(parts, func(a, b part) int {
		if len(a.from) == 0 || len(b.from) == 0 {
			return len(a.from) - len(b.from) // what is made is the first
		}
		if a.from[0] != b.from[0] {
			return a.from[0] - b.from[0]
		}
		return int(min(max(a.begin-b.begin, -1), 1))
	})
	v := &view{Checkpoint: c, parts: parts, tensors: make([]format.Tensor, len(parts))}
	for i := range parts {
		v.tensors[i] = parts[i].tensor
	}
	v.table.Reserve(len(parts), v.nameAt)
	for i := range parts {
		if _, again := v.table.Add(v.nameAt); again {
			return nil, &format.Error{Path: c.Path(), Tensor: v.nameAt(i), Kind: format.KindDuplicate, Detail: "two tensors would have this name"}
		}
	}
	return v, nil
}

func (v *view) nameAt(i int) string { return v.tensors[i].Name }

// Tensors implements [format.Checkpoint].
func (v *view) Tensors() []format.Tensor { return v.tensors }

// Find implements [format.Checkpoint].
func (v *view) Find(name string) (int, bool) { return v.table.Find(name, v.nameAt) }

// Unwrap implements [format.Wrapper].
func (v *view) Unwrap() format.Checkpoint { return v.Checkpoint }

// FileOf implements [format.Sharded]: of several tensors, where the first is.
func (v *view) FileOf(i int) int {
	if v.parts[i].made != nil {
		return 0
	}
	return format.FileOf(v.Checkpoint, v.parts[i].from[0])
}

// InPieces implements [format.Pieced].
func (v *view) InPieces(i int) bool {
	return v.parts[i].made == nil && format.InPieces(v.Checkpoint, v.parts[i].from[0])
}

// lies reports whether a tensor's bytes are stored as they are shown, one behind the other.
func (p *part) lies() bool { return len(p.from) == 1 && p.order.head == 0 && !p.wide }

// width is the bytes of an element as it is stored.
func (v *view) width(p *part) int64 { return int64(v.Checkpoint.Tensors()[p.from[0]].DType.Bits() / 8) }

// Stored implements [format.Verbatim].
func (v *view) Stored(i int) (file *mmapio.File, begin int64) {
	p := &v.parts[i]
	if !p.lies() {
		return nil, 0
	}
	if file, begin = format.Stored(v.Checkpoint, p.from[0]); file == nil {
		return nil, 0
	}
	return file, begin + p.begin*v.width(p)
}

// View implements [format.Checkpoint].
func (v *view) View(i int, off, n int64) (mmapio.View, error) {
	return v.lend(i, off, n, v.Checkpoint.View)
}

// Read implements [format.Copied].
func (v *view) Read(i int, off, n int64) (mmapio.View, error) {
	return v.lend(i, off, n, func(i int, off, n int64) (mmapio.View, error) { return format.Read(v.Checkpoint, i, off, n) })
}

// lend lends bytes of a tensor: from where they lie, or gathered.
func (v *view) lend(i int, off, n int64, direct func(i int, off, n int64) (mmapio.View, error)) (mmapio.View, error) {
	p, t := &v.parts[i], &v.tensors[i]
	if err := format.CheckView(v, i, off, n); err != nil || n == 0 {
		return mmapio.View{}, err
	}
	switch {
	case p.made != nil:
		made := make([]byte, t.Bytes())
		format.Encode(format.F32, made, p.made)
		return mmapio.View{Data: made[off:][:n:n]}, nil
	case p.lies():
		return direct(p.from[0], off+p.begin*v.width(p), n)
	}
	g := gathering{v, p, v.width(p)}
	width, fill := int64(1), g.fill
	if p.wide {
		width, fill = float32Bytes, g.widen
	} else if k := g.holding(off); p.order.head == 0 && off+n <= (k+1)*g.each() {
		return direct(p.from[k], off-k*g.each(), n)
	}
	view, err := v.lent.Lend(off, n, width, fill)
	if err != nil {
		return mmapio.View{}, fmt.Errorf("%s: tensor %q: %w", v.Path(), t.Name, err)
	}
	return view, nil
}

// gathering fills a buffer with what is shown of a tensor.
type gathering struct {
	*view
	*part
	bytes int64 // of a stored element
}

// each are the bytes of one of several tensors that stand one behind the other: all have as many.
func (g gathering) each() int64 {
	return g.tensor.Elements() / int64(len(g.from)) * g.bytes
}

// holding is the tensor that holds a byte.
func (g gathering) holding(off int64) int64 { return off / g.each() }

// with has bytes of a stored tensor looked at.
func (g gathering) with(tensor int, off, n int64, use func(data []byte)) error {
	stored, err := format.Read(g.Checkpoint, tensor, off, n)
	if err != nil {
		return err
	}
	defer stored.Release()
	return mmapio.Guard([]mmapio.View{stored}, func() error {
		use(stored.Data)
		return nil
	})
}

// fill fills dst with the bytes from off on, as they are stored.
func (g gathering) fill(dst []byte, off int64) error {
	for len(dst) > 0 {
		k := g.holding(off)
		n := min(int64(len(dst)), (k+1)*g.each()-off)
		at, one := off-k*g.each(), dst[:n]
		var err error
		if g.order.head > 0 {
			err = g.order.reordered(one, at, rowElements(g.tensor)*g.bytes, func(off, n int64, use func(data []byte)) error {
				return g.with(g.from[k], off, n, use)
			})
		} else {
			err = g.with(g.from[k], at+g.begin*g.bytes, n, func(data []byte) { copy(one, data) })
		}
		if err != nil {
			return err
		}
		dst, off = dst[n:], off+n
	}
	return nil
}

// float32Bytes is the width of a float32.
const float32Bytes = 4

// pieceElements is how much is widened at a time.
const pieceElements = 8 << 10

// widen fills dst with float32 from the first on.
func (g gathering) widen(dst []byte, first int64) error {
	stored, floats := make([]byte, pieceElements*g.bytes), make([]float32, pieceElements)
	dtype := g.Checkpoint.Tensors()[g.from[0]].DType
	for len(dst) > 0 {
		n := min(len(dst)/float32Bytes, pieceElements)
		if err := g.fill(stored[:int64(n)*g.bytes], first*g.bytes); err != nil {
			return err
		}
		format.Decode(dtype, floats[:n], stored[:int64(n)*g.bytes])
		if g.add != 0 {
			for i := range floats[:n] {
				floats[i] += g.add
			}
		}
		format.Encode(format.F32, dst[:n*float32Bytes], floats[:n])
		dst, first = dst[n*float32Bytes:], first+int64(n)
	}
	return nil
}

// ViewCost implements [format.Costly]: a buffer, and what it is filled from meanwhile.
func (v *view) ViewCost(n int64) int64 {
	const floats = pieceElements * (8 + float32Bytes)
	return format.ViewCost(v.Checkpoint, n) + n + floats + batchBytes
}

// Advise implements [format.Advised].
func (v *view) Advise(a mmapio.Advice, i int, off, n int64) {
	p := &v.parts[i]
	if p.made != nil {
		return
	}
	g := gathering{v, p, v.width(p)}
	if p.wide {
		off, n = off/float32Bytes*g.bytes, n/float32Bytes*g.bytes
	}
	if n <= 0 {
		return
	}
	if p.order.head > 0 {
		off, n = p.order.around(off, n, rowElements(p.tensor)*g.bytes)
	}
	for k := g.holding(off); n > 0 && k < int64(len(p.from)); k++ {
		some := min(n, (k+1)*g.each()-off)
		format.Advise(v.Checkpoint, a, p.from[k], off-k*g.each()+p.begin*g.bytes, some)
		off, n = off+some, n-some
	}
}
