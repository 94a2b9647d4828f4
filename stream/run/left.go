package run

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"syscall"

	"weld/mmapio"
	"weld/stream/fuse"
)

// What a stage leaves for later goes into a scratch file: each element's place, and its bytes in every operand, which are few.
//
// The file is a row of blocks, and each is its length and records of one worker:
//
//	tensor uint32, elements n uint32, first element of the tile uint64, first element of the item uint64
//	places in the tile, n × uint16
//	operands that the stage has read, one after the other, n elements each
const (
	leftBlock  = 256 << 10 // bytes from which on a block is written
	leftHeader = 24
)

// errLeft says that too much was left, or that there is no room for it. Nothing is lost: the walk was in vain.
var errLeft = errors.New("more is left for later than there is room for")

// left is what the workers of a walk have left.
type left struct {
	scratch func() (mmapio.OutputFile, error)
	limit   int64 // bytes

	mu       sync.Mutex
	file     mmapio.OutputFile // nil before the first block
	end      int64             // where the next block goes
	next     int64             // where the next one is read
	elements int64
}

// leaving is a worker's share. It implements [fuse.Later].
type leaving struct {
	to     *left
	tensor int
	item   int64 // its first element
	block  []byte
	count  int64 // elements in it
}

// Leave implements [fuse.Later].
func (l *leaving) Leave(sp *fuse.Span, t fuse.Tile, at []uint32) error {
	if len(l.block) == 0 {
		l.block = append(l.block[:0], 0, 0, 0, 0) // its length
	}
	le := binary.LittleEndian
	l.block = le.AppendUint32(l.block, uint32(l.tensor))
	l.block = le.AppendUint32(l.block, uint32(len(at)))
	l.block = le.AppendUint64(l.block, uint64(t.Lo))
	l.block = le.AppendUint64(l.block, uint64(l.item))
	for _, i := range at {
		l.block = le.AppendUint16(l.block, uint16(i))
	}
	l.gather(sp.Base, t, at)
	for m := range sp.Models {
		l.gather(sp.Models[m], t, at)
		l.gather(sp.Importance[m], t, at)
	}
	l.count += int64(len(at))
	if len(l.block) < leftBlock {
		return nil
	}
	return l.flush()
}

// gather appends an operand's elements, if it has been read.
func (l *leaving) gather(o fuse.Operand, t fuse.Tile, at []uint32) {
	if o.Data == nil {
		return
	}
	from, n := o.Of(t), len(l.block)
	size := o.DType.Bits() / 8
	l.block = append(l.block, make([]byte, len(at)*size)...)
	to := l.block[n:]
	if size == 2 { // nearly always
		for k, i := range at {
			to[2*k], to[2*k+1] = from[2*i], from[2*i+1]
		}
		return
	}
	for k, i := range at {
		copy(to[k*size:(k+1)*size], from[int(i)*size:])
	}
}

// flush writes what was collected.
func (l *leaving) flush() error {
	if len(l.block) == 0 {
		return nil
	}
	binary.LittleEndian.PutUint32(l.block, uint32(len(l.block)-4))
	err := l.to.write(l.block, l.count)
	l.block, l.count = l.block[:0], 0
	return err
}

// write appends a block.
func (l *left) write(block []byte, elements int64) error {
	file, at, err := l.place(int64(len(block)), elements)
	if err == nil {
		_, err = file.WriteAt(block, at)
	}
	if err != nil {
		return errors.Join(errLeft, err)
	}
	return nil
}

// place finds room for so many bytes.
func (l *left) place(n, elements int64) (file mmapio.OutputFile, at int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.end+n > l.limit {
		return nil, 0, errLeft
	}
	if l.file == nil {
		if l.file, err = l.scratch(); err != nil {
			return nil, 0, err
		}
	}
	at = l.end
	l.end += n
	l.elements += elements
	return l.file, at, nil
}

// read reads the next block into a buffer; nil when there are no more.
func (l *left) read(into []byte) ([]byte, error) {
	at, n, err := l.take()
	if n == 0 || err != nil {
		return nil, err
	}
	if int64(cap(into)) < n {
		into = make([]byte, n)
	}
	into = into[:n]
	if _, err := l.file.ReadAt(into, at); err != nil {
		return nil, fmt.Errorf("read what was left for later: %w", err)
	}
	return into, nil
}

// take finds the next block.
func (l *left) take() (at, n int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.next == l.end {
		return 0, 0, nil
	}
	var length [4]byte
	if _, err := l.file.ReadAt(length[:], l.next); err != nil {
		return 0, 0, fmt.Errorf("read what was left for later: %w", err)
	}
	at, n = l.next+4, int64(binary.LittleEndian.Uint32(length[:]))
	if n == 0 || at+n > l.end {
		return 0, 0, errors.New("what was left for later is damaged")
	}
	l.next = at + n
	return at, n, nil
}

// crowds reports whether an error says that the disk is full, and room is free when the file is closed: the output of a file system that sets none
// aside may need it.
func (l *left) crowds(err error) bool {
	return l.end > 0 && (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT))
}

// close removes the file.
func (l *left) close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}
