package packed

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"weld/format"
	"weld/format/frames"
	"weld/format/planes"
	"weld/mmapio"
)

// Archive is a pack or patch, open for reading anywhere. Its methods may be called from any
// goroutine.
type Archive struct {
	*index
	header
	file   Storage
	reader *frames.Reader
	digest Digest
	spare  sync.Pool // of *planes.Decoder
	base   func(offset, n int64) (mmapio.View, error)
}

// Open opens a pack. A patch is refused: it is of use with what it changes alone.
func Open(path string, how ...mmapio.Reading) (*Archive, error) {
	a, err := open(path, how)
	if err == nil && a.kind != Pack {
		return nil, errors.Join(&format.Error{Path: path, Kind: format.KindUnsupported, Detail: "a patch holds no checkpoint by itself: weld apply makes one of it and the base"}, a.Close())
	}
	return a, err
}

// OpenPatch opens a patch.
func OpenPatch(path string, how ...mmapio.Reading) (*Archive, error) {
	a, err := open(path, how)
	if err == nil && a.kind != Patch {
		return nil, errors.Join(&format.Error{Path: path, Kind: format.KindUnsupported, Detail: "a pack, not a patch: weld unpack restores it"}, a.Close())
	}
	return a, err
}

func open(path string, how []mmapio.Reading) (*Archive, error) {
	file, err := mmapio.Open(path, how...)
	if err != nil {
		return nil, Unopened(path, err)
	}
	return OpenStorage(file)
}

// Storage is where a pack lies. [mmapio.File] is one.
type Storage interface {
	io.ReaderAt
	Path() string
	Info() os.FileInfo
	Size() int64
	View(off, n int64) (mmapio.View, error)
	Advise(a mmapio.Advice, off, n int64)
	Unchanged() error
	Close() error
}

