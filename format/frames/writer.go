package frames

import (
	"fmt"
	"sort"
	"sync"
)

// Writer codes content that arrives in pieces, from several goroutines, in frames that are
// appended in order. It holds a bounded window of frames; a piece that is too far ahead
// waits.
type Writer struct {
	window int // frames that may be under way
	encode func(frame int, offset int64, content, buffer []byte) ([]byte, error)
	put    func(frame int, content int64, coded []byte) error

	mu      sync.Mutex
	moved   *sync.Cond // next advanced, or the writer failed
	cuts    []int64    // content offsets of the frames' ends, ascending
	next    int        // the first frame that is not appended
	frames  map[int]*frame
	spare   [][]byte // buffers of appended frames
	writing bool
	err     error
}

// frame is one that is being filled, or waits to be appended.
type frame struct {
	start   int64  // in the content
	content []byte // nil if it is written at once
	missing int64
	coded   []byte // once complete
	given   bool   // coded came from outside, and its memory serves no other frame
}

func (f *frame) at(off int64) []byte { return f.content[off-f.start:] }

// NewWriter makes a writer for so many goroutines that call [Writer.WriteAt]. encode
// codes the frame that begins at an offset and appends the result to buffer, on any of them; put takes the result, one frame at a
// time and in order, with the length of the frame's content.
func NewWriter(workers int, encode func(frame int, offset int64, content, buffer []byte) ([]byte, error), put func(frame int, content int64, coded []byte) error) *Writer {
	w := &Writer{window: Window(workers), encode: encode, put: put, frames: make(map[int]*frame)}
	w.moved = sync.NewCond(&w.mu)
	return w
}

// Window is the number of frames that a writer for so many workers holds at most.
func Window(workers int) int { return workers + 2 }

// Extend announces further frames, by the offsets of their ends in the content.
func (w *Writer) Extend(cuts ...int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := w.start(len(w.cuts))
	for _, cut := range cuts {
		if cut <= last {
			return fmt.Errorf("no frame can hold the bytes [%d, %d)", last, cut)
		}
		last = cut
	}
	w.cuts = append(w.cuts, cuts...)
	return nil
}

// WriteAt adds a piece of content. Calls must begin in the order of their offsets,
// or those that wait would wait for each other.
func (w *Writer) WriteAt(p []byte, off int64) (int, error) {
	written := 0
	for len(p) > 0 {
		i, f, n, err := w.claim(off, int64(len(p)))
		if err != nil {
			return written, err
		}
		if f.content == nil { // whole: no need to copy it
			err = w.code(i, f, p[:n])
		} else {
			copy(f.at(off), p[:n])
			err = w.filled(i, f, n)
		}
		if err != nil {
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
	return sort.Search(len(w.cuts), func(i int) bool { return w.cuts[i] > off })
}

// claim returns the frame that holds the content at off, for filling with at most n
// bytes, when it is inside the window.
func (w *Writer) claim(off, n int64) (i int, f *frame, most int64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i = w.find(off)
	if i == len(w.cuts) {
		return 0, nil, 0, fmt.Errorf("%d bytes beyond the announced content", n)
	}
	for w.err == nil && i >= w.next+w.window {
		w.moved.Wait()
	}
	if w.err != nil {
		return 0, nil, 0, w.err
	}
	start, end := w.start(i), w.cuts[i]
	n = min(n, end-off)
	switch f = w.frames[i]; {
	case f == nil && i < w.next, f != nil && f.missing < n:
		return 0, nil, 0, fmt.Errorf("bytes of frame %d were written twice", i)
	case f == nil && n == end-start:
		f = &frame{start: start}
		w.frames[i] = f
	case f == nil:
		f = &frame{start: start, missing: end - start, content: w.buffer(end - start)}
		w.frames[i] = f
	}
	return i, f, n, nil
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

// filled counts n bytes off a frame; whoever fills the last codes it, and
// whoever finds the next frame ready appends it and those that follow.
func (w *Writer) filled(i int, f *frame, n int64) error {
	w.mu.Lock()
	f.missing -= n
	missing, err := f.missing, w.err
	w.mu.Unlock()
	if missing > 0 {
		return err
	}
	return w.code(i, f, f.content)
}

// code codes a frame's content.
func (w *Writer) code(i int, f *frame, content []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	buffer := w.buffer(0)
	w.mu.Unlock()
	coded, err := w.encode(i, f.start, content, buffer[:0])
	w.mu.Lock()
	if err != nil {
		w.fail(err)
		return w.err
	}
	f.coded = coded
	if f.content != nil {
		w.spare = append(w.spare, f.content)
		f.content = nil
	}
	return w.appendReady()
}

// Prepare codes whole frames from off on at once, whatever comes before them: content that is known
// beforehand, and small. It is not to be written again.
func (w *Writer) Prepare(content []byte, off int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := w.find(off)
	for at := off; len(content) > 0; i++ {
		if i == len(w.cuts) || w.start(i) != at || w.cuts[i]-at > int64(len(content)) {
			return fmt.Errorf("[%d, %d) are no whole frames", off, at+int64(len(content)))
		}
		n := w.cuts[i] - at
		coded, err := w.encode(i, at, content[:n], nil)
		if err != nil {
			return err
		}
		w.frames[i] = &frame{coded: coded}
		content, at = content[n:], at+n
	}
	return w.appendReady()
}

// Put takes a whole frame that is coded already, whatever comes before it. Its content is not to be written.
func (w *Writer) Put(coded []byte, off int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := w.find(off)
	if i == len(w.cuts) || w.start(i) != off || i < w.next || w.frames[i] != nil {
		return fmt.Errorf("no frame begins at %d, or it was written before", off)
	}
	w.frames[i] = &frame{coded: coded, given: true}
	return w.appendReady()
}

// Find returns the frame that holds the content at off.
func (w *Writer) Find(off int64) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.find(off)
}

// appendReady hands on complete frames from the next one on. One goroutine does at
// a time; w.mu is held on entry and exit, not meanwhile.
func (w *Writer) appendReady() error {
	for !w.writing && w.err == nil {
		f := w.frames[w.next]
		if f == nil || f.coded == nil {
			break
		}
		w.writing = true
		size := w.cuts[w.next] - w.start(w.next)
		w.mu.Unlock()
		err := w.put(w.next, size, f.coded)
		w.mu.Lock()
		w.writing = false
		if err != nil {
			w.fail(err)
			break
		}
		if !f.given {
			w.spare = append(w.spare, f.coded)
		}
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

// Buffers is how many frames are under way, and how many buffers wait for the next ones.
func (w *Writer) Buffers() (frames, spare int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.frames), len(w.spare)
}

// Complete reports whether all that was announced has been appended.
func (w *Writer) Complete() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil && w.next != len(w.cuts) {
		return fmt.Errorf("%d of %d frames were never filled", len(w.cuts)-w.next, len(w.cuts))
	}
	return w.err
}
