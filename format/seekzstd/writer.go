package seekzstd

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Writer compresses content that arrives in pieces, from several goroutines, into
// frames that are appended in order. It holds a bounded window of frames; a piece
// that is too far ahead waits.
type Writer struct {
	out     io.Writer
	encoder *zstd.Encoder
	cuts    []int64 // content offsets of the frames' ends, ascending
	window  int     // frames that may be under way

	mu      sync.Mutex
	moved   *sync.Cond // next advanced, or the writer failed
	next    int        // the first frame that is not appended
	frames  map[int]*frame
	spare   [][]byte // buffers of appended frames
	sizes   []uint32 // compressed sizes of appended frames
	writing bool
	err     error
}

// frame is one that is being filled, or waits to be appended.
type frame struct {
	content    []byte
	missing    int64
	compressed []byte // once complete
}

// NewWriter makes a writer of content that ends at the last of cuts. Frames end
// exactly at the cuts; each holds at most MaxFrame bytes and at least one. workers
// is the number of goroutines that call WriteAt.
func NewWriter(out io.Writer, cuts []int64, workers int) (*Writer, error) {
	if len(cuts) > MaxFrames {
		return nil, fmt.Errorf("zstd: %d frames are more than a file can have", len(cuts))
	}
	last := int64(0)
	for _, cut := range cuts {
		if cut <= last || cut-last > MaxFrame {
			return nil, fmt.Errorf("zstd: no frame can hold the bytes [%d, %d)", last, cut)
		}
		last = cut
	}
	// Weights have next to no matches to find, so the fastest search loses nothing;
	// without AllLitEntropyCompression blocks without matches are stored.
	encoder, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithAllLitEntropyCompression(true),
		zstd.WithEncoderCRC(true),
		zstd.WithEncoderConcurrency(workers),
		zstd.WithLowerEncoderMem(true),
	)
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	w := &Writer{out: out, encoder: encoder, cuts: cuts, window: Window(workers), frames: make(map[int]*frame)}
	w.moved = sync.NewCond(&w.mu)
	return w, nil
}

// Window is the number of frames that a writer for so many workers holds at most.
func Window(workers int) int { return workers + 2 }

// WriteAt adds a piece of content. Calls must begin in the order of their offsets,
// or those that wait would wait for each other.
func (w *Writer) WriteAt(p []byte, off int64) (int, error) {
	written := 0
	for i := w.find(off); len(p) > 0; i++ {
		if i >= len(w.cuts) {
			return written, fmt.Errorf("zstd: %d bytes beyond the announced content", len(p))
		}
		start, end := w.start(i), w.cuts[i]
		n := min(int64(len(p)), end-off)
		f, err := w.claim(i, n)
		if err != nil {
			return written, err
		}
		copy(f.content[off-start:], p[:n])
		if err := w.filled(i, f, n); err != nil {
			return written, err
		}
		p, off, written = p[n:], off+n, written+int(n)
	}
	return written, nil
}

func (w *Writer) start(i int) int64 {
	if i == 0 {
		return 0
	}
	return w.cuts[i-1]
}

// find returns the frame that holds the content at off.
func (w *Writer) find(off int64) int {
	lo, hi := 0, len(w.cuts)
	for lo < hi {
		if mid := (lo + hi) / 2; w.cuts[mid] <= off {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// claim returns frame i for filling with n bytes, when it is inside the window.
func (w *Writer) claim(i int, n int64) (*frame, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.err == nil && i >= w.next+w.window {
		w.moved.Wait()
	}
	if w.err != nil {
		return nil, w.err
	}
	f := w.frames[i]
	if f == nil && i >= w.next {
		size := w.cuts[i] - w.start(i)
		f = &frame{content: w.buffer(size), missing: size}
		w.frames[i] = f
	}
	if f == nil || f.missing < n {
		return nil, fmt.Errorf("zstd: bytes of frame %d were written twice", i)
	}
	return f, nil
}

// buffer takes a spare buffer or makes one. It makes one in the place of one that is
// too small, so that there are never more than were in use at once.
func (w *Writer) buffer(size int64) []byte {
	for i, b := range w.spare {
		if int64(cap(b)) >= size {
			w.spare = append(w.spare[:i], w.spare[i+1:]...)
			return b[:size]
		}
	}
	if n := len(w.spare); n > 0 {
		w.spare = w.spare[:n-1]
	}
	return make([]byte, size)
}

// filled counts n bytes off a frame; whoever fills the last compresses it, and
// whoever finds the next frame ready appends it and those that follow.
func (w *Writer) filled(i int, f *frame, n int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f.missing -= n; f.missing > 0 {
		return w.err
	}
	room := w.buffer(0)
	w.mu.Unlock()
	compressed := w.encoder.EncodeAll(f.content, room[:0])
	w.mu.Lock()
	f.compressed = compressed
	w.spare = append(w.spare, f.content)
	f.content = nil
	return w.appendReady()
}

// appendReady writes complete frames from the next one on. One goroutine writes at
// a time; w.mu is held on entry and exit, not while writing.
func (w *Writer) appendReady() error {
	for !w.writing && w.err == nil {
		f := w.frames[w.next]
		if f == nil || f.compressed == nil {
			break
		}
		w.writing = true
		w.mu.Unlock()
		_, err := w.out.Write(f.compressed)
		w.mu.Lock()
		w.writing = false
		if err != nil {
			w.fail(err)
			break
		}
		w.sizes = append(w.sizes, uint32(len(f.compressed)))
		w.spare = append(w.spare, f.compressed)
		delete(w.frames, w.next)
		w.next++
		w.moved.Broadcast()
	}
	return w.err
}

func (w *Writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
	w.moved.Broadcast()
}

// Abort makes every call that waits, and every later one, fail with err.
func (w *Writer) Abort(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail(err)
}

// Complete appends the seek table. All content must have been written.
func (w *Writer) Complete() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.encoder.Close()
	if w.err != nil {
		return w.err
	}
	if w.next != len(w.cuts) {
		return fmt.Errorf("zstd: %d of %d frames were never filled", len(w.cuts)-w.next, len(w.cuts))
	}
	_, err := w.out.Write(w.table())
	return err
}

func (w *Writer) table() []byte {
	le := binary.LittleEndian
	size := 8*len(w.sizes) + footerSize
	t := make([]byte, 0, skippableHead+size)
	t = le.AppendUint32(t, skippableMagic)
	t = le.AppendUint32(t, uint32(size))
	for i, n := range w.sizes {
		t = le.AppendUint32(t, n)
		t = le.AppendUint32(t, uint32(w.cuts[i]-w.start(i)))
	}
	t = le.AppendUint32(t, uint32(len(w.sizes)))
	t = append(t, 0) // descriptor: no checksums here, the frames carry their own
	return le.AppendUint32(t, seekableMagic)
}

// MaxFrames is the most frames that a file can have: the table's size is 32 bits.
const MaxFrames = (math.MaxUint32 - footerSize) / 8
