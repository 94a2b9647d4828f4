// Package torchsave writes what torch.save writes, for tests: state dicts of plain tensors, and pieces of the archives and pickles that
// they become, which tests put together in other ways. weld itself writes no such files.
//
// The package knows bytes. It never knows how they are read.
package torchsave

import (
	"encoding/binary"
	"hash/crc32"
)

// Entry is a file of an archive, by its name below the root.
type Entry struct {
	Name string
	Data []byte
}

// Archive is a zip file of entries that are stored as they are, below a root. large adds the records of zip64 at its end.
func Archive(root string, large bool, entries ...Entry) []byte {
	var file, directory []byte
	for _, e := range entries {
		name, crc, size := root+"/"+e.Name, crc32.ChecksumIEEE(e.Data), uint32(len(e.Data))
		begin := uint32(len(file))
		file = append(file, "PK\x03\x04"...)
		file = fields(file, u16(0), u16(1<<11), u16(0), u32(0), u32(crc), u32(size), u32(size), u16(len(name)), u16(0))
		file = append(append(file, name...), e.Data...)
		directory = append(directory, "PK\x01\x02"...)
		directory = fields(directory, u16(0), u16(0), u16(1<<11), u16(0), u32(0), u32(crc), u32(size), u32(size), u16(len(name)), u16(0), u16(0), u16(0), u16(0), u32(0), u32(begin))
		directory = append(directory, name...)
	}
	begin, size, n := len(file), len(directory), len(entries)
	file = append(file, directory...)
	if large {
		end := len(file)
		file = append(file, "PK\x06\x06"...)
		file = fields(file, u64(44), u16(0), u16(0), u32(0), u32(0), u64(n), u64(n), u64(size), u64(begin))
		file = append(file, "PK\x06\x07"...)
		file = fields(file, u32(0), u64(end), u32(1))
	}
	file = append(file, "PK\x05\x06"...)
	return fields(file, u16(0), u16(0), u16(n), u16(n), u32(size), u32(begin), u16(0))
}

// field is a number of so many bytes.
type field struct {
	width int
	value uint64
}

func u16[N int | uint32](n N) field { return field{2, uint64(n)} }
func u32[N int | uint32](n N) field { return field{4, uint64(n)} }
func u64[N int | uint32](n N) field { return field{8, uint64(n)} }

// fields appends numbers in little endian.
func fields(b []byte, list ...field) []byte {
	for _, f := range list {
		var all [8]byte
		binary.LittleEndian.PutUint64(all[:], f.value)
		b = append(b, all[:f.width]...)
	}
	return b
}
