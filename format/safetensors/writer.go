package safetensors

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"weld/format"
	"weld/mmapio"
)

// DefaultShardSize is the size at which the Hub's own tools begin a new shard.
const DefaultShardSize = 5_000_000_000

// Layout is where every byte of a checkpoint will be written: a pure function of
// the tensors, the metadata and the size of a shard. It holds an offset for each tensor, and prints headers and
// index when they are wanted.
type Layout struct {
	Shards   []Shard
	tensor   func(i int) format.Tensor
	behind   func(i int) bool // nil for none
	metadata map[string]string
	begins   []int64 // of tensors in the order of their bytes, from where the data of their shard begins
	order    []int32 // which tensors these are; nil where that is the order in which they were given
	rank     []int32 // where each tensor is in the order; nil likewise
}

// Shard is one file of a layout.
type Shard struct {
	Name        string
	HeaderSize  int64 // with the length before it
	Size        int64 // of the file
	Data        int64 // of the tensors
	First, Last int   // its tensors, in the order of their bytes
}

// OneShard is a size of shards that never begins another one.
const OneShard = 1 << 62

// NewLayout lays tensors out in the given order. A shard takes tensors until the
// next would exceed shardSize bytes of data, or the header a limit; one that is larger has its own. Inside a
// shard those with the larger elements come first, so that every tensor is aligned to its element size.
func NewLayout(tensors []format.Tensor, metadata map[string]string, shardSize int64) (*Layout, error) {
	return Lay(len(tensors), func(i int) format.Tensor { return tensors[i] }, nil, metadata, shardSize)
}

// Lay is NewLayout for n tensors that lie elsewhere; tensor describes them, now and later. behind says which tensors stand
// directly behind the one before, in the same shard, whatever their types: the caller sees to it that all of them are aligned
// where the first is aligned to the largest elements among them, and that their bytes are a multiple of it. It may be nil.
func Lay(n int, tensor func(i int) format.Tensor, behind func(i int) bool, metadata map[string]string, shardSize int64) (*Layout, error) {
	l := &Layout{tensor: tensor, behind: behind, metadata: metadata, begins: make([]int64, n)}
	var entry []byte
	opening := len(appendOpening(nil, metadata))
	for start := 0; start < n || start == 0; {
		end, data, header := start, int64(0), opening
		for end < n {
			next, bytes, printed := l.groupEnd(end), int64(0), 0
			for i := end; i < next; i++ {
				t := tensor(i)
				bytes += t.Bytes()
				e := Entry{t, math.MaxInt64, math.MaxInt64} // printed as long as any
				entry = e.append(entry[:0])
				printed += len(entry) + 1
			}
			if end > start && shardSize < OneShard && (data+bytes > shardSize || header+printed-1 > MaxHeader || next-start > MaxTensors) {
				break
			}
			data, header, end = data+bytes, header+printed, next
		}
		if err := l.addShard(start, end, data); err != nil {
			return nil, err
		}
		start = max(end, start+1)
	}
	if l.order != nil {
		l.rank = make([]int32, n)
		for k, i := range l.order {
			l.rank[i] = int32(k)
		}
	}
	for i := range l.Shards {
		l.Shards[i].Name = SingleName
		if len(l.Shards) > 1 {
			l.Shards[i].Name = fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(l.Shards))
		}
	}
	return l, nil
}

// addShard lays out tensors [first, last) as one file.
func (l *Layout) addShard(first, last int, data int64) error {
	l.align(first, last)
	begin := int64(0)
	for k := first; k < last; k++ {
		l.begins[k] = begin
		begin += l.at(k).Bytes()
	}
	s := Shard{Data: data, First: first, Last: last}
	l.printHeader(&s, func(piece []byte) error {
		s.HeaderSize += int64(len(piece))
		return nil
	})
	if s.HeaderSize-lengthSize > MaxHeader {
		return fmt.Errorf("a header of %d bytes for %d tensors is over the format's limit of %d: choose a smaller shard size", s.HeaderSize, last-first, int64(MaxHeader))
	}
	s.Size = s.HeaderSize + data
	l.Shards = append(l.Shards, s)
	return nil
}

