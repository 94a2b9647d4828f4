package quant

import (
	"slices"
	"sync"

	"weld/format"
	"weld/mmapio"
)

// Joining is a [format.Writer] before one that takes bytes in any order, where they come in small parts, such as the codes and the scales of a stripe. A write
// takes as long for few bytes, and those to one file wait for each other: neighbours are put together.
type Joining struct {
	format.Writer
	tensors map[int]*joinedTensor
	spare   mmapio.Spare[writtenRun]
}

// joinedBytes is the most that is put together. JoiningBytes is the memory in which the codes and the scales of one worker wait.
const (
	joinedBytes  = 512 << 10
	JoiningBytes = 2 * joinedBytes
)

// mostRuns is how many runs of a tensor wait for neighbours at most.
const mostRuns = 16

// joinedTensor is one of which parts have come.
type joinedTensor struct {
	mu   sync.Mutex
	left int64         // bytes that have not come
	runs []*writtenRun // that wait for neighbours
}

// writtenRun is what has come of a tensor in one place.
type writtenRun struct {
	at   int64
	data []byte
}

func (r *writtenRun) end() int64 { return r.at + int64(len(r.data)) }

// NewJoining is for the codes of targets, and what is made with them.
func NewJoining(w format.Writer, targets []EncodedTarget) *Joining {
	j := &Joining{Writer: w, tensors: make(map[int]*joinedTensor)}
	for _, t := range targets {
		j.tensors[t.Codes] = &joinedTensor{left: t.Encoding.Codes.Bytes()}
		for k, c := range t.Encoding.Companions[:t.Made()] {
			j.tensors[t.Companions[k]] = &joinedTensor{left: c.Bytes()}
		}
	}
	return j
}

// WriteAt implements [format.Writer]. Whoever brings the last bytes of a tensor writes what is left of it.
func (j *Joining) WriteAt(i int, off int64, p []byte) error {
	t := j.tensors[i]
	if t == nil {
		return j.Writer.WriteAt(i, off, p)
	}
	r := t.before(off, len(p))
	if r == nil {
		r = j.run(off)
	}
	if len(p) <= cap(r.data) {
		r.data = append(r.data, p...)
	} else if err := j.Writer.WriteAt(i, off, p); err != nil {
		return err
	}
	for _, r := range t.put(r, int64(len(p))) {
		if len(r.data) > 0 {
			if err := j.Writer.WriteAt(i, r.at, r.data); err != nil {
				return err
			}
		}
		j.spare.Put(r, joinedBytes)
	}
	return nil
}

// run begins a run.
func (j *Joining) run(at int64) *writtenRun {
	r := j.spare.Get()
	if r == nil {
		r = &writtenRun{data: make([]byte, 0, joinedBytes)}
	}
	r.at, r.data = at, r.data[:0]
	return r
}

// before takes the run that ends where n bytes begin; nil if there is none, or it has no room for them.
func (t *joinedTensor) before(off int64, n int) *writtenRun {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.take(func(r *writtenRun) bool { return r.end() == off && len(r.data)+n <= cap(r.data) })
}

// take takes a run away.
func (t *joinedTensor) take(which func(r *writtenRun) bool) *writtenRun {
	k := slices.IndexFunc(t.runs, which)
	if k < 0 {
		return nil
	}
	r := t.runs[k]
	t.runs = slices.Delete(t.runs, k, k+1)
	return r
}

// put leaves a run, to which so many bytes have come, and returns those that are to be written now: what is full, or has no more to wait for.
func (t *joinedTensor) put(r *writtenRun, come int64) (now []*writtenRun) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if next := t.take(func(n *writtenRun) bool { return n.at == r.end() && len(r.data)+len(n.data) <= cap(r.data) }); next != nil {
		r.data = append(r.data, next.data...)
		next.data = next.data[:0]
		now = append(now, next)
	}
	if t.left -= come; t.left == 0 {
		now = append(append(now, r), t.runs...)
		t.runs = nil
		return now
	}
	if len(r.data) == 0 || int64(len(r.data))+come > int64(cap(r.data)) { // the next part would find no room
		return append(now, r)
	}
	if t.runs = append(t.runs, r); len(t.runs) > mostRuns {
		longest := slices.MaxFunc(t.runs, func(a, b *writtenRun) int { return len(a.data) - len(b.data) })
		now = append(now, t.take(func(r *writtenRun) bool { return r == longest }))
	}
	return now
}
