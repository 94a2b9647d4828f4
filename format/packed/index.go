package packed

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"weld/format"
	"weld/format/planes"
)

// FileInfo is a file of the checkpoint in a pack.
type FileInfo struct {
	Name  string // relative, with slashes
	Size  int64
	Begin int64 // of its bytes in the content
}

// Table is a record that says something of the whole, such as a patch's list of tensors.
type Table struct {
	Tag     [4]byte
	Payload []byte
}

// Printed is a table as a [Writer] takes it: Print prints the payload, the same each time.
type Printed struct {
	Tag   [4]byte
	Print func(io.Writer) error
}

// block is where a block lies and what it is.
type block struct {
	place   int64 // of its record in the file
	payload uint32
	sum     uint32
	elem    uint8
	coding  planes.Coding
}

// index is everything that a pack says of itself: what [Writer] and [Scanner] build up, and
// an [Archive] reads.
type index struct {
	files  []FileInfo
	blocks []block
	cuts   []int64      // offsets in the content at which blocks end
	tables []tablePlace // in the order of the file
	named  int          // bytes of the names of all files
	end    int64        // of the records so far
}

// tablePlace is where a table's record lies.
type tablePlace struct {
	tag    tag
	offset int64
	bytes  uint32
}

func (x *index) size() int64 {
	if len(x.cuts) == 0 {
		return 0
	}
	return x.cuts[len(x.cuts)-1]
}

// file notes a file's record.
func (x *index) file(f FileInfo) {
	x.files = append(x.files, f)
	x.named += len(f.Name)
	x.end += recordSize + fileEntry + int64(len(f.Name))
}

// data notes a block's record.
func (x *index) data(r record) {
	x.blocks = append(x.blocks, block{x.end, r.payload, r.sum, r.elem, r.coding})
	x.cuts = append(x.cuts, r.offset+int64(r.content))
	x.end += recordSize + int64(r.payload)
}

// table notes a table's record.
func (x *index) table(t tag, payload int) {
	x.tables = append(x.tables, tablePlace{t, x.end, uint32(payload)})
	x.end += recordSize + int64(payload)
}

// print prints the payload of the index record.
func (x *index) print(w io.Writer) error {
	le := binary.LittleEndian
	buffer := le.AppendUint32(nil, uint32(len(x.files)))
	for _, f := range x.files {
		buffer = appendFile(buffer, f)
	}
	buffer = le.AppendUint32(buffer, uint32(len(x.tables)))
	for _, t := range x.tables {
		buffer = append(buffer, t.tag[:]...)
		buffer = le.AppendUint32(buffer, t.bytes)
	}
	buffer = le.AppendUint64(buffer, uint64(len(x.blocks)))
	begin := int64(0)
	for i, b := range x.blocks {
		if _, err := w.Write(buffer); err != nil {
			return err
		}
		buffer = le.AppendUint32(buffer[:0], b.payload)
		buffer = le.AppendUint32(buffer, uint32(x.cuts[i]-begin))
		buffer = append(buffer, b.elem, byte(b.coding), 0, 0)
		buffer = le.AppendUint32(buffer, b.sum)
		begin = x.cuts[i]
	}
	_, err := w.Write(buffer)
	return err
}

// blockEntry is the size of a block's entry.
const blockEntry = 16

// appendFile prints a file, as it stands in its own record and in the index.
func appendFile(dst []byte, f FileInfo) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(f.Size))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(f.Name)))
	return append(dst, f.Name...)
}

// fileEntry is the size of a file's entry without its name.
const fileEntry = 8 + 2

