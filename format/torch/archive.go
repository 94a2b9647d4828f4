package torch

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"weld/format"
	"weld/format/safetensors"
)

// Limits of an archive, checked before memory is taken: an entry for each tensor that a file may have, and some more.
const (
	maxEntries   = safetensors.MaxTensors + 1<<10
	maxDirectory = 512 << 20
	maxEntryName = 1 << 10
)

// archive is the directory of a zip file whose entries are all stored as they are, below one folder.
// Source: APPNOTE.TXT 6.3.10 of PKWARE.
type archive struct {
	path      string
	r         io.ReaderAt
	begin     int64 // of the archive in the file
	size      int64
	directory int64 // where it begins, in the archive
	root      string
	entries   []entry
	table     format.NameTable
	names     format.Names
	digest    hash.Hash // of the directory
	sum       func(crc uint32)
}

// entry is a stored file of an archive: its name below the root, and where its bytes are in the archive.
type entry struct {
	name         string
	header, data int64
	size         int64
}

// fault is an error of the archive.
func (a *archive) fault(kind format.Kind, text string, args ...any) error {
	return &format.Error{Path: a.path, Kind: kind, Detail: fmt.Sprintf(text, args...)}
}

// readArchive reads the directory of the archive that takes bytes [begin, begin+size) of a file.
func readArchive(path string, r io.ReaderAt, begin, size int64) (*archive, error) {
	return readArchiveWith(path, r, begin, size, nil)
}

// readArchiveWith also tells of the checksum of each entry, in their order.
func readArchiveWith(path string, r io.ReaderAt, begin, size int64, sum func(crc uint32)) (*archive, error) {
	a := &archive{path: path, r: io.NewSectionReader(r, begin, size), begin: begin, size: size, digest: sha256.New(), sum: sum}
	end, err := a.readEnd()
	if err != nil {
		return nil, err
	}
	a.directory = end.offset
	a.entries = make([]entry, 0, end.count)
	a.table.Reserve(int(end.count), a.nameAt)
	text := bufio.NewReaderSize(io.TeeReader(io.NewSectionReader(a.r, end.offset, end.size), a.digest), int(min(64<<10, end.size)))
	left := end.size
	for range end.count {
		n, err := a.readEntry(text, left)
		if err != nil {
			return nil, err
		}
		left -= n
	}
	if left != 0 {
		return nil, a.fault(format.KindOffsets, "the directory of the zip file has %d bytes behind its %d entries", left, end.count)
	}
	return a, a.apart()
}

func (a *archive) nameAt(i int) string { return a.entries[i].name }

// find finds an entry by its name below the root.
func (a *archive) find(name string) (entry, bool) {
	i, ok := a.table.Find(name, a.nameAt)
	if !ok {
		return entry{}, false
	}
	return a.entries[i], true
}

// has reports whether an entry is in a folder below the root.
func (a *archive) has(folder string) bool {
	return slices.ContainsFunc(a.entries, func(e entry) bool { return strings.HasPrefix(e.name, folder) })
}

// read reads an entry whole, of at most limit bytes; ok is false if it is not there.
func (a *archive) read(name string, limit int64) (data []byte, ok bool, err error) {
	e, ok := a.find(name)
	if !ok {
		return nil, false, nil
	}
	if e.size > limit {
		return nil, true, a.fault(format.KindSize, "%s has %d bytes, and weld reads at most %d of it", name, e.size, limit)
	}
	data = make([]byte, e.size)
	if _, err := a.r.ReadAt(data, e.data); err != nil && err != io.EOF {
		return nil, true, fmt.Errorf("read %s of %s: %w", name, a.path, err)
	}
	return data, true, nil
}

// centralSize is the size of an entry of the directory, without what is of variable length.
const (
	centralMark = "PK\x01\x02"
	centralSize = 46
)

// readEntry reads an entry of the directory, of which left bytes are left, and its own header.
func (a *archive) readEntry(text *bufio.Reader, left int64) (n int64, err error) {
	head, err := text.Peek(centralSize)
	if err != nil || left < centralSize || string(head[:4]) != centralMark {
		return 0, a.fault(format.KindOffsets, "entry %d of the directory of the zip file is none", len(a.entries))
	}
	c := centralOf(head)
	nameLen, extraLen, commentLen := int64(c.nameLen), int64(c.extraLen), int64(c.commentLen)
	n = centralSize + nameLen + extraLen + commentLen
	if n > left {
		return 0, a.fault(format.KindOffsets, "entry %d of the directory of the zip file reaches beyond it", len(a.entries))
	}
	raw := make([]byte, n)
	if _, err := io.ReadFull(text, raw); err != nil {
		return 0, fmt.Errorf("read the directory of %s: %w", a.path, err)
	}
	full := string(raw[centralSize:][:nameLen])
	extra := raw[centralSize+nameLen:][:extraLen]
	if err := a.plain(c, full); err != nil {
		return 0, err
	}
	e, err := a.place(c, full, extra)
	if err != nil {
		return 0, err
	}
	if e.data, err = a.readLocal(c, full, e); err != nil {
		return 0, err
	}
	if a.sum != nil {
		a.sum(c.crc)
	}
	return n, a.add(full, e)
}

