package quant

import (
	"fmt"
	"slices"
	"sync/atomic"
	"unsafe"

	"weld/format"
	"weld/format/composed"
	"weld/internal/vec"
	"weld/mmapio"
)

// Decoded is a checkpoint shown as what its values stand for: each weight is one tensor of float32, and what it is
// decoded with is hidden. It implements [format.Checkpoint].
type Decoded struct {
	format.Checkpoint
	tensors []format.Tensor
	from    []shown
	table   format.NameTable
	next    atomic.Int64 // the tensor behind the one that was found last: whoever walks through another checkpoint asks in order
	schemes []string     // of the weights that are decoded, each once
	widest  int64        // bytes of codes that are looked at at a time, where that is more than a piece's
	lent    mmapio.Buffers
	rooms   mmapio.Spare[room]
	stored  *Decoded // of those that are turned, in the order of their codes; nil for none
}

// shown is where a tensor of the view comes from.
type shown struct {
	index   int     // in the checkpoint: of the tensor itself, or of the codes
	decoder decoder // nil if it is shown as it is
	hides   []int   // what belongs to it
	scheme  string
}

// pieceElements is how much is decoded at a time: its codes and values stay in the second-level cache.
const pieceElements = 64 << 10

// Show shows a checkpoint as what its values stand for; d is what is declared beside it. Scales of a key-value cache are marked as calibrated. A checkpoint
// without either is returned as it is. Closing the view closes the checkpoint. What is left of a scheme that weld
// does not decode is found by [Recognize] in the view.
func Show(c format.Checkpoint, d Declared) (format.Checkpoint, error) {
	if parts, ok := c.(*composed.Checkpoint); ok {
		return showEach(parts)
	}
	weights, cache, err := find(c, d)
	if err != nil || len(weights)+len(cache) == 0 {
		return c, err
	}
	v := &Decoded{Checkpoint: c}
	hidden, decoded := make([]bool, len(c.Tensors())), make([]*weight, len(c.Tensors()))
	left := len(c.Tensors())
	for i := range weights {
		w := &weights[i]
		decoded[w.codes] = w
		if d, ok := w.decoder.(interface{ widest() int64 }); ok {
			v.widest = max(v.widest, d.widest())
		}
		for _, j := range w.hides {
			if !hidden[j] {
				hidden[j] = true
				left--
			}
		}
		if !slices.Contains(v.schemes, w.scheme) {
			v.schemes = append(v.schemes, w.scheme)
		}
	}
	v.tensors, v.from = make([]format.Tensor, 0, left), make([]shown, 0, left)
	v.table.Reserve(left, v.nameAt)
	again := ""
	add := func(t format.Tensor, from shown) {
		if !v.add(t, from) {
			again = t.Name
		}
	}
	for i, t := range c.Tensors() {
		switch w := decoded[i]; {
		case w != nil:
			add(format.Tensor{Name: w.name, DType: format.F32, Stored: w.plain, Shape: w.shape}, shown{i, w.decoder, w.hides, w.scheme})
			v.addStored(w)
		case !hidden[i]:
			_, t.Calibrated = slices.BinarySearch(cache, i)
			add(t, shown{index: i})
		}
	}
	if again != "" {
		return nil, &format.Error{Path: c.Path(), Tensor: again, Kind: format.KindScheme, Detail: "two tensors have one name once the values are decoded: one is stored in a scheme, and the other as it is or in another"}
	}
	return v, nil
}

// add lists a tensor, and reports whether it is the first of its name.
func (v *Decoded) add(t format.Tensor, from shown) bool {
	v.tensors, v.from = append(v.tensors, t), append(v.from, from)
	_, again := v.table.Add(v.nameAt)
	return !again
}

func (v *Decoded) nameAt(i int) string { return v.tensors[i].Name }

// Bytes that a view holds of a tensor: its description and where it comes from; of a weight also its decoder and what it
// hides. A test holds the sum to it, of weights with blocks of scales.
const (
	shownBytes   = 130
	decoderBytes = 150
)

// HeldBytes bounds what the view holds beside the checkpoint behind it.
func (v *Decoded) HeldBytes() (n int64) {
	for i := range v.from {
		n += shownBytes
		if v.Decodes(i) {
			n += decoderBytes
		}
	}
	if v.stored != nil {
		n += v.stored.HeldBytes()
	}
	return n
}