// parseIndex reads the payload of the index record, checking every figure before it is
// used, and finds the places of all records.
func parseIndex(path string, p []byte) (*index, error) {
	x := &index{end: headerSize}
	bad := func(detail string, args ...any) (*index, error) {
		return nil, &format.Error{Path: path, Kind: format.KindRecord, Detail: "index: " + fmt.Sprintf(detail, args...)}
	}
	c := cursor{rest: p}
	files := make([]FileInfo, 0, min(int(c.u32()), len(p)/fileEntry))
	for range cap(files) {
		f := FileInfo{Size: int64(c.u64()), Name: string(c.take(int(c.u16())))}
		if n := len(files); n > 0 {
			f.Begin = files[n-1].Begin + files[n-1].Size
		}
		if f.Begin+f.Size < f.Begin { // negative, or too large together
			return bad("file %q has an impossible size", f.Name)
		}
		files = append(files, f)
	}
	if err := checkFiles(path, files); err != nil {
		return nil, err
	}
	tables := int(c.u32())
	var tabled []tablePlace
	for range min(tables, len(c.rest)/8) {
		tabled = append(tabled, tablePlace{tag: tag(c.take(4)), bytes: c.u32()})
	}
	count := c.u64()
	if c.short || len(tabled) != tables || count != uint64(len(c.rest)/blockEntry) || len(c.rest)%blockEntry != 0 {
		return bad("its counts do not fit its %d bytes", len(p))
	}
	if fault := full(len(c.rest)/blockEntry, len(files), 0); fault != "" {
		return bad("%s", fault)
	}
	x.blocks, x.cuts = make([]block, 0, count), make([]int64, 0, count)
	at, next := int64(0), 0
	for range count {
		for ; next < len(files) && files[next].Begin == at; next++ {
			x.file(files[next])
		}
		r := record{tag: tagData, payload: c.u32(), offset: at, content: c.u32()}
		r.elem, r.coding = c.take(1)[0], planes.Coding(c.take(1)[0])
		reserved := c.u16()
		r.sum = c.u32()
		at += int64(r.content)
		if reserved != 0 || r.content == 0 || r.content > planes.MaxContent || int64(r.payload) > int64(r.content)+planes.Slack || next == 0 || at > files[next-1].Begin+files[next-1].Size {
			return bad("block %d does not fit", len(x.blocks))
		}
		x.data(r)
	}
	for ; next < len(files) && files[next].Begin == at; next++ { // empty
		x.file(files[next])
	}
	if next > 0 && at != files[next-1].Begin+files[next-1].Size {
		return bad("its blocks end at byte %d of the content, its files elsewhere", at)
	}
	for _, t := range tabled {
		x.table(t.tag, int(t.bytes))
	}
	return x, nil
}

// checkFiles demands names that can be unpacked, each once.
func checkFiles(path string, files []FileInfo) error {
	seen := newNames()
	for _, f := range files {
		if fault := checkName(f.Name); fault != "" {
			return &format.Error{Path: path, Kind: format.KindShardName, Detail: fmt.Sprintf("file %.100q %s", f.Name, fault)}
		}
		if fault := seen.add(f.Name); fault != "" {
			return &format.Error{Path: path, Kind: format.KindDuplicate, Detail: fmt.Sprintf("file %.100q %s", f.Name, fault)}
		}
	}
	return nil
}

// cursor reads figures from bytes that may be short.
type cursor struct {
	rest  []byte
	short bool
}

func (c *cursor) take(n int) []byte {
	if n > len(c.rest) {
		c.short, c.rest = true, nil
		return make([]byte, min(n, 8))
	}
	taken := c.rest[:n]
	c.rest = c.rest[n:]
	return taken
}

func (c *cursor) u16() uint16 { return binary.LittleEndian.Uint16(c.take(2)) }
func (c *cursor) u32() uint32 { return binary.LittleEndian.Uint32(c.take(4)) }
func (c *cursor) u64() uint64 { return binary.LittleEndian.Uint64(c.take(8)) }

// Digest identifies a pack: the SHA-256 of everything in it but the payloads of blocks, which it
// knows by their checksums, and the end record.
type Digest = [sha256.Size]byte

// appendEnd prints the last record.
func appendEnd(dst []byte, index int64, content int64, digest hash.Hash) []byte {
	p := binary.LittleEndian.AppendUint64(nil, uint64(index))
	p = binary.LittleEndian.AppendUint64(p, uint64(content))
	return appendRecord(dst, tagEnd, content, digest.Sum(p))
}

// end is the payload of the last record.
type end struct {
	index, content int64
	digest         Digest
}

func parseEnd(p []byte) end {
	le := binary.LittleEndian
	return end{int64(le.Uint64(p)), int64(le.Uint64(p[8:])), Digest(p[16:])}
}

// same reports whether the payload of an index record says the same.
func (x *index) same(payload []byte) bool {
	rest := expected(payload)
	return x.print(&rest) == nil && len(rest) == 0
}

// expected are bytes that are compared with what is written.
type expected []byte

var errOther = errors.New("something else is written")

func (e *expected) Write(p []byte) (int, error) {
	rest, ok := bytes.CutPrefix(*e, p)
	if !ok {
		return 0, errOther
	}
	*e = rest
	return len(p), nil
}
