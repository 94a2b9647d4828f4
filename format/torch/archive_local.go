package torch

import (
	"encoding/binary"
	"fmt"
	"io"

	"weld/format"
)

// localSize is the size of the header of an entry, without what is of variable length.
const localSize = 30

// largeField is the number of the extra field with the sizes that zip64 has.
const largeField = 1

// place takes size and header of an entry from the directory, and from its field of zip64 what is too large for it.
func (a *archive) place(c central, name string, extra []byte) (entry, error) {
	e := entry{size: int64(c.plain), header: int64(c.offset)}
	stored := int64(c.stored)
	large, ok := field(extra, largeField)
	take := func(v *int64) bool {
		if *v != saturated32 {
			return true
		}
		if len(large) < 8 {
			return false
		}
		*v = int64(binary.LittleEndian.Uint64(large))
		large = large[8:]
		return *v >= 0
	}
	if !ok || !take(&e.size) || !take(&stored) || !take(&e.header) {
		return e, a.fault(format.KindOffsets, "the entry %q has no sizes that can be read", excerpt(name))
	}
	if stored != e.size {
		return e, a.fault(format.KindSize, "the entry %q is stored as it is, but has %d bytes and takes %d", excerpt(name), e.size, stored)
	}
	return e, nil
}

// field finds an extra field by its number; ok is false if the fields do not fill extra.
func field(extra []byte, number uint16) (data []byte, ok bool) {
	for len(extra) > 0 {
		if len(extra) < 4 {
			return nil, false
		}
		n := int(binary.LittleEndian.Uint16(extra[2:]))
		if n > len(extra)-4 {
			return nil, false
		}
		if binary.LittleEndian.Uint16(extra) == number && data == nil {
			data = extra[4:][:n]
		}
		extra = extra[4+n:]
	}
	return data, true
}

// readLocal reads the header that stands before an entry's bytes, holds it against the directory, and says where the bytes begin.
func (a *archive) readLocal(c central, name string, e entry) (data int64, err error) {
	outside := func() error {
		return a.fault(format.KindOffsets, "the entry %q reaches beyond the entries, which end at byte %d", excerpt(name), a.directory)
	}
	if e.header > a.directory-localSize-int64(len(name)) {
		return 0, outside()
	}
	raw := make([]byte, localSize+len(name))
	if _, err := a.r.ReadAt(raw, e.header); err != nil && err != io.EOF {
		return 0, fmt.Errorf("read the header of %s in %s: %w", excerpt(name), a.path, err)
	}
	u16, u32 := binary.LittleEndian.Uint16, binary.LittleEndian.Uint32
	differs := func(what string) error {
		return a.fault(format.KindOffsets, "the entry %q has another %s in its own header than in the directory", excerpt(name), what)
	}
	switch {
	case string(raw[:4]) != headMark:
		return 0, a.fault(format.KindOffsets, "no entry is at byte %d, where %q is said to be", e.header, excerpt(name))
	case int(u16(raw[26:])) != len(name) || string(raw[localSize:]) != name:
		return 0, differs("name")
	case u16(raw[6:]) != c.flags:
		return 0, differs("flags")
	case u16(raw[8:]) != c.method:
		return 0, differs("method")
	case !sameSize(c, e, u32(raw[18:])) || !sameSize(c, e, u32(raw[22:])):
		return 0, differs("size")
	case u32(raw[14:]) != c.crc && (c.flags&flagDescriptor == 0 || u32(raw[14:]) != 0):
		return 0, differs("checksum")
	}
	data = e.header + int64(len(raw)) + int64(u16(raw[28:]))
	if data > a.directory || e.size > a.directory-data {
		return 0, outside()
	}
	return data, nil
}

// sameSize reports whether a size in an entry's own header is that of the directory: left to what comes behind the data,
// or to a field of zip64, or the same.
func sameSize(c central, e entry, size uint32) bool {
	return int64(size) == e.size || size == saturated32 || size == 0 && c.flags&flagDescriptor != 0
}
