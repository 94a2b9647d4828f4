package torch

import (
	"encoding/binary"
	"fmt"
	"io"

	"weld/format"
)

// The records at the end of a zip file: of the directory; for large ones another one of it, and where that is.
const (
	endMark, endSize         = "PK\x05\x06", 22
	locatorMark, locatorSize = "PK\x06\x07", 20
	largeMark, largeSize     = "PK\x06\x06", 56
	headMark                 = "PK\x03\x04"
)

// Values of fields that zip64 has elsewhere.
const (
	saturated16 = 0xffff
	saturated32 = 0xffffffff
)

// directoryEnd is where the directory is, in the archive.
type directoryEnd struct{ count, size, offset int64 }

// readEnd reads the records behind the directory, which has to end where they begin: nothing that another reader would take for the
// directory has room.
func (a *archive) readEnd() (directoryEnd, error) {
	none := func() (directoryEnd, error) {
		return directoryEnd{}, a.fault(format.KindTruncated, "no directory of a zip file is at its end: the file was cut off, or something was added to it")
	}
	if a.size < endSize {
		return none()
	}
	var tail [largeSize + locatorSize + endSize]byte
	known := tail[max(0, int64(len(tail))-a.size):]
	if _, err := a.r.ReadAt(known, a.size-int64(len(known))); err != nil && err != io.EOF {
		return directoryEnd{}, fmt.Errorf("read the end of %s: %w", a.path, err)
	}
	b := tail[largeSize+locatorSize:]
	u16, u32 := binary.LittleEndian.Uint16, binary.LittleEndian.Uint32
	if string(b[:4]) != endMark || u16(b[20:]) != 0 { // torch writes no comment
		return none()
	}
	if d, dd := u16(b[4:]), u16(b[6:]); d != dd || d != 0 && d != saturated16 || u16(b[8:]) != u16(b[10:]) {
		return directoryEnd{}, a.fault(format.KindUnsupported, "a zip file in several parts")
	}
	end := directoryEnd{int64(u16(b[10:])), int64(u32(b[12:])), int64(u32(b[16:]))}
	behind := a.size - endSize
	if l := tail[largeSize:][:locatorSize]; string(l[:4]) == locatorMark && a.size >= int64(len(tail)) {
		large, err := a.readLarge(tail[:largeSize], l, end)
		if err != nil {
			return directoryEnd{}, err
		}
		end, behind = large, behind-locatorSize-largeSize
	} else if end.count == saturated16 || end.size == saturated32 || end.offset == saturated32 {
		return directoryEnd{}, a.fault(format.KindOffsets, "the directory of the zip file is larger than its end says, and no record of zip64 is there")
	}
	switch {
	case end.offset < 0 || end.size < 0 || end.offset > behind || end.size != behind-end.offset:
		return directoryEnd{}, a.fault(format.KindOffsets, "the directory of the zip file is said to have %d bytes from byte %d on, but has to end at byte %d", end.size, end.offset, behind)
	case end.size > maxDirectory || end.count < 0 || end.count > maxEntries || end.count*centralSize > end.size:
		return directoryEnd{}, a.fault(format.KindHeaderSize, "a directory of %d bytes with %d entries; weld reads at most %d with %d", end.size, end.count, maxDirectory, maxEntries)
	}
	return end, nil
}

// readLarge reads the record of zip64, which has to be where the locator l says, and to agree with what fits into the old one.
func (a *archive) readLarge(b, l []byte, old directoryEnd) (directoryEnd, error) {
	u32, u64 := binary.LittleEndian.Uint32, binary.LittleEndian.Uint64
	at := a.size - endSize - locatorSize - largeSize
	if u64(l[8:]) != uint64(at) || string(b[:4]) != largeMark || u64(b[4:]) != largeSize-12 {
		return directoryEnd{}, a.fault(format.KindOffsets, "the record of zip64 is not before its locator, where it is said to be")
	}
	if u32(l[4:]) != 0 || u32(l[16:]) > 1 || u32(b[16:]) != 0 || u32(b[20:]) != 0 || u64(b[24:]) != u64(b[32:]) {
		return directoryEnd{}, a.fault(format.KindUnsupported, "a zip file in several parts")
	}
	end := directoryEnd{int64(u64(b[32:])), int64(u64(b[40:])), int64(u64(b[48:]))}
	if old.count != saturated16 && old.count != end.count || old.size != saturated32 && old.size != end.size || old.offset != saturated32 && old.offset != end.offset {
		return directoryEnd{}, a.fault(format.KindOffsets, "two records say where the directory of the zip file is, and they differ")
	}
	return end, nil
}