// central is what the directory says of an entry.
type central struct {
	flags, method                 uint16
	crc                           uint32
	stored, plain, offset         uint32
	nameLen, extraLen, commentLen uint16
	disk                          uint16
}

func centralOf(b []byte) central {
	u16, u32 := binary.LittleEndian.Uint16, binary.LittleEndian.Uint32
	return central{
		flags: u16(b[8:]), method: u16(b[10:]), crc: u32(b[16:]), stored: u32(b[20:]), plain: u32(b[24:]),
		nameLen: u16(b[28:]), extraLen: u16(b[30:]), commentLen: u16(b[32:]), disk: u16(b[34:]), offset: u32(b[42:]),
	}
}

// Bits of the flags: what says how hard a compressor tried, sizes behind the data, names in UTF-8.
const (
	flagEffort     = 1<<1 | 1<<2
	flagDescriptor = 1 << 3
	flagUTF8       = 1 << 11
)

// plain demands that an entry is stored as it is, under a name that leads nowhere else.
func (a *archive) plain(c central, name string) error {
	switch {
	case c.method != 0 && strings.Contains(name, "/"+codeFolder):
		return a.program()
	case c.method != 0:
		return a.fault(format.KindCompression, "the entry %q is compressed; torch.save stores entries as they are, and only so they can be read in place: load the file with torch.load, and save it again", excerpt(name))
	case c.flags&^(flagEffort|flagDescriptor|flagUTF8) != 0:
		return a.fault(format.KindUnsupported, "the entry %q has flags %#x, of encryption or of a patch", excerpt(name), c.flags)
	case c.disk != 0:
		return a.fault(format.KindUnsupported, "the entry %q is on another disk of a zip file in several parts", excerpt(name))
	case len(name) > maxEntryName:
		return a.fault(format.KindShardName, "an entry has a name of %d bytes", len(name))
	}
	if fault := pathFault(name); fault != "" {
		return a.fault(format.KindShardName, "the entry %q %s", excerpt(name), fault)
	}
	return nil
}

// pathFault says why a name is no path below a folder.
func pathFault(name string) string {
	switch {
	case !utf8.ValidString(name):
		return "is not UTF-8"
	case strings.ContainsAny(name, "\\\x00"):
		return "has a backslash or a zero in its name"
	case !strings.Contains(name, "/"):
		return "is in no folder; torch.save puts all into one"
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." {
			return "has a part of its name that leads elsewhere"
		}
	}
	return ""
}

// add takes an entry into the list.
func (a *archive) add(full string, e entry) error {
	root, name, _ := strings.Cut(full, "/")
	if len(a.entries) == 0 {
		a.root = root
	}
	if root != a.root {
		return a.fault(format.KindShardName, "entries are in two folders, %q and %q; torch.save puts all into one", excerpt(a.root), excerpt(root))
	}
	e.name = a.names.Keep([]byte(name), (cap(a.entries)-len(a.entries))*len(name))
	a.entries = append(a.entries, e)
	if _, again := a.table.Add(a.nameAt); again {
		return a.fault(format.KindDuplicate, "the entry %q is there twice", excerpt(full))
	}
	return nil
}

// apart demands that no two entries share a byte, headers included.
func (a *archive) apart() error {
	byBytes := func(x, y entry) int {
		switch {
		case x.header < y.header:
			return -1
		case x.header > y.header:
			return 1
		}
		return 0
	}
	order := a.entries
	if !slices.IsSortedFunc(order, byBytes) {
		order = slices.Clone(order)
		slices.SortFunc(order, byBytes)
	}
	for i := 1; i < len(order); i++ {
		if last := order[i-1]; order[i].header < last.data+last.size {
			return a.fault(format.KindOverlap, "the entries %q and %q share bytes", excerpt(last.name), excerpt(order[i].name))
		}
	}
	return nil
}

// excerpt is the beginning of a name, for messages.
func excerpt(name string) string {
	const most = 100
	if len(name) > most {
		return strings.ToValidUTF8(name[:most], "") + "…"
	}
	return name
}
