package quant

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"weld/format"
)

// Waiting is a [format.Writer] before one that takes the bytes of its tensors in their order, where what is made with codes, such as
// scales, stands behind them. It waits until the codes are written: in memory if it is little, else in a file. Of a stripe, all else comes
// before the codes.
type Waiting struct {
	format.Writer
	scratch func() (Scratch, error)
	codes   map[int]*waitingTensor // by their codes
	beside  map[int]*waitingPart   // by their numbers
}

// Scratch is a file for what waits. Closing it removes it.
type Scratch interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
}

// mostWaiting is the most bytes of one companion that wait in memory. Scales of the blocks of a layer are fewer.
const mostWaiting = 4 << 20

// waitingPiece is how much is brought back from a file at a time.
const waitingPiece = 256 << 10

// WaitingBytes is the memory that a tensor's companions take while they wait for the codes.
func (e *Encoding) WaitingBytes() (n int64) {
	for _, c := range e.Companions[:e.Made()] {
		n += waitingRoom(c.Bytes())
	}
	return n
}

// waitingRoom is the memory for a companion of so many bytes.
func waitingRoom(bytes int64) int64 {
	if bytes > mostWaiting {
		return waitingPiece
	}
	return bytes
}

// waitingTensor are codes that are being written.
type waitingTensor struct {
	mu    sync.Mutex
	left  int64 // bytes that are not
	parts []*waitingPart
}

// waitingPart is what stands behind codes.
type waitingPart struct {
	codes  *waitingTensor
	tensor int
	name   string
	size   int64
	memory []byte // all of it, or room for a piece; nil before something comes
	file   Scratch
}

// NewWaiting is for the codes of targets. scratch makes a file; it may be called from several goroutines at once.
func NewWaiting(w format.Writer, targets []EncodedTarget, scratch func() (Scratch, error)) *Waiting {
	q := &Waiting{Writer: w, scratch: scratch, codes: make(map[int]*waitingTensor, len(targets)), beside: make(map[int]*waitingPart)}
	for _, t := range targets {
		codes := &waitingTensor{left: t.Encoding.Codes.Bytes()}
		for k, c := range t.Encoding.Companions[:t.Made()] {
			p := &waitingPart{codes: codes, tensor: t.Companions[k], name: c.Name, size: c.Bytes()}
			codes.parts = append(codes.parts, p)
			q.beside[p.tensor] = p
		}
		slices.SortFunc(codes.parts, func(a, b *waitingPart) int { return a.tensor - b.tensor })
		q.codes[t.Codes] = codes
	}
	return q
}

// WriteAt implements [format.Writer]. Whoever writes the last codes of a tensor writes what waits for them.
func (q *Waiting) WriteAt(i int, off int64, p []byte) error {
	if part := q.beside[i]; part != nil {
		return part.keep(q.scratch, off, p)
	}
	if err := q.Writer.WriteAt(i, off, p); err != nil {
		return err
	}
	t := q.codes[i]
	if t == nil || !t.wrote(int64(len(p))) {
		return nil
	}
	for _, part := range t.parts {
		if err := part.passOn(q.Writer); err != nil {
			return err
		}
	}
	return nil
}

// wrote takes account of codes that are written, and reports whether they were the last.
func (t *waitingTensor) wrote(n int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left -= n
	return t.left == 0
}

// keep holds bytes back. They have not come before.
func (p *waitingPart) keep(scratch func() (Scratch, error), off int64, data []byte) error {
	if err := p.begin(scratch); err != nil {
		return p.failed(err)
	}
	if p.file == nil {
		copy(p.memory[off:], data)
		return nil
	}
	if _, err := p.file.WriteAt(data, off); err != nil {
		return p.failed(err)
	}
	return nil
}

// begin makes room, with the first bytes.
func (p *waitingPart) begin(scratch func() (Scratch, error)) (err error) {
	p.codes.mu.Lock()
	defer p.codes.mu.Unlock()
	if p.memory != nil {
		return nil
	}
	if p.size > mostWaiting {
		if p.file, err = scratch(); err != nil {
			return err
		}
	}
	p.memory = make([]byte, waitingRoom(p.size))
	return nil
}

// passOn writes what was held back, and lets go of it.
func (p *waitingPart) passOn(w format.Writer) error {
	defer func() { p.memory = nil }()
	if p.file == nil {
		return w.WriteAt(p.tensor, 0, p.memory)
	}
	for at := int64(0); at < p.size; {
		piece := p.memory[:min(int64(len(p.memory)), p.size-at)]
		if _, err := p.file.ReadAt(piece, at); err != nil && !errors.Is(err, io.EOF) {
			return p.failed(err)
		}
		if err := w.WriteAt(p.tensor, at, piece); err != nil {
			return err
		}
		at += int64(len(piece))
	}
	if err := p.file.Close(); err != nil {
		return p.failed(err)
	}
	return nil
}

// failed is the error for a file in which something waits.
func (p *waitingPart) failed(err error) error {
	return fmt.Errorf("keep %q in a file until the codes are written: %w", p.name, err)
}