// Schemes are the names of those that a checkpoint's values are decoded from, by a [Decoded] inside of it.
func Schemes(c format.Checkpoint) []string {
	for {
		switch v := c.(type) {
		case *Decoded:
			return v.schemes
		case *composed.Checkpoint:
			return schemesOf(v)
		}
		w, wraps := c.(format.Wrapper)
		if !wraps {
			return nil
		}
		c = w.Unwrap()
	}
}

// Decodes reports whether a tensor's values are decoded.
func (v *Decoded) Decodes(i int) bool { return v.from[i].decoder != nil }

// InPieces implements [format.Pieced].
func (v *Decoded) InPieces(i int) bool {
	if v.Decodes(i) {
		_, ok := v.from[i].decoder.(pieced)
		return ok
	}
	return format.InPieces(v.Checkpoint, v.from[i].index)
}

// Scheme is how the values of tensor i are stored: the scheme's name, "" if they are shown as they are, the type of the
// codes, and the bytes of all that belongs to them.
func (v *Decoded) Scheme(i int) (name string, codes format.DType, bytes int64) {
	from, stored := v.from[i], v.Checkpoint.Tensors()
	bytes = stored[from.index].Bytes()
	for _, j := range from.hides {
		bytes += stored[j].Bytes()
	}
	return from.scheme, stored[from.index].DType, bytes
}

// Tensors implements [format.Checkpoint].
func (v *Decoded) Tensors() []format.Tensor { return v.tensors }

// Find implements [format.Checkpoint].
func (v *Decoded) Find(name string) (int, bool) {
	if i := int(v.next.Load()); i < len(v.tensors) && v.tensors[i].Name == name {
		v.next.Store(int64(i + 1))
		return i, true
	}
	i, ok := v.table.Find(name, v.nameAt)
	if ok {
		v.next.Store(int64(i + 1))
	}
	return i, ok
}

// Unwrap implements [format.Wrapper].
func (v *Decoded) Unwrap() format.Checkpoint { return v.Checkpoint }

// FileOf implements [format.Sharded]: of decoded values, where the codes are.
func (v *Decoded) FileOf(i int) int { return format.FileOf(v.Checkpoint, v.from[i].index) }

// Stored implements [format.Verbatim].
func (v *Decoded) Stored(i int) (file *mmapio.File, begin int64) {
	if v.Decodes(i) {
		return nil, 0
	}
	return format.Stored(v.Checkpoint, v.from[i].index)
}

// Decoded implements [format.Checkpoint].
func (v *Decoded) View(i int, off, n int64) (mmapio.View, error) {
	if v.Decodes(i) {
		return v.decoded(i, off, n)
	}
	return v.Checkpoint.View(v.from[i].index, off, n)
}

// Read implements [format.Copied]. Decoded values have no neighbours that cost less.
func (v *Decoded) Read(i int, off, n int64) (mmapio.View, error) {
	if v.Decodes(i) {
		return v.decoded(i, off, n)
	}
	return format.Read(v.Checkpoint, v.from[i].index, off, n)
}

// Advise implements [format.Advised]: scales are few.
func (v *Decoded) Advise(a mmapio.Advice, i int, off, n int64) {
	from := v.from[i]
	if from.decoder != nil {
		lo, hi := off/width, (off+n)/width
		if d, ok := from.decoder.(revisiting); ok {
			off, n = d.visited(a == mmapio.Done, lo, hi)
		} else {
			off, n = from.decoder.stored(lo, hi)
		}
	}
	format.Advise(v.Checkpoint, a, from.index, off, n)
}

// ViewCost implements [format.Costly]: a piece of codes and what belongs to it, and its values.
func (v *Decoded) ViewCost(n int64) int64 {
	return max(format.ViewCost(v.Checkpoint, n), n+2*width+2*pieceElements*width+3*format.ViewCost(v.Checkpoint, max(pieceElements, v.widest)))
}

// width is the bytes of a decoded element.
const width = 4

// decoded lends a buffer with the elements that bytes [off, off+n) have a part in.
func (v *Decoded) decoded(i int, off, n int64) (mmapio.View, error) {
	t := &v.tensors[i]
	if err := format.CheckView(v, i, off, n); err != nil {
		return mmapio.View{}, err
	}
	view, err := v.lent.Lend(off, n, width, func(data []byte, first int64) error { return v.decode(i, first, data) })
	if err != nil {
		return mmapio.View{}, fmt.Errorf("%s: tensor %q: decode its values: %w", v.Path(), t.Name, err)
	}
	return view, nil
}

