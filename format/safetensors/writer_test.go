package safetensors

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"weld/format"
)

// memoryTarget keeps what is written, and refuses to write a byte twice.
type memoryTarget struct {
	mu       sync.Mutex
	data     []byte
	written  []bool
	fail     error
	aborted  error
	complete int
}

func newTarget(size int64) *memoryTarget {
	return &memoryTarget{data: make([]byte, size), written: make([]bool, size)}
}

func (m *memoryTarget) WriteAt(p []byte, off int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return 0, m.fail
	}
	for i, b := range p {
		if m.written[off+int64(i)] {
			return i, fmt.Errorf("byte %d is written twice", off+int64(i))
		}
		m.written[off+int64(i)] = true
		m.data[off+int64(i)] = b
	}
	return len(p), nil
}

func (m *memoryTarget) Abort(err error) { m.aborted = err }
func (m *memoryTarget) Complete() error { m.complete++; return m.fail }

// Whatever the order of the pieces, every byte is written once and where the header
// says.
func TestWriter(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 3))
		tensors := randomTensors(r, 1+r.IntN(12))
		l, err := NewLayout(tensors, map[string]string{"a": "b"}, 1+r.Int64N(1000))
		if err != nil {
			t.Fatal(err)
		}
		var files []*memoryTarget
		var targets []Target
		for _, s := range l.Shards {
			f := newTarget(s.Size)
			files, targets = append(files, f), append(targets, f)
		}
		w, err := NewWriter(l, targets)
		if err != nil {
			t.Fatal(err)
		}
		type piece struct {
			tensor int
			off    int64
			data   []byte
		}
		var pieces []piece
		contents := make([][]byte, len(tensors))
		for i, x := range tensors {
			contents[i] = make([]byte, x.Bytes())
			for k := range contents[i] {
				contents[i][k] = byte(r.Uint32())
			}
			for off := int64(0); off < x.Bytes(); {
				n := min(1+r.Int64N(40), x.Bytes()-off)
				pieces = append(pieces, piece{i, off, contents[i][off : off+n]})
				off += n
			}
		}
		r.Shuffle(len(pieces), func(i, j int) { pieces[i], pieces[j] = pieces[j], pieces[i] })
		for _, p := range pieces {
			if err := w.WriteAt(p.tensor, p.off, p.data); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		for k, f := range files {
			if slices.Contains(f.written, false) || f.complete != 1 || f.aborted != nil {
				t.Errorf("seed %d: shard %d is not whole", seed, k)
			}
			h, err := ReadHeader("m", bytes.NewReader(f.data), int64(len(f.data)))
			if err != nil {
				t.Fatal(err)
			}
			for j, e := range h.Tensors {
				if got := f.data[h.DataStart+e.Begin : h.DataStart+e.End]; !bytes.Equal(got, contents[l.Order()[l.Shards[k].First+j]]) {
					t.Errorf("seed %d: tensor %s has other bytes", seed, e.Name)
				}
			}
		}
	}
}

func TestWriterFails(t *testing.T) {
	broken := errors.New("disk full")
	tensors := []format.Tensor{{Name: "a", DType: format.U8, Shape: []int64{9}}, {Name: "b", DType: format.U8, Shape: []int64{9}}}
	l, err := NewLayout(tensors, nil, 10)
	if err != nil || len(l.Shards) != 2 {
		t.Fatalf("%+v, %v", l, err)
	}
	fresh := func() (*memoryTarget, *memoryTarget) { return newTarget(l.Shards[0].Size), newTarget(l.Shards[1].Size) }
	a, b := fresh()
	b.fail = broken
	if _, err := NewWriter(l, []Target{a, b}); !errors.Is(err, broken) {
		t.Errorf("header: %v", err)
	}
	a, b = fresh()
	w, err := NewWriter(l, []Target{a, b})
	if err != nil {
		t.Fatal(err)
	}
	b.fail = broken
	if err := w.WriteAt(0, 0, make([]byte, 9)); err != nil {
		t.Error(err)
	}
	if err := w.WriteAt(1, 0, make([]byte, 9)); !errors.Is(err, broken) {
		t.Errorf("tensor: %v", err)
	}
	if err := w.Close(); !errors.Is(err, broken) || a.complete != 1 {
		t.Errorf("close: %v", err)
	}
	w.Abort(broken)
	if a.aborted != broken || b.aborted != broken {
		t.Error("not aborted")
	}
}