// groupEnd is the first tensor behind i that does not stand directly behind it.
func (l *Layout) groupEnd(i int) int {
	for i++; l.behind != nil && i < len(l.begins) && l.behind(i); i++ {
	}
	return i
}

// largest is the largest alignment among the tensors that stand directly behind one another, one of which is i.
func (l *Layout) largest(i int) (align int64) {
	for l.behind != nil && l.behind(i) {
		i--
	}
	for end := l.groupEnd(i); i < end; i++ {
		align = max(align, l.tensor(i).DType.Align())
	}
	return align
}

// align orders the tensors of a shard by the size of their elements.
func (l *Layout) align(first, last int) {
	larger := func(a, b int32) int { return cmp.Compare(l.largest(int(b)), l.largest(int(a))) }
	if l.order == nil {
		inOrder := true
		for i := first + 1; i < last && inOrder; i++ {
			inOrder = larger(int32(i-1), int32(i)) <= 0
		}
		if inOrder {
			return
		}
		l.order = make([]int32, len(l.begins))
		for i := range l.order {
			l.order[i] = int32(i)
		}
	}
	slices.SortStableFunc(l.order[first:last], larger)
}

// at is the k-th tensor in the order of the bytes.
func (l *Layout) at(k int) format.Tensor {
	if l.order != nil {
		k = int(l.order[k])
	}
	return l.tensor(k)
}

// headerPiece is how many bytes of a header are in memory at once, and a tensor's.
const headerPiece = 1 << 20

// printHeader prints a shard's header, with its length before it, piece by piece. A piece is good for the call.
func (l *Layout) printHeader(s *Shard, emit func(piece []byte) error) error {
	size := s.HeaderSize - lengthSize
	buf := binary.LittleEndian.AppendUint64(nil, uint64(size))
	buf = appendOpening(buf, l.metadata)
	printed := 0
	for k := s.First; k < s.Last; k++ {
		if k > s.First || l.metadata != nil {
			buf = append(buf, ',')
		}
		t := l.at(k)
		e := Entry{t, l.begins[k], l.begins[k] + t.Bytes()}
		if buf = e.append(buf); len(buf) >= headerPiece {
			if err := emit(buf); err != nil {
				return err
			}
			printed += len(buf)
			buf = buf[:0]
		}
	}
	for buf = append(buf, '}'); (printed+len(buf))%lengthSize != 0; {
		buf = append(buf, ' ')
	}
	return emit(buf)
}

// Header prints a shard's header, with its length before it.
func (l *Layout) Header(shard int) []byte {
	s := &l.Shards[shard]
	raw := make([]byte, 0, s.HeaderSize)
	l.printHeader(s, func(piece []byte) error {
		raw = append(raw, piece...)
		return nil
	})
	return raw
}

// Order lists the tensors in the order of their bytes.
func (l *Layout) Order() []int {
	order := make([]int, len(l.begins))
	for k := range order {
		order[k] = k
		if l.order != nil {
			order[k] = int(l.order[k])
		}
	}
	return order
}

// Settle renumbers the tensors by the order of their bytes: tensor i is what Order()[i] was, for
// whoever described the tensors, too.
func (l *Layout) Settle() { l.order, l.rank = nil, nil }

// Where is the shard of a tensor, and where it begins in the file.
func (l *Layout) Where(i int) (shard int, offset int64) {
	if l.rank != nil {
		i = int(l.rank[i])
	}
	behind, _ := slices.BinarySearchFunc(l.Shards, i+1, func(s Shard, i int) int { return cmp.Compare(s.First, i) })
	shard = behind - 1
	return shard, l.Shards[shard].HeaderSize + l.begins[i]
}

// Size is the number of bytes of all shards.
func (l *Layout) Size() (n int64) {
	for _, s := range l.Shards {
		n += s.Size
	}
	return n
}

