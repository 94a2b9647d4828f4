package safetensors

import (
	"cmp"
	"io"
	"path"
	"slices"
)

// IndexFile is an index over the shards of a part.
type IndexFile struct {
	Name string
	io.Reader
}

// Indexes are those of parts with several shards; they are printed as they are read.
func (l *Layout) Indexes() (list []IndexFile) {
	for k, part := range l.Parts {
		if shards := l.shardsOf(k); len(shards) > 1 {
			list = append(list, IndexFile{part.Prefix() + part.Stem + ".safetensors.index.json", l.index(shards)})
		}
	}
	return list
}

// index prints the index over some shards.
func (l *Layout) index(shards []Shard) io.Reader {
	first, total := shards[0].First, int64(0)
	x := &indexPrinter{layout: l, left: make([]int32, shards[len(shards)-1].Last-first)}
	for _, s := range shards {
		total += s.Data
	}
	for k := range x.left {
		x.left[k] = int32(l.number(first + k))
	}
	slices.SortFunc(x.left, func(a, b int32) int { return cmp.Compare(l.Tensor(int(a)).Name, l.Tensor(int(b)).Name) })
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
		i := int(x.left[0])
		shard, _ := x.layout.Where(i)
		name := path.Base(x.layout.Shards[shard].Name)
		x.buf = Weight{x.layout.within(x.layout.Tensor(i)).Name, name}.append(x.buf, !x.begun)
		x.left, x.begun = x.left[1:], true
	}
	if len(x.left) == 0 {
		x.buf, x.ended = appendIndexEnd(x.buf, !x.begun), true
	}
}
