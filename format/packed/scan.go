package packed

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"weld/format"
	"weld/format/planes"
)

// Scanner reads a pack or a patch from its beginning, as from a pipe.
type Scanner struct {
	path string
	in   *bufio.Reader
	header
	seen   index
	names  names
	digest hash.Hash
	head   [recordSize]byte
	ended  bool
}

// NewScanner reads the beginning of a pack or patch; path is for messages.
func NewScanner(path string, in io.Reader) (*Scanner, error) {
	s := &Scanner{path: path, in: bufio.NewReaderSize(in, 64<<10), digest: sha256.New(), seen: index{end: headerSize}, names: newNames()}
	var head [headerSize]byte
	if _, err := io.ReadFull(s.in, head[:]); err != nil {
		return nil, s.cut(err)
	}
	var err error
	if s.header, err = parseHeader(path, head[:]); err != nil {
		return nil, err
	}
	s.digest.Write(head[:])
	return s, nil
}

// Kind is what is being read.
func (s *Scanner) Kind() FileKind { return s.kind }

// Content is how many bytes all files have that were read so far.
func (s *Scanner) Content() int64 { return s.seen.size() }

// Place is the byte of the file that the next record begins at, or the one that was found damaged.
func (s *Scanner) Place() int64 { return s.seen.end }

// Digest identifies the pack, once [Scanner.Next] has returned io.EOF.
func (s *Scanner) Digest() Digest { return Digest(s.digest.Sum(nil)) }

// Scanned is what [Scanner.Next] finds: a file that begins, a block of it, or a table.
type Scanned struct {
	File  *FileInfo
	Block *Block
	Table *Table
}

// Block is a block as it is stored.
type Block struct {
	Place   int64 // of its record in the pack
	Offset  int64 // in the content
	Bytes   int   // that it decodes to
	record  record
	payload []byte
}

// Decode checks the block and fills content with what it holds. The base is needed for a
// block of a patch that is coded against one.
func (b *Block) Decode(d *planes.Decoder, content, base []byte) error {
	return restore(d, content, b.record, b.payload, base)
}

// Intact reports whether the block's checksum is right.
func (b *Block) Intact() bool { return crc32.ChecksumIEEE(b.payload) == b.record.sum }

// Repeated reports whether the block holds what an earlier one does.
func (b *Block) Repeated() bool { return b.record.coding == repeated }

// Relative reports whether the block is coded by a base.
func (b *Block) Relative() bool { return b.record.coding.Relative() }

// Type is the element type of the block.
func (b *Block) Type() format.DType { return elementType(b.record.elem) }

// cut is the error for a file that ends too early.
func (s *Scanner) cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &format.Error{Path: s.path, Kind: format.KindTruncated, Detail: fmt.Sprintf("it ends inside the record at byte %d", s.seen.end)}
	}
	return err
}

func (s *Scanner) bad(kind format.Kind, detail string, args ...any) error {
	return &format.Error{Path: s.path, Kind: kind, Detail: fmt.Sprintf("record at byte %d: ", s.seen.end) + fmt.Sprintf(detail, args...)}
}

// Next reads the next record; buffer is memory for a block's payload, which the block then holds. After
// the last it demands that index and digest agree with what was read, and returns io.EOF.
func (s *Scanner) Next(buffer []byte) (Scanned, error) {
	if s.ended {
		return Scanned{}, io.EOF
	}
	if _, err := io.ReadFull(s.in, s.head[:]); err != nil {
		return Scanned{}, s.cut(err)
	}
	r, fault := parseRecord(s.head[:])
	if fault != "" {
		return Scanned{}, s.bad(format.KindRecord, "%s", fault)
	}
	if r.offset != s.seen.size() {
		return Scanned{}, s.bad(format.KindRecord, "it belongs to byte %d of the content, the one before ended at %d", r.offset, s.seen.size())
	}
	if len(s.seen.tables) > 0 && (r.tag == tagData || r.tag == tagFile) {
		return Scanned{}, s.bad(format.KindRecord, "%q after a table", r.tag[:])
	}
	if fault := s.seen.full(); fault != "" {
		return Scanned{}, s.bad(format.KindRecord, "%s", fault)
	}
	if r.tag == tagData {
		return s.block(r, buffer)
	}
	if fault := payloadFault(r.tag, int64(r.payload)); fault != "" {
		return Scanned{}, s.bad(format.KindRecord, "%s", fault)
	}
	payload, err := s.payload(r)
	if err != nil {
		return Scanned{}, err
	}
	if r.tag != tagEnd {
		s.digest.Write(s.head[:])
		s.digest.Write(payload)
	}
	switch r.tag {
	case tagFile:
		return s.file(payload)
	case tagIndex:
		return s.index(payload)
	case tagEnd:
		return Scanned{}, s.bad(format.KindRecord, "the end comes before the index")
	}
	t := &Table{Tag: r.tag, Payload: payload}
	s.seen.table(r.tag, len(payload))
	return Scanned{Table: t}, nil
}

