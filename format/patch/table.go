package patch

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"sort"

	"weld/format"
	"weld/format/packed"
)

// The tables of a patch.
var (
	tagBase   = [4]byte{'B', 'A', 'S', 'E'}
	tagResult = [4]byte{'R', 'S', 'L', 'T'}
)

// Item is a tensor, or a file that holds none, of the base or of the result.
type Item struct {
	format.Tensor      // a file is called by its name and has bytes
	File          bool // not a tensor
	Digest        TreeDigest
	Known         bool // the digest is; of the base, that of what the patch does not need is not
}

// placedItem is an item of the result.
type placedItem struct {
	Item
	begin int64 // of its bytes in the content
	base  int   // the item of the base that it is coded against, −1 for none
}

func (p placedItem) end() int64 { return p.begin + p.Bytes() }

// flags of an item in a table
const (
	flagFile  = 1
	flagKnown = 2
)

func appendItem(dst []byte, it Item) []byte {
	le := binary.LittleEndian
	var flags byte
	if it.File {
		flags |= flagFile
	}
	if it.Known {
		flags |= flagKnown
	}
	code := packed.ElementCode(it.DType)
	if it.File {
		code = packed.ElementCode(format.Invalid)
	}
	dst = append(dst, flags, code, byte(len(it.Shape)), 0)
	dst = le.AppendUint32(dst, uint32(len(it.Name)))
	dst = append(dst, it.Name...)
	for _, n := range it.Shape {
		dst = le.AppendUint64(dst, uint64(n))
	}
	return append(dst, it.Digest[:]...)
}

// noBase stands for −1.
const noBase = math.MaxUint32

// tables are printed item by item.
func tables(bases int, item func(i int) Item, results int, result func(i int) placedItem) []packed.Printed {
	le := binary.LittleEndian
	return []packed.Printed{
		listed(tagBase, bases, func(buffer []byte, i int) []byte { return appendItem(buffer, item(i)) }),
		listed(tagResult, results, func(buffer []byte, i int) []byte {
			p := result(i)
			buffer = le.AppendUint64(appendItem(buffer, p.Item), uint64(p.begin))
			return le.AppendUint32(buffer, uint32(p.base)) // −1 is noBase
		}),
	}
}

// listed is a table of n items.
func listed(tag [4]byte, n int, appendTo func(buffer []byte, i int) []byte) packed.Printed {
	return packed.Printed{Tag: tag, Print: func(w io.Writer) error {
		buffer := binary.LittleEndian.AppendUint32(nil, uint32(n))
		for i := range n {
			if _, err := w.Write(buffer); err != nil {
				return err
			}
			buffer = appendTo(buffer[:0], i)
		}
		_, err := w.Write(buffer)
		return err
	}}
}

// Tables are what a patch says of its base and its result.
type Tables struct {
	path   string
	items  []Item
	places []placedItem
}

// ParseTables reads both tables of a patch with so much content, by their tags.
func ParseTables(path string, payloads map[[4]byte][]byte, content int64) (*Tables, error) {
	base, result := payloads[tagBase], payloads[tagResult]
	if len(base) < 4 || len(result) < 4 {
		return nil, &format.Error{Path: path, Kind: format.KindRecord, Detail: "table of the patch: it is empty, or not there"}
	}
	items, places, err := parse(path, base, result, content)
	if err != nil {
		return nil, err
	}
	return &Tables{path, items, places}, nil
}

// CheckRelative fails if n bytes of the content at an offset are not all of one item that is coded against one of the base.
func (t *Tables) CheckRelative(offset, n int64) error {
	_, err := t.relativeItem(offset, n)
	return err
}

// relativeItem is the item that holds n bytes of the content at an offset, and is coded against one of the base.
func (t *Tables) relativeItem(offset, n int64) (placedItem, error) {
	i := sort.Search(len(t.places), func(i int) bool { return t.places[i].end() > offset })
	if i == len(t.places) || t.places[i].begin > offset || t.places[i].end() < offset+n || t.places[i].base < 0 {
		return placedItem{}, &format.Error{Path: t.path, Kind: format.KindRecord, Detail: fmt.Sprintf("the block at byte %d of the content leans on nothing", offset)}
	}
	return t.places[i], nil
}

