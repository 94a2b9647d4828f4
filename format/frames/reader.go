package frames

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"sync"

	"weld/mmapio"
)

// idleFrames is how many decoded frames are kept when nobody borrows them.
const idleFrames = 2

// Reader lends the content of frames. Its methods may be called from any goroutine.
type Reader struct {
	path    string
	cuts    []int64 // content offsets of the frames' ends, ascending
	largest int64   // content of the largest frame
	decode  func(frame int, content []byte) error

	mu    sync.Mutex
	cache map[int]*decodedFrame
	idle  []int // frames in the cache that are not lent, oldest first
	spare [][]byte
}

// decodedFrame is the content of a frame that is lent, or kept for the next reader.
type decodedFrame struct {
	loans int
	ready chan struct{} // closed when data or err is set
	data  []byte
	err   error
}

// NewReader makes a reader of frames that end at the given offsets of the content. decode fills a
// slice with the content of one frame, on any goroutine; path is for messages.
func NewReader(path string, cuts []int64, decode func(frame int, content []byte) error) *Reader {
	r := &Reader{path: path, cuts: cuts, decode: decode, cache: make(map[int]*decodedFrame)}
	for i := range cuts {
		r.largest = max(r.largest, r.length(i))
	}
	return r
}

// Size is the length of the content.
func (r *Reader) Size() int64 { return r.start(len(r.cuts)) }

func (r *Reader) start(i int) int64 {
	if i == 0 {
		return 0
	}
	return r.cuts[i-1]
}

func (r *Reader) length(i int) int64 { return r.cuts[i] - r.start(i) }

// Find returns the frame that holds the content at off, or the number of frames.
func (r *Reader) Find(off int64) int {
	if off < 0 {
		return len(r.cuts)
	}
	return sort.Search(len(r.cuts), func(i int) bool { return r.cuts[i] > off })
}

// ViewCost bounds the memory that a view of n bytes takes: the frames that it
// touches are decoded whole.
func (r *Reader) ViewCost(n int64) int64 { return n + 3*r.largest }

// ReadAt implements [io.ReaderAt] on the content.
func (r *Reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("%s: negative offset", r.path)
	}
	n := 0
	for n < len(p) {
		at := off + int64(n)
		i := r.Find(at)
		if i == len(r.cuts) {
			return n, io.EOF
		}
		into := p[n:min(int64(len(p)), int64(n)+r.cuts[i]-at)]
		if err := r.fill(into, i, at-r.start(i)); err != nil {
			return n, err
		}
		n += len(into)
	}
	return n, nil
}

// fill copies from frame i; a whole frame that nobody else has is decoded in place.
func (r *Reader) fill(p []byte, i int, from int64) error {
	if int64(len(p)) == r.length(i) && !r.cached(i) {
		return r.decode(i, p)
	}
	data, err := r.borrow(i)
	if err != nil {
		return err
	}
	copy(p, data[from:])
	r.giveBack(i)
	return nil
}

func (r *Reader) cached(i int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cache[i] != nil
}

// View lends n bytes of the content from off: a part of a decoded frame, or a copy
// where the range spans several. n is at most [mmapio.MaxView].
func (r *Reader) View(off, n int64) (mmapio.View, error) {
	if off < 0 || n < 0 || off > r.Size()-n {
		return mmapio.View{}, fmt.Errorf("%s: bytes [%d, %d) are not inside the content's %d: %w", r.path, off, off+n, r.Size(), io.ErrUnexpectedEOF)
	}
	if n > mmapio.MaxView {
		return mmapio.View{}, fmt.Errorf("%s: a view of %d bytes is over the limit of %d", r.path, n, int64(mmapio.MaxView))
	}
	if n == 0 {
		return mmapio.View{}, nil
	}
	i := r.Find(off)
	if off+n <= r.cuts[i] {
		data, err := r.borrow(i)
		if err != nil {
			return mmapio.View{}, err
		}
		lo := off - r.start(i)
		return mmapio.Lend(data[lo:lo+n:lo+n], r, int64(i)), nil
	}
	data := r.buffer(n)
	if _, err := r.ReadAt(data, off); err != nil {
		r.keep(data)
		return mmapio.View{}, err
	}
	return mmapio.Lend(data, r, notCached), nil
}

// notCached is the token of a view that owns its bytes.
const notCached = -1

// TakeBack implements [mmapio.Lender].
func (r *Reader) TakeBack(data []byte, token int64) {
	if token == notCached {
		r.keep(data)
		return
	}
	r.giveBack(int(token))
}

// borrow returns the content of frame i; the first who asks decodes it.
func (r *Reader) borrow(i int) ([]byte, error) {
	r.mu.Lock()
	d := r.cache[i]
	first := d == nil
	if first {
		d = &decodedFrame{ready: make(chan struct{})}
		r.cache[i] = d
	}
	if d.loans == 0 {
		if at := slices.Index(r.idle, i); at >= 0 {
			r.idle = slices.Delete(r.idle, at, at+1)
		}
	}
	d.loans++
	r.mu.Unlock()

	if first {
		d.data = r.buffer(r.length(i))
		d.err = errUnwound // should decode panic, nobody is to wait for ever
		func() {
			defer close(d.ready)
			d.err = r.decode(i, d.data)
		}()
	}
	<-d.ready
	if d.err != nil {
		r.giveBack(i)
		return nil, d.err
	}
	return d.data, nil
}

var errUnwound = errors.New("the frame was not decoded")

func (r *Reader) giveBack(i int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.cache[i]
	if d.loans--; d.loans > 0 {
		return
	}
	if d.err != nil {
		r.drop(i)
		return
	}
	r.idle = append(r.idle, i)
	if len(r.idle) > idleFrames {
		r.drop(r.idle[0])
		r.idle = r.idle[1:]
	}
}

// Buffers is how many decoded frames are lent, and how many wait for the next reader.
func (r *Reader) Buffers() (lent, idle int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.cache) - len(r.idle), len(r.idle)
}

func (r *Reader) drop(i int) {
	r.hold(r.cache[i].data)
	delete(r.cache, i)
}

// mostSpare is how many bytes of buffers wait for their next use, at most; and no more than
// four frames.
const mostSpare = 16 << 20

// buffer takes a spare buffer or makes one.
func (r *Reader) buffer(n int64) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, b := range r.spare {
		if int64(cap(b)) >= n {
			r.spare = slices.Delete(r.spare, k, k+1)
			return b[:n]
		}
	}
	return make([]byte, n)
}

func (r *Reader) keep(data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hold(data)
}

// hold keeps a buffer for the next use; r.mu is held.
func (r *Reader) hold(data []byte) {
	r.spare = append(r.spare, data)
	limit, total := min(mostSpare, 4*r.largest), int64(0)
	for i := len(r.spare) - 1; i >= 0; i-- {
		if total += int64(cap(r.spare[i])); total > limit {
			r.spare = slices.Delete(r.spare, 0, i+1)
			break
		}
	}
}
