package safetensors

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"weld/format"
)

// DefaultShardSize is the size at which the Hub's own tools begin a new shard.
const DefaultShardSize = 5_000_000_000

// Layout is where every byte of a checkpoint will be written: a pure function of
// the tensors, the metadata, the size of a shard and the parts. It holds an offset for each tensor, and prints headers and
// index when they are wanted.
type Layout struct {
	Shards []Shard
	Contents
	begins []int64 // of tensors in the order of their bytes, from where the data of their shard begins
	order  []int32 // which tensors these are; nil where that is the order in which they were given
	rank   []int32 // where each tensor is in the order; nil likewise
}

// Contents is what is laid out.
type Contents struct {
	Count  int
	Tensor func(i int) format.Tensor // describes one of them, now and later
	// Behind says which tensors stand directly behind the one before, in the same shard, whatever their types: the caller sees to it
	// that all of them are aligned where the first is aligned to the largest elements among them, and that their bytes are a
	// multiple of it. nil is none.
	Behind   func(i int) bool
	Metadata map[string]string
	Parts    []format.Part // a tensor lies in the one whose directory its name begins with; nil for one model
}

// Shard is one file of a layout.
type Shard struct {
	Name        string
	Part        int   // of the layout
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
	return Lay(Contents{Count: len(tensors), Tensor: func(i int) format.Tensor { return tensors[i] }, Metadata: metadata}, shardSize)
}

// one is where a checkpoint lies that is one model.
var one = []format.Part{{Stem: strings.TrimSuffix(SingleName, ".safetensors")}}

// Lay is NewLayout for tensors that lie elsewhere.
func Lay(c Contents, shardSize int64) (*Layout, error) {
	if c.Parts == nil {
		c.Parts = one
	}
	n := c.Count
	l := &Layout{Contents: c, begins: make([]int64, n)}
	l.group()
	var entry []byte
	opening := len(appendOpening(nil, l.Metadata))
	for start := 0; start < n || start == 0; {
		end, data, header, part := start, int64(0), opening, 0
		for end < n {
			if of := l.partOf(l.at(end).Name); end == start {
				part = of
			} else if of != part {
				break
			}
			next, bytes, printed := end+l.groupOf(l.number(end)), int64(0), 0
			for k := end; k < next; k++ {
				t := l.at(k)
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
		if err := l.addEmpty(part, start); err != nil {
			return nil, err
		}
		if err := l.addShard(start, end, part, data); err != nil {
			return nil, err
		}
		start = max(end, start+1)
	}
	if err := l.addEmpty(len(l.Parts), n); err != nil {
		return nil, err
	}
	if l.order != nil {
		l.rank = make([]int32, n)
		for k, i := range l.order {
			l.rank[i] = int32(k)
		}
	}
	l.nameShards()
	return l, nil
}

// addEmpty adds a file for each part before one that has no tensors, and no file yet.
func (l *Layout) addEmpty(before, at int) error {
	next := 0
	if k := len(l.Shards); k > 0 {
		next = l.Shards[k-1].Part + 1
	}
	for ; next < before; next++ {
		if err := l.addShard(at, at, next, 0); err != nil {
			return err
		}
	}
	return nil
}

// addShard lays out tensors [first, last) as one file of a part.
func (l *Layout) addShard(first, last, part int, data int64) error {
	l.align(first, last)
	begin := int64(0)
	for k := first; k < last; k++ {
		l.begins[k] = begin
		begin += l.at(k).Bytes()
	}
	s := Shard{Part: part, Data: data, First: first, Last: last}
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

// groupOf is how many tensors stand directly behind one another from tensor i on, itself included.
func (l *Layout) groupOf(i int) int {
	end := i + 1
	for l.Behind != nil && end < l.Count && l.Behind(end) {
		end++
	}
	return end - i
}

// largest is the largest alignment among the tensors that stand directly behind one another, one of which is i.
func (l *Layout) largest(i int) (align int64) {
	for l.Behind != nil && l.Behind(i) {
		i--
	}
	for end := i + l.groupOf(i); i < end; i++ {
		align = max(align, l.Tensor(i).DType.Align())
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

// number is that of the k-th tensor in the order of the bytes.
func (l *Layout) number(k int) int {
	if l.order != nil {
		return int(l.order[k])
	}
	return k
}

// at is the k-th tensor in the order of the bytes.
func (l *Layout) at(k int) format.Tensor { return l.Tensor(l.number(k)) }

// headerPiece is how many bytes of a header are in memory at once, and a tensor's.
const headerPiece = 1 << 20

// printHeader prints a shard's header, with its length before it, piece by piece. A piece is good for the call.
func (l *Layout) printHeader(s *Shard, emit func(piece []byte) error) error {
	size := s.HeaderSize - lengthSize
	buf := binary.LittleEndian.AppendUint64(nil, uint64(size))
	buf = appendOpening(buf, l.Metadata)
	printed := 0
	for k := s.First; k < s.Last; k++ {
		if k > s.First || l.Metadata != nil {
			buf = append(buf, ',')
		}
		t := l.within(l.at(k))
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
		order[k] = l.number(k)
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