// Index prints the index of several shards as it is read; nil if there is one.
func (l *Layout) Index() io.Reader {
	if len(l.Shards) == 1 {
		return nil
	}
	x := &indexPrinter{layout: l, left: make([]int32, len(l.begins))}
	total := int64(0)
	for i := range l.Shards {
		total += l.Shards[i].Data
	}
	for i := range x.left {
		x.left[i] = int32(i)
	}
	slices.SortFunc(x.left, func(a, b int32) int { return cmp.Compare(l.tensor(int(a)).Name, l.tensor(int(b)).Name) })
	x.buf = appendIndexOpening(nil, total)
	return x
}

// indexPrinter is an [io.Reader] of an index.
type indexPrinter struct {
	layout *Layout
	left   []int32 // tensors by name
	begun  bool
	ended  bool
	buf    []byte
	read   int // bytes of buf
}

func (x *indexPrinter) Read(p []byte) (int, error) {
	if x.read == len(x.buf) {
		if x.ended {
			return 0, io.EOF
		}
		x.print()
	}
	n := copy(p, x.buf[x.read:])
	x.read += n
	return n, nil
}

// print prints some more.
func (x *indexPrinter) print() {
	x.buf, x.read = x.buf[:0], 0
	for len(x.left) > 0 && len(x.buf) < headerPiece {
		shard, _ := x.layout.Where(int(x.left[0]))
		x.buf = Weight{x.layout.tensor(int(x.left[0])).Name, x.layout.Shards[shard].Name}.append(x.buf, !x.begun)
		x.left, x.begun = x.left[1:], true
	}
	if len(x.left) == 0 {
		x.buf, x.ended = appendIndexEnd(x.buf, !x.begun), true
	}
}

// Cuts lists the offsets at which a single file of this layout is best cut into
// pieces of at most limit bytes: between tensors, and inside those that are larger.
func (l *Layout) Cuts(limit int64) []int64 {
	s := l.Shards[0]
	var cuts []int64
	var start, end int64 // of the piece that is being filled
	cut := func() {
		if end > start {
			cuts = append(cuts, end)
			start = end
		}
	}
	fill := func(size int64) {
		if end-start+size > limit {
			cut()
		}
		large := size > limit
		for ; size > limit; size -= limit {
			end += limit
			cut()
		}
		end += size
		if large {
			cut()
		}
	}
	fill(s.HeaderSize)
	for k := range l.begins {
		fill(l.at(k).Bytes())
	}
	cut()
	return cuts
}

// Target is where a shard's bytes go, at any offset, each once.
type Target interface{ io.WriterAt }

// Writer writes the tensors of a layout. It implements [format.Writer].
type Writer struct {
	layout  *Layout
	targets []Target
}

// NewWriter starts writing a layout to one target for each shard; the headers are
// written at once.
func NewWriter(l *Layout, targets []Target) (*Writer, error) {
	for i := range l.Shards {
		at := int64(0)
		err := l.printHeader(&l.Shards[i], func(piece []byte) error {
			n, err := targets[i].WriteAt(piece, at)
			at += int64(n)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("write the header of %s: %w", l.Shards[i].Name, err)
		}
	}
	return &Writer{layout: l, targets: targets}, nil
}

// WriteAt implements [format.Writer].
func (w *Writer) WriteAt(i int, off int64, p []byte) error {
	shard, begin := w.layout.Where(i)
	_, err := w.targets[shard].WriteAt(p, begin+off)
	return err
}

// CopyAt implements [format.Writer].
func (w *Writer) CopyAt(i int, off int64, src *mmapio.File, from, n int64) error {
	shard, begin := w.layout.Where(i)
	if t, ok := w.targets[shard].(mmapio.Copier); ok {
		return t.CopyAt(src, from, n, begin+off)
	}
	return errors.ErrUnsupported
}

// Abort implements [format.Writer].
func (w *Writer) Abort(err error) {
	for _, t := range w.targets {
		if t, ok := t.(interface{ Abort(error) }); ok {
			t.Abort(err)
		}
	}
}

// Close implements [format.Writer]: targets that have something to complete, do.
func (w *Writer) Close() error {
	var errs []error
	for _, t := range w.targets {
		if t, ok := t.(interface{ Complete() error }); ok {
			errs = append(errs, t.Complete())
		}
	}
	return errors.Join(errs...)
}
