package packed

import (
	"errors"
	"fmt"
	"hash/crc32"

	"weld/format"
	"weld/mmapio"
)

// Blocks is how many blocks the pack has.
func (a *Archive) Blocks() int { return len(a.blocks) }

// BlockAt is the block that holds a byte of the content, or [Archive.Blocks].
func (a *Archive) BlockAt(offset int64) int { return a.reader.Find(offset) }

// Extent is where a block lies: its record in the file, −1 if it is lost, and its bytes in the content.
func (a *Archive) Extent(i int) (place, begin, end int64) {
	if i > 0 {
		begin = a.cuts[i-1]
	}
	return a.blocks[i].place, begin, a.cuts[i]
}

// Check reads a block and reports what is wrong with it. room is for its content, at least as large. Of one
// that is coded against a base which is not there, the checksum alone is compared.
func (a *Archive) Check(i int, buffer []byte) error {
	place, begin, end := a.Extent(i)
	if place < 0 {
		return a.lostError(i)
	}
	if a.base != nil || !a.blocks[i].coding.Relative() {
		return a.decode(i, buffer[:end-begin])
	}
	return a.block(i, end-begin, func(r record, payload []byte) error {
		if crc32.ChecksumIEEE(payload) != r.sum {
			return errChecksum
		}
		return nil
	})
}

// Lost is a part of a damaged pack that is not to be found.
type Lost struct {
	Place, End int64 // bytes of the file
}

// Recover opens what is left of a pack. If its end or its index is damaged, the records are looked
// for from the beginning on; lost are the places where there are none. Blocks that are lost are
// part of the archive, and an error when they are read.
func Recover(path string, how ...mmapio.Reading) (a *Archive, lost []Lost, err error) {
	if a, err = Open(path, how...); err == nil {
		return a, nil, nil
	}
	file, errOpen := mmapio.Open(path, how...)
	if errOpen != nil {
		return nil, nil, errOpen
	}
	return RecoverStorage(file)
}

// RecoverStored looks for the records of a pack from the beginning on, whatever its end and its index say.
func RecoverStorage(file Storage) (a *Archive, lost []Lost, err error) {
	a = &Archive{file: file, header: header{Pack, true}}
	r := recovery{file: file, index: index{end: headerSize}, names: newNames()}
	if err := r.run(); err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	a.index = &r.index
	a.prepare()
	return a, r.lost, nil
}

// recovery looks for the records of a damaged pack.
type recovery struct {
	file Storage
	index
	names  names
	lost   []Lost
	buffer []byte
}

func (r *recovery) run() error {
	pos, size := int64(headerSize), r.file.Size()
	var head [recordSize]byte
	ended := false // the index or the end was met
	for pos+recordSize <= size {
		if _, err := r.file.ReadAt(head[:], pos); err != nil {
			return err
		}
		h, fault := parseRecord(head[:])
		next := pos + recordSize + int64(h.payload)
		if fault == "" && next <= size && h.offset >= r.size() {
			if ended = h.tag == tagIndex || h.tag == tagEnd; ended {
				break
			}
			if fault := r.full(); fault != "" {
				return &format.Error{Path: r.file.Path(), Kind: format.KindRecord, Detail: fault}
			}
			if err := r.take(h, pos); err != nil {
				return err
			}
			pos = next
			continue
		}
		found, err := r.search(pos + 1)
		if err != nil {
			return err
		}
		r.lost = append(r.lost, Lost{pos, found})
		if found == size && fault == "" && h.tag == tagIndex && h.offset == r.size() {
			ended = true
		}
		pos = found
	}
	if k := len(r.lost); !ended && (k == 0 || r.lost[k-1].End < size) { // cut between two records
		r.lost = append(r.lost, Lost{pos, size})
	}
	n := len(r.files)
	if n == 0 {
		return nil
	}
	end := r.files[n-1].Begin + r.files[n-1].Size
	if k := len(r.lost); k > 0 && ended && r.lost[k-1].End == size && r.size() == end {
		r.lost = r.lost[:k-1] // the index alone
	}
	r.gap(end)
	return nil
}

// take notes a record.
func (r *recovery) take(h record, pos int64) error {
	switch h.tag {
	case tagData:
		r.gap(h.offset)
		r.blocks = append(r.blocks, block{pos, h.payload, h.sum, h.elem, h.coding})
		r.cuts = append(r.cuts, h.offset+int64(h.content))
	case tagFile:
		payload := make([]byte, min(h.payload, fileEntry+maxName))
		if _, err := r.file.ReadAt(payload, pos+recordSize); err != nil {
			return err
		}
		c := cursor{rest: payload}
		f := FileInfo{Size: int64(c.u64()), Begin: h.offset}
		f.Name = string(c.take(int(c.u16())))
		bad := c.short || f.Size < 0 || f.Begin+f.Size < 0 || checkName(f.Name) != "" || crc32.ChecksumIEEE(payload) != h.sum
		if n := len(r.files); n > 0 && f.Begin < r.files[n-1].Begin+r.files[n-1].Size {
			bad = true
		}
		if bad || r.names.add(f.Name) != "" {
			r.lost = append(r.lost, Lost{pos, pos + recordSize + int64(h.payload)})
			return nil
		}
		if n := len(r.files); n > 0 {
			r.gap(r.files[n-1].Begin + r.files[n-1].Size)
		}
		r.files = append(r.files, f)
		r.named += len(f.Name)
	}
	return nil
}

// gap notes that the content up to an offset is lost: one block, however long, for the length is a claim.
func (r *recovery) gap(to int64) {
	if r.size() < to {
		r.blocks = append(r.blocks, block{place: -1})
		r.cuts = append(r.cuts, to)
	}
}

// search finds the next place from pos on where the head of a record may begin. It reads little at first: there may be
// many such places that turn out to be none.
func (r *recovery) search(pos int64) (int64, error) {
	const least, most = 4 << 10, 1 << 20
	if r.buffer == nil {
		r.buffer = make([]byte, most+recordSize)
	}
	step := int64(least)
	for size := r.file.Size(); pos+recordSize <= size; step = min(2*step, most) {
		part := r.buffer[:min(step+recordSize, size-pos)]
		if _, err := r.file.ReadAt(part, pos); err != nil {
			return 0, err
		}
		for i := 0; i+recordSize <= len(part); i++ {
			switch tag(part[i:]) {
			case tagData, tagFile, tagIndex:
				if _, fault := parseRecord(part[i : i+recordSize]); fault == "" {
					return pos + int64(i), nil
				}
			}
		}
		pos += int64(len(part)) - recordSize + 1
	}
	return r.file.Size(), nil
}

var errChecksum = errors.New("its checksum differs")

// lostIn fails if a part of n bytes of the content at an offset is lost.
func (a *Archive) lostIn(offset, n int64) error {
	for i := a.BlockAt(offset); i < a.Blocks(); i++ {
		place, begin, _ := a.Extent(i)
		if begin >= offset+n {
			break
		}
		if place < 0 {
			return a.lostError(i)
		}
	}
	return nil
}

// lostError is the error of a block that is not there.
func (a *Archive) lostError(i int) error {
	_, begin, end := a.Extent(i)
	return &format.Error{Path: a.Path(), Kind: format.KindTruncated, Detail: fmt.Sprintf("bytes [%d, %d) of the content are lost", begin, end)}
}
