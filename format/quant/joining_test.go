package quant

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"weld/format"
)

// counted counts the writes of each tensor.
type counted struct {
	*memory
	mu     sync.Mutex
	writes []int
	fails  error
}

func (c *counted) WriteAt(i int, off int64, p []byte) error {
	c.mu.Lock()
	c.writes[i]++
	c.mu.Unlock()
	return errors.Join(c.memory.WriteAt(i, off, p), c.fails)
}

// joiningOf is for a tensor of so many bytes of codes, with as many scales as rows, and another that is not encoded.
func joiningOf(rows, cols int64) (*Joining, *counted) {
	e := &Encoding{
		Codes:      format.Tensor{Name: "a.weight", DType: format.F8E4M3, Shape: []int64{rows, cols}},
		Companions: []format.Tensor{{Name: "a.weight_scale", DType: format.F32, Shape: []int64{rows, 1}}},
		coding:     coding{blockGrid: blockGrid{1, rows, cols}, block: blockGrid{1, 1, cols}, scaleType: format.F32, codes: floatWriter{format.F8E4M3, 448}},
	}
	m := &counted{memory: newMemory(e.Codes, e.Companions[0], format.Tensor{Name: "b", DType: format.U8, Shape: []int64{100}}), writes: make([]int, 3)}
	return NewJoining(m, []EncodedTarget{{e, 0, []int{1}}}), m
}

// Parts in any order, of any size and from several goroutines make what one write makes. Nothing of a tensor is held when all of it has come.
func TestJoiningLosesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(41, 42))
	for round, most := range []int{7, 1000, 100_000, 3 * joinedBytes} {
		j, m := joiningOf(400, 10_007)
		want := [][]byte{make([]byte, len(m.tensors[0])), make([]byte, len(m.tensors[1]))}
		type part struct{ tensor, lo, hi int }
		var parts []part
		for i, data := range want {
			for k := range data {
				data[k] = byte(r.Uint32())
			}
			for lo := 0; lo < len(data); {
				hi := min(lo+1+r.IntN(max(most, len(data)/20_000)), len(data))
				parts = append(parts, part{i, lo, hi})
				lo = hi
			}
		}
		switch round {
		case 1:
			slices.Reverse(parts)
		case 2, 3:
			r.Shuffle(len(parts), func(a, b int) { parts[a], parts[b] = parts[b], parts[a] })
		}
		var all sync.WaitGroup
		for worker := range 4 {
			all.Go(func() {
				for k := worker; k < len(parts); k += 4 {
					p := parts[k]
					if err := j.WriteAt(p.tensor, int64(p.lo), bytes.Clone(want[p.tensor][p.lo:p.hi])); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		for i := range want {
			if !bytes.Equal(m.tensors[i], want[i]) || m.wrote[i] != int64(len(want[i])) {
				t.Errorf("parts of at most %d bytes: of tensor %d %d bytes of %d were written, equal: %v", most, i, m.wrote[i], len(want[i]), bytes.Equal(m.tensors[i], want[i]))
			}
			if n := len(j.tensors[i].runs); n > 0 {
				t.Errorf("%d runs of tensor %d are held at the end", n, i)
			}
		}
	}
}

// Stripes that follow each other, as workers bring them, are few writes, whatever their size; what is no code passes at once.
func TestJoiningWritesLittle(t *testing.T) {
	for _, cols := range []int{16_384, 10_007, 2880} {
		j, m := joiningOf(4096, int64(cols))
		const stripe = 2 // rows
		for _, begin := range []int{0, 2048} {
			for row := begin; row < begin+2048; row += stripe {
				for i, size := range []int{cols, 4} {
					if err := j.WriteAt(i, int64(row*size), make([]byte, stripe*size)); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if few := 2 * (2048*cols/(joinedBytes-stripe*cols) + 1); m.writes[0] > few || m.writes[1] != 1 {
			t.Errorf("2048 stripes of %d make %d writes of codes, want at most %d, and %d of scales", stripe*cols, m.writes[0], few, m.writes[1])
		}
	}
}

// Where more is begun than may wait, what has waited for most is written.
func TestJoiningHoldsFewRuns(t *testing.T) {
	j, m := joiningOf(1000, 1000)
	for k := range 3 * mostRuns {
		if err := j.WriteAt(0, int64(k*10_000), make([]byte, 1000+k)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(j.tensors[0].runs); n != mostRuns || m.writes[0] != 2*mostRuns {
		t.Errorf("%d runs wait, and %d were written", n, m.writes[0])
	}
}

// What is not encoded passes at once.
func TestJoiningPasses(t *testing.T) {
	j, m := joiningOf(2, 1000)
	if err := j.WriteAt(2, 0, make([]byte, 50)); err != nil || m.wrote[2] != 50 {
		t.Errorf("of another tensor %d bytes of 50 were written: %v", m.wrote[2], err)
	}
}

// What cannot be written is said to whoever brought the last of it.
func TestJoiningFails(t *testing.T) {
	j, m := joiningOf(2, 1000)
	m.fails = errors.New("no room")
	if err := j.WriteAt(0, 0, make([]byte, 1000)); err != nil {
		t.Errorf("a part that waits fails: %v", err)
	}
	if err := j.WriteAt(0, 1000, make([]byte, 1000)); !errors.Is(err, m.fails) {
		t.Errorf("the last part says %v", err)
	}
}