// reader takes a table apart.
type reader struct {
	path  string
	rest  []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.rest) {
		r.short, r.rest = true, nil
		return make([]byte, min(max(n, 0), 64))
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *reader) u32() uint32 { return binary.LittleEndian.Uint32(r.take(4)) }
func (r *reader) u64() uint64 { return binary.LittleEndian.Uint64(r.take(8)) }

func (r *reader) bad(detail string, args ...any) error {
	return &format.Error{Path: r.path, Kind: format.KindRecord, Detail: "table of the patch: " + fmt.Sprintf(detail, args...)}
}

// leastItem is the size of an item without name and dimensions.
const leastItem = 4 + 4 + len(TreeDigest{})

func (r *reader) item() (it Item, err error) {
	head := r.take(4)
	it.File, it.Known = head[0]&flagFile != 0, head[0]&flagKnown != 0
	n := r.u32()
	if int64(n) > int64(len(r.rest)) {
		return it, r.bad("it is cut short")
	}
	if head[2] > format.MaxRank {
		return it, r.bad("an item of %d dimensions, of at most %d", head[2], format.MaxRank)
	}
	it.Name = string(r.take(int(n)))
	for range head[2] {
		it.Shape = append(it.Shape, int64(r.u64()))
	}
	copy(it.Digest[:], r.take(len(it.Digest)))
	var known bool
	if it.DType, known = packed.ElementType(head[1]); r.short || !known || head[0]&^(flagFile|flagKnown) != 0 || head[3] != 0 {
		return it, r.bad("%.100q is no item", it.Name)
	}
	if it.File != (it.DType == format.Invalid) || it.File && len(it.Shape) != 1 {
		return it, r.bad("%.100q is neither a tensor nor a file", it.Name)
	}
	if it.File {
		it.DType = format.U8
	}
	if _, ok := format.Size(it.DType, it.Shape); !ok {
		return it, r.bad("%.100q has an impossible shape", it.Name)
	}
	return it, nil
}

// parse reads both tables of a patch with so much content.
func parse(path string, base, result []byte, content int64) (items []Item, places []placedItem, err error) {
	r := reader{path: path, rest: base}
	for range min(int(r.u32()), len(base)/leastItem) {
		it, err := r.item()
		if err != nil {
			return nil, nil, err
		}
		items = append(items, it)
	}
	if len(r.rest) > 0 || r.short || len(items) != int(binary.LittleEndian.Uint32(base)) {
		return nil, nil, r.bad("its count is wrong")
	}
	r = reader{path: path, rest: result}
	at := int64(0)
	for range min(int(r.u32()), len(result)/leastItem) {
		it, err := r.item()
		if err != nil {
			return nil, nil, err
		}
		p := placedItem{Item: it, begin: int64(r.u64()), base: -1}
		if b := r.u32(); b != noBase {
			p.base = int(b)
		}
		switch {
		case r.short || p.begin < at || p.begin > content-p.Bytes():
			return nil, nil, r.bad("%.100q lies elsewhere than in the content", p.Name)
		case p.base >= len(items) || p.base >= 0 && !comparable(p.Item, items[p.base]):
			return nil, nil, r.bad("%.100q leans on what it cannot", p.Name)
		case !p.Known:
			return nil, nil, r.bad("%.100q has no digest", p.Name)
		}
		at = p.end()
		places = append(places, p)
	}
	if len(r.rest) > 0 || r.short || len(places) != int(binary.LittleEndian.Uint32(result)) {
		return nil, nil, r.bad("its count is wrong")
	}
	return items, places, nil
}

// comparable reports whether an item of the result may be coded against one of the base.
func comparable(a, b Item) bool {
	return b.Known && a.File == b.File && a.DType == b.DType && equal(a.Shape, b.Shape)
}

func equal(a, b []int64) bool {
	if len(a) != len(b) {
		return false
	}
	for i, n := range a {
		if n != b[i] {
			return false
		}
	}
	return true
}
