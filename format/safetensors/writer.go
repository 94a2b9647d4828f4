package safetensors

import (
	"errors"
	"fmt"
	"io"

	"weld/format"
	"weld/mmapio"
)

// DefaultShardSize is the size at which the Hub's own tools begin a new shard.
const DefaultShardSize = 5_000_000_000

// Layout is where every byte of a checkpoint will be written: a pure function of
// the tensors, the metadata and the size of a shard.
type Layout struct {
	Shards []Shard
	Index  *Index // nil if there is one shard
	places []shardPlace
}

// Shard is one file of a layout.
type Shard struct {
	Name   string
	Header []byte // with its length before it
	Size   int64  // of the file
	Data   int64  // of the tensors
	Order  []int  // tensors in the order of their bytes
}

type shardPlace struct {
	shard  int
	offset int64 // in the file
}

// NewLayout lays tensors out in the given order. A shard takes tensors until the
// next would exceed shardSize bytes of data; one that is larger has its own. Inside a
// shard every tensor is aligned to its element size.
func NewLayout(tensors []format.Tensor, metadata map[string]string, shardSize int64) (*Layout, error) {
	l := &Layout{places: make([]shardPlace, len(tensors))}
	for start := 0; start < len(tensors) || start == 0; {
		end, data := start, int64(0)
		for end < len(tensors) && (end == start || data+tensors[end].Bytes() <= shardSize) {
			data += tensors[end].Bytes()
			end++
		}
		if err := l.addShard(tensors, start, end, data, metadata); err != nil {
			return nil, err
		}
		start = max(end, start+1)
	}
	l.name(tensors)
	return l, nil
}

// addShard lays out tensors [start, end) as one file.
func (l *Layout) addShard(tensors []format.Tensor, start, end int, data int64, metadata map[string]string) error {
	entries, order := Arrange(tensors[start:end])
	header := Header{Tensors: entries, Metadata: metadata}
	raw := header.AppendFile(nil)
	if len(raw)-8 > MaxHeader {
		return fmt.Errorf("a header of %d bytes for %d tensors is over the format's limit of %d: choose a smaller shard size", len(raw), end-start, int64(MaxHeader))
	}
	s := Shard{Header: raw, Data: data, Size: int64(len(raw)) + data}
	for k, i := range order {
		s.Order = append(s.Order, start+i)
		l.places[start+i] = shardPlace{len(l.Shards), int64(len(raw)) + entries[k].Begin}
	}
	l.Shards = append(l.Shards, s)
	return nil
}

// name gives the shards their names and makes the index.
func (l *Layout) name(tensors []format.Tensor) {
	if len(l.Shards) == 1 {
		l.Shards[0].Name = SingleName
		return
	}
	l.Index = &Index{}
	for i := range l.Shards {
		s := &l.Shards[i]
		s.Name = fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(l.Shards))
		l.Index.TotalSize += s.Data
		for _, t := range s.Order {
			l.Index.WeightMap = append(l.Index.WeightMap, Weight{Name: tensors[t].Name, Shard: s.Name})
		}
	}
}

// Order lists the tensors in the order of their bytes.
func (l *Layout) Order() []int {
	var order []int
	for _, s := range l.Shards {
		order = append(order, s.Order...)
	}
	return order
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
func (l *Layout) Cuts(tensors []format.Tensor, limit int64) []int64 {
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
	fill(int64(len(s.Header)))
	for _, t := range s.Order {
		fill(tensors[t].Bytes())
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
	for i, s := range l.Shards {
		if _, err := targets[i].WriteAt(s.Header, 0); err != nil {
			return nil, fmt.Errorf("write the header of %s: %w", s.Name, err)
		}
	}
	return &Writer{layout: l, targets: targets}, nil
}

// WriteAt implements [format.Writer].
func (w *Writer) WriteAt(i int, off int64, p []byte) error {
	place := w.layout.places[i]
	_, err := w.targets[place.shard].WriteAt(p, place.offset+off)
	return err
}

// CopyAt implements [format.Writer].
func (w *Writer) CopyAt(i int, off int64, src *mmapio.File, from, n int64) error {
	place := w.layout.places[i]
	if t, ok := w.targets[place.shard].(mmapio.Copier); ok {
		return t.CopyAt(src, from, n, place.offset+off)
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