// OpenStored opens a pack or a patch, which then owns where it lies.
func OpenStorage(file Storage) (*Archive, error) {
	a := &Archive{file: file}
	if err := a.read(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	a.prepare()
	return a, nil
}

// prepare makes the archive ready, once it has its index.
func (a *Archive) prepare() {
	a.spare.New = func() any { return new(planes.Decoder) }
	a.reader = frames.NewReader(a.Path(), a.cuts, a.decode)
}

// read reads the beginning, the end, and the index before it.
func (a *Archive) read() error {
	path, size := a.file.Path(), a.file.Size()
	cut := func(detail string, args ...any) error {
		return &format.Error{Path: path, Kind: format.KindTruncated, Detail: fmt.Sprintf(detail, args...) + "; " + a.kind.repair()}
	}
	if size < headerSize {
		return &format.Error{Path: path, Kind: format.KindTruncated, Detail: fmt.Sprintf("a file of %d bytes is neither a pack nor a patch: it is cut short, copy it again", size)}
	}
	var head [headerSize]byte
	if _, err := a.file.ReadAt(head[:], 0); err != nil {
		return err
	}
	var err error
	if a.header, err = parseHeader(path, head[:]); err != nil {
		start := make([]byte, min(size, format.ForeignHead))
		n, _ := a.file.ReadAt(start, 0)
		if what := format.Foreign(start[:n], size); what != "" && string(head[:len(magic)]) != magic {
			return &format.Error{Path: path, Kind: format.KindForeign, Detail: what}
		}
		return err
	}
	if size < headerSize+recordSize+endSize {
		return cut("a %v of %d bytes has no end", a.kind, size)
	}
	var last [endSize]byte
	if _, err := a.file.ReadAt(last[:], size-endSize); err != nil {
		return err
	}
	r, fault := parseRecord(last[:])
	if fault != "" || r.tag != tagEnd || r.payload != endPayload || crc32.ChecksumIEEE(last[recordSize:]) != r.sum {
		return cut("the record at the end is not there: the file is cut short, or its end is damaged")
	}
	end := parseEnd(last[recordSize:])
	payload, err := a.record(end.index, tagIndex, size-endSize-end.index-recordSize)
	if err != nil {
		return err
	}
	if a.index, err = parseIndex(path, payload); err != nil {
		return err
	}
	if a.end != end.index || a.size() != end.content {
		return &format.Error{Path: path, Kind: format.KindRecord, Detail: fmt.Sprintf("the records of the index end at byte %d, it stands at %d", a.end, end.index)}
	}
	a.digest = end.digest
	return nil
}

// record reads a record that is no block, of so many bytes.
func (a *Archive) record(offset int64, t tag, bytes int64) ([]byte, error) {
	bad := func(detail string) error {
		return &format.Error{Path: a.file.Path(), Kind: format.KindRecord, Detail: fmt.Sprintf("record %q at byte %d: %s", t[:], offset, detail)}
	}
	if offset < headerSize || bytes < 0 || offset > a.file.Size()-recordSize-bytes {
		return nil, bad("it does not fit the file")
	}
	if fault := payloadFault(t, bytes); fault != "" {
		return nil, bad(fault)
	}
	var head [recordSize]byte
	if _, err := a.file.ReadAt(head[:], offset); err != nil {
		return nil, err
	}
	r, fault := parseRecord(head[:])
	if fault == "" && (r.tag != t || int64(r.payload) != bytes) {
		fault = fmt.Sprintf("found %q of %d bytes instead of %d", r.tag[:], r.payload, bytes)
	}
	if fault != "" {
		return nil, bad(fault)
	}
	payload := make([]byte, bytes)
	if _, err := a.file.ReadAt(payload, offset+recordSize); err != nil {
		return nil, err
	}
	if crc32.ChecksumIEEE(payload) != r.sum {
		return nil, &format.Error{Path: a.file.Path(), Kind: format.KindChecksum, Detail: fmt.Sprintf("record %q at byte %d is damaged", t[:], offset)}
	}
	return payload, nil
}

// Path is the name that the pack was opened under.
func (a *Archive) Path() string { return a.file.Path() }

// Info is what the system said of the pack.
func (a *Archive) Info() os.FileInfo { return a.file.Info() }

// Digest identifies the pack.
func (a *Archive) Digest() Digest { return a.digest }

// Files lists the files in the pack. The slice is shared.
func (a *Archive) Files() []FileInfo { return a.files }

// Content is how many bytes all files have.
func (a *Archive) Content() int64 { return a.size() }

// Table returns the payload of a table.
func (a *Archive) Table(t [4]byte) ([]byte, error) {
	i := slices.IndexFunc(a.tables, func(p tablePlace) bool { return p.tag == t })
	if i < 0 {
		return nil, &format.Error{Path: a.Path(), Kind: format.KindMissing, Detail: fmt.Sprintf("no record %q", t[:])}
	}
	return a.record(a.tables[i].offset, t, int64(a.tables[i].bytes))
}

// SetBase gives a patch what its blocks are coded by: n bytes that stand for those of the content at
// an offset, or none.
func (a *Archive) SetBase(base func(offset, n int64) (mmapio.View, error)) { a.base = base }

// Unchanged fails if the file is no longer what it was when opened.
func (a *Archive) Unchanged() error { return a.file.Unchanged() }

// Close closes the file. Views must have been released before.
func (a *Archive) Close() error { return a.file.Close() }

// decode restores block i.
func (a *Archive) decode(i int, content []byte) error {
	var base mmapio.View
	if a.base != nil && a.blocks[i].coding.Relative() {
		var err error
		if base, err = a.base(a.cuts[i]-int64(len(content)), int64(len(content))); err != nil {
			return err
		}
		defer base.Release()
	}
	if a.blocks[i].coding == repeated && a.repeats {
		origin, err := a.origin(i, int64(len(content)))
		if err != nil {
			return err
		}
		i = origin
	}
	decoder := a.spare.Get().(*planes.Decoder)
	defer a.spare.Put(decoder)
	return a.block(i, int64(len(content)), func(r record, payload []byte) error {
		return mmapio.Guard([]mmapio.View{base}, func() error { return restore(decoder, content, r, payload, base.Data) })
	})
}

// origin is the block that block i stands for.
func (a *Archive) origin(i int, bytes int64) (origin int, err error) {
	err = a.block(i, bytes, func(r record, payload []byte) error {
		if crc32.ChecksumIEEE(payload) != r.sum {
			return errChecksum
		}
		var fault string
		if origin, fault = a.index.origin(r, payload); fault != "" {
			return errors.New(fault)
		}
		return nil
	})
	return origin, err
}

// block shows the record of block i and its payload, once it is the one that the index says.
func (a *Archive) block(i int, bytes int64, use func(r record, payload []byte) error) error {
	b := a.blocks[i]
	view, err := a.file.View(b.place, recordSize+int64(b.payload))
	if err != nil {
		return err
	}
	defer view.Release()
	err = mmapio.Guard([]mmapio.View{view}, func() error {
		r, fault := parseRecord(view.Data)
		switch {
		case fault != "":
			return errors.New(fault)
		case r.tag != tagData || r.payload != b.payload || int64(r.content) != bytes || r.offset != a.cuts[i]-bytes || r.elem != b.elem || r.coding != b.coding || r.sum != b.sum:
			return errors.New("it is not the block that the index says")
		}
		return use(r, view.Data[recordSize:])
	})
	if fault := (*mmapio.FaultError)(nil); err == nil || errors.As(err, &fault) {
		return err
	}
	detail := fmt.Sprintf("the block at byte %d is damaged (%v)", b.place, err)
	if a.kind == Patch { // of a pack the others can be restored, and who does that knows it
		detail += "; " + a.kind.repair()
	}
	return &format.Error{Path: a.Path(), Kind: format.KindChecksum, Detail: detail}
}

// restore checks and decodes the payload of a block.
func restore(d *planes.Decoder, content []byte, r record, payload, base []byte) error {
	if crc32.ChecksumIEEE(payload) != r.sum {
		return errChecksum
	}
	if r.coding.Relative() {
		if base == nil {
			return errors.New("it is coded by a base, which is not there")
		}
		return d.DecodeRelative(content, r.coding, elementType(r.elem), payload, base)
	}
	return d.Decode(content, r.coding, elementType(r.elem), payload)
}

// Find returns the index of a file by name.
func (a *Archive) Find(name string) (int, bool) {
	i := slices.IndexFunc(a.files, func(f FileInfo) bool { return f.Name == name })
	return i, i >= 0
}

// ReadContent fills p with the content from an offset on.
func (a *Archive) ReadContent(p []byte, off int64) error {
	_, err := a.reader.ReadAt(p, off)
	return err
}

// Source opens a file of the pack for reading anywhere.
func (a *Archive) Source(i int) *FileReader { return &FileReader{a, a.files[i]} }

// FileReader is a file in a pack. Closing it does nothing: it ends with the archive.
type FileReader struct {
	a *Archive
	f FileInfo
}

// Name is that of the file in the pack.
func (s *FileReader) Name() string { return s.f.Name }

// Path names the file and the pack that it is in.
func (s *FileReader) Path() string { return s.a.Path() + "/" + s.f.Name }

// Info is what the system said of the pack.
func (s *FileReader) Info() os.FileInfo { return s.a.Info() }

// Size is the length of the file.
func (s *FileReader) Size() int64 { return s.f.Size }

// ReadAt implements [io.ReaderAt].
func (s *FileReader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > s.f.Size {
		return 0, io.EOF
	}
	short := p[:min(int64(len(p)), s.f.Size-off)]
	if err := s.a.lostIn(s.f.Begin+off, int64(len(short))); err != nil {
		return 0, err
	}
	n, err := s.a.reader.ReadAt(short, s.f.Begin+off)
	if err == nil && len(short) < len(p) {
		err = io.EOF
	}
	return n, err
}

// View lends n bytes of the file from off.
func (s *FileReader) View(off, n int64) (mmapio.View, error) {
	if off < 0 || n < 0 || off > s.f.Size-n {
		return mmapio.View{}, fmt.Errorf("%s: bytes [%d, %d) are not inside its %d: %w", s.Path(), off, off+n, s.f.Size, io.ErrUnexpectedEOF)
	}
	if err := s.a.lostIn(s.f.Begin+off, n); err != nil {
		return mmapio.View{}, err
	}
	return s.a.reader.View(s.f.Begin+off, n)
}

// Read is View: a block is decoded whole anyway.
func (s *FileReader) Read(off, n int64) (mmapio.View, error) { return s.View(off, n) }

// ViewCost bounds the memory that a view of n bytes takes.
func (s *FileReader) ViewCost(n int64) int64 { return s.a.reader.ViewCost(n) }

// Advise informs the system about the blocks of a range of the file.
func (s *FileReader) Advise(ad mmapio.Advice, off, n int64) {
	first, last := s.a.reader.Find(s.f.Begin+off), s.a.reader.Find(s.f.Begin+off+n-1)
	if first <= last && last < len(s.a.blocks) {
		b := s.a.blocks[last]
		s.a.file.Advise(ad, s.a.blocks[first].place, b.place+recordSize+int64(b.payload)-s.a.blocks[first].place)
	}
}

// Unchanged fails if the pack is no longer what it was when opened.
func (s *FileReader) Unchanged() error { return s.a.Unchanged() }

// Close does nothing.
func (s *FileReader) Close() error { return nil }

// Unopened is the error for a pack or a patch that could not be opened, for what is the matter.
func Unopened(path string, err error) error {
	var notRegular *mmapio.NotRegularError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &format.Error{Path: path, Kind: format.KindMissing, Detail: "no such file"}
	case errors.As(err, &notRegular) && notRegular.Mode.IsDir():
		return &format.Error{Path: path, Kind: format.KindUnsupported, Detail: "a directory, where a pack or a patch is expected"}
	}
	return err
}

// IsName reports whether a file name is that of a pack.
func IsName(name string) bool { return strings.HasSuffix(strings.ToLower(name), ".weld") }
