package packed

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sort"

	"weld/format/planes"
)

// A block may say that its content is that of an earlier block: an output layer that equals the embedding,
// or a second file with the same tensors, are stored once. Where the earlier one is stands in its payload, a
// u64 offset in the content. Packs with such blocks are of version 2.

// repeated is the coding of such a block. It is none of planes: what it stands for is not in it.
const repeated planes.Coding = 8

// repeatedPayload is the size of its payload.
const repeatedPayload = 8

// origin finds the block that one of coding repeated stands for: an earlier one of the same length and
// type that is no such block itself, so that there are no chains.
func (x *index) origin(r record, payload []byte) (i int, fault string) {
	if len(payload) != repeatedPayload {
		return 0, fmt.Sprintf("a repeated block of %d bytes", len(payload))
	}
	at := int64(binary.LittleEndian.Uint64(payload))
	i, begins := x.blockAt(at)
	switch {
	case at >= r.offset || !begins:
		return 0, fmt.Sprintf("it repeats byte %d of the content, where no earlier block begins", at)
	case x.cuts[i]-at != int64(r.content) || x.blocks[i].elem != r.elem || x.blocks[i].coding == repeated || x.blocks[i].place < 0:
		return 0, fmt.Sprintf("it repeats the block at byte %d of the content, which is another one or lost", at)
	}
	return i, ""
}

// blockAt finds the block that begins at an offset in the content.
func (x *index) blockAt(at int64) (i int, begins bool) {
	i = sort.Search(len(x.cuts), func(i int) bool { return x.cuts[i] > at })
	begin := int64(0)
	if i > 0 && i < len(x.cuts) {
		begin = x.cuts[i-1]
	}
	return i, i < len(x.cuts) && begin == at
}

// likeOrigin gives a repeated block the element type of the one that it repeats: which was chosen by its content.
func (x *index) likeOrigin(r *record, payload []byte) {
	if i, begins := x.blockAt(int64(binary.LittleEndian.Uint64(payload))); begins {
		r.elem = x.blocks[i].elem
	}
}

// HeaderSize is how many bytes [MayRepeat] looks at.
const HeaderSize = headerSize

// MayRepeat reports whether a file that begins so may repeat blocks, for which a reader has to go back.
func MayRepeat(begin []byte) bool {
	h, err := parseHeader("", begin)
	return err == nil && h.repeats
}

// Repeats makes the pack one that may repeat blocks. It is called before anything is announced.
func (w *Writer) Repeats() { w.header = appendHeader(nil, Pack, versionRepeats) }

// Repeat writes n bytes at off: those of an earlier part of the content, from origin on, whose blocks are cut at the
// same places and hold the same. Both begin where tensors do.
func (f *FileWriter) Repeat(off, n, origin int64) error {
	w := f.w
	for at := int64(0); at < n; at += BlockSize {
		bytes := min(BlockSize, n-at)
		i := w.frames.Find(f.begin + off + at)
		w.mu.Lock()
		kind := w.kinds[i]
		w.mu.Unlock()
		payload := binary.LittleEndian.AppendUint64(nil, uint64(origin+at))
		buffer := append(make([]byte, recordSize), payload...)
		record{tag: tagData, payload: repeatedPayload, offset: f.begin + off + at, content: uint32(bytes), elem: kind,
			coding: repeated, sum: crc32.ChecksumIEEE(payload)}.put(buffer)
		if err := w.frames.Put(buffer, f.begin+off+at); err != nil {
			return err
		}
	}
	return nil
}