// decode fills out with the values of elements from lo on, piece by piece, and in place if it can.
func (v *Decoded) decode(i int, lo int64, out []byte) error {
	room := v.room()
	defer v.giveBack(room)
	from := codeLender{v.Checkpoint, room.floats[pieceElements:], &room.held}
	if d, ok := v.from[i].decoder.(spanned); ok {
		return d.decodeSpan(from, room.floats[:pieceElements], out, lo)
	}
	d := v.from[i].decoder.(pieced)
	q, quiet := d.(quieted)
	for len(out) > 0 {
		n := min(len(out)/width, pieceElements)
		piece, inPlace := vec.Floats(out[:n*width])
		if !inPlace {
			piece = room.floats[:n]
		}
		if err := d.decode(from, piece, lo); err != nil {
			return err
		}
		if !inPlace || !quiet || !q.quiet() {
			format.Encode(format.F32, out[:n*width], piece)
		}
		out, lo = out[n*width:], lo+int64(n)
	}
	return nil
}

// room is memory for a piece, and as much again.
type room struct {
	floats [2 * pieceElements]float32
	held   heldScales
}

// room finds or makes some.
func (v *Decoded) room() *room {
	if r := v.rooms.Get(); r != nil {
		return r
	}
	return new(room)
}

// giveBack ends its use.
func (v *Decoded) giveBack(r *room) { v.rooms.Put(r, int64(unsafe.Sizeof(*r))) }

// decoder restores the values of one weight. It may be used from several goroutines at once.
type decoder interface {
	// stored are the bytes of the codes that elements [lo, hi) have a part in.
	stored(lo, hi int64) (off, n int64)
}

// revisiting are decoders that read the same bytes for ranges far apart.
type revisiting interface {
	// visited are the bytes of the codes that elements [lo, hi) are the first to have a part in, of all in their order; or, done, the last.
	visited(done bool, lo, hi int64) (off, n int64)
}

// pieced are decoders that restore a piece at a time.
type pieced interface {
	// decode fills dst with the values of elements from lo on, in C order of the shape that is shown.
	decode(from codeLender, dst []float32, lo int64) error
}

// quieted are decoders that can say whether every NaN of theirs is the one that encoders write.
type quieted interface{ quiet() bool }

// spanned are decoders that restore a range at once, since what they read lies across it.
type spanned interface {
	// decodeSpan fills out with the values of elements from lo on; in values there is room for a piece.
	decodeSpan(from codeLender, values []float32, out []byte, lo int64) error
}

// codeLender lends what decoders read, and memory for it.
type codeLender struct {
	format.Checkpoint
	scratch []float32   // as much as a piece
	held    *heldScales // nil for none
}

// floats lends n floats, until the next call.
func (l codeLender) floats(n int64) []float32 {
	if n > int64(len(l.scratch)) {
		return make([]float32, n) // a row of scales that is longer than a piece
	}
	return l.scratch[:n]
}

// refuse is the error for what a tensor has in it.
func (l codeLender) refuse(tensor int, text string, args ...any) error {
	return &format.Error{Path: l.Path(), Tensor: l.Tensors()[tensor].Name, Kind: format.KindScheme, Err: fmt.Errorf(text, args...)}
}

// copiedBytes are read where they are used at once, while they lie in the cache: a mapping would be made and given back for few.
const copiedBytes = 64 << 10

// with has use look at bytes [off, off+n) of a tensor.
func (l codeLender) with(tensor int, off, n int64, use func(data []byte) error) error {
	lend := l.View
	if n <= copiedBytes {
		lend = func(i int, off, n int64) (mmapio.View, error) { return format.Read(l.Checkpoint, i, off, n) }
	}
	view, err := lend(tensor, off, n)
	if err != nil {
		return err
	}
	defer view.Release()
	return mmapio.Guard([]mmapio.View{view}, func() error { return use(view.Data) })
}

// strided has use look at count stretches of a tensor, each a stride behind the one before, in turn.
func (l codeLender) strided(tensor int, off, stride, n, count int64, use func(k int64, data []byte) error) error {
	batch := 1 + max(0, tileBytes-n)/stride
	for k := int64(0); k < count; k += batch {
		some := min(batch, count-k)
		if err := l.with(tensor, off+k*stride, (some-1)*stride+n, func(data []byte) error {
			for i := range some {
				if err := use(k+i, data[i*stride:][:n]); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}