// payload reads that of a record that is no block. It grows as bytes arrive: the length is a claim.
func (s *Scanner) payload(r record) ([]byte, error) {
	payload, err := io.ReadAll(io.LimitReader(s.in, int64(r.payload)))
	if err == nil && len(payload) < int(r.payload) {
		err = io.EOF
	}
	if err != nil {
		return nil, s.cut(err)
	}
	if crc32.ChecksumIEEE(payload) != r.sum {
		return nil, s.bad(format.KindChecksum, "its payload is damaged")
	}
	return payload, nil
}

// last is the file under way.
func (s *Scanner) last() *FileInfo {
	if n := len(s.seen.files); n > 0 {
		return &s.seen.files[n-1]
	}
	return &FileInfo{}
}

func (s *Scanner) file(payload []byte) (Scanned, error) {
	c := cursor{rest: payload}
	f := FileInfo{Size: int64(c.u64()), Begin: s.seen.size()}
	f.Name = string(c.take(int(c.u16())))
	if c.short || len(c.rest) > 0 || f.Size < 0 || f.Begin+f.Size < 0 {
		return Scanned{}, s.bad(format.KindRecord, "it names no file")
	}
	if open := s.last(); open.Begin+open.Size != f.Begin {
		return Scanned{}, s.bad(format.KindRecord, "file %q begins before %q ends", f.Name, open.Name)
	}
	if fault := checkName(f.Name); fault != "" {
		return Scanned{}, s.bad(format.KindShardName, "file %.100q %s", f.Name, fault)
	}
	if fault := s.names.add(f.Name); fault != "" {
		return Scanned{}, s.bad(format.KindDuplicate, "file %.100q %s", f.Name, fault)
	}
	s.seen.file(f)
	return Scanned{File: &f}, nil
}

func (s *Scanner) block(r record, buffer []byte) (Scanned, error) {
	if open := s.last(); r.offset+int64(r.content) > open.Begin+open.Size {
		return Scanned{}, s.bad(format.KindRecord, "a block reaches beyond the end of file %q", open.Name)
	}
	b := &Block{Place: s.seen.end, Offset: r.offset, Bytes: int(r.content), record: r}
	if cap(buffer) < int(r.payload) {
		buffer = make([]byte, r.payload)
	}
	b.payload = buffer[:r.payload]
	if _, err := io.ReadFull(s.in, b.payload); err != nil {
		return Scanned{}, s.cut(err)
	}
	if r.coding == repeated && b.Intact() {
		if !s.repeats {
			return Scanned{}, s.bad(format.KindRecord, "a repeated block, which version 1 does not have")
		}
		if _, fault := s.seen.origin(r, b.payload); fault != "" {
			return Scanned{}, s.bad(format.KindRecord, "%s", fault)
		}
	}
	s.digest.Write(s.head[:])
	s.seen.data(r)
	return Scanned{Block: b}, nil
}

// Payload is the memory that [Scanner.Next] was given for the block.
func (b *Block) Payload() []byte { return b.payload }

// index compares the index with what was read, and reads the end.
func (s *Scanner) index(payload []byte) (Scanned, error) {
	if open := s.last(); open.Begin+open.Size != s.seen.size() {
		return Scanned{}, s.bad(format.KindRecord, "the index comes before file %q ends", open.Name)
	}
	if !s.seen.same(payload) {
		return Scanned{}, s.bad(format.KindRecord, "the index lists something else than what came before it")
	}
	place := s.seen.end
	s.seen.end += recordSize + int64(len(payload))
	var last [endSize]byte
	if _, err := io.ReadFull(s.in, last[:]); err != nil {
		return Scanned{}, s.cut(err)
	}
	r, fault := parseRecord(last[:])
	if fault == "" && (r.tag != tagEnd || r.payload != endPayload || crc32.ChecksumIEEE(last[recordSize:]) != r.sum) {
		fault = "the last record is damaged"
	}
	if fault != "" {
		return Scanned{}, s.bad(format.KindRecord, "%s", fault)
	}
	if e := parseEnd(last[recordSize:]); e.index != place || e.content != s.seen.size() || e.digest != s.Digest() {
		return Scanned{}, s.bad(format.KindChecksum, "the digest at the end is that of something else")
	}
	if n, _ := s.in.Read(last[:1]); n > 0 {
		return Scanned{}, s.bad(format.KindRecord, "bytes follow the end")
	}
	s.ended = true
	return Scanned{}, io.EOF
}
