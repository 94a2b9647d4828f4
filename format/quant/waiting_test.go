package quant

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"weld/format"
	"weld/mmapio"
)

// growing takes the bytes of its tensors in their order alone.
type growing struct {
	t    *testing.T
	data [][]byte
	next int
	size []int64
}

func (o *growing) WriteAt(i int, off int64, p []byte) error {
	for o.next < len(o.size) && int64(len(o.data[o.next])) == o.size[o.next] {
		o.next++
	}
	if i != o.next || off != int64(len(o.data[i])) {
		o.t.Errorf("bytes from %d on of tensor %d come when %d bytes of %d are there", off, i, len(o.data[o.next]), o.next)
	}
	o.data[i] = append(o.data[i], p...)
	return nil
}

func (o *growing) CopyAt(int, int64, *mmapio.File, int64, int64) error {
	return errors.ErrUnsupported
}
func (o *growing) Close() error { return nil }
func (o *growing) Abort(error)  {}

// waitingFile is a file that says when it is closed.
type waitingFile struct {
	bytes.Reader
	data   []byte
	closed atomic.Int32
}

func (f *waitingFile) WriteAt(p []byte, off int64) (int, error) {
	if grow := int(off) + len(p) - len(f.data); grow > 0 {
		f.data = append(f.data, make([]byte, grow)...)
	}
	return copy(f.data[off:], p), nil
}

func (f *waitingFile) ReadAt(p []byte, off int64) (int, error) { return copy(p, f.data[off:]), nil }
func (f *waitingFile) Close() error                            { f.closed.Add(1); return nil }

// waitingTarget is a weight with a scale for every second value, and what its companions are in the output.
func waitingTarget(t *testing.T, rows, cols int64) EncodedTarget {
	t.Helper()
	r := rand.New(rand.NewPCG(31, 32))
	shown, err := Show(saved(t, finite(random(r, "a.weight", format.F8E4M3, rows, cols)), random(r, "a.weight_scale", format.F32, rows, cols/2)), Declared{})
	if err != nil {
		t.Fatal(err)
	}
	e, ok := shown.(*Decoded).Encoding(0)
	if !ok {
		t.Fatal("no encoding")
	}
	return EncodedTarget{e, 0, []int{1}}
}

// finite has no codes that are no number.
func finite(s stored) stored {
	for i, code := range s.data {
		if code&0x7f == 0x7f {
			s.data[i] = 1
		}
	}
	return s
}

// Scales come before their codes, and are passed on behind them: out of memory where they are few, else out of a file, which is closed then.
func TestWaiting(t *testing.T) {
	for _, c := range []struct {
		rows, cols int64
		file       bool
	}{{64, 64, false}, {1024, 2048, false}, {1024, 2050, true}} {
		target := waitingTarget(t, c.rows, c.cols)
		scales := target.Encoding.Companions[0].Bytes()
		out := &growing{t: t, data: make([][]byte, 2), size: []int64{target.Encoding.Codes.Bytes(), scales}}
		file, files := &waitingFile{}, 0
		q := NewWaiting(out, []EncodedTarget{target}, func() (Scratch, error) { files++; return file, nil })
		want := [][]byte{make([]byte, out.size[0]), make([]byte, scales)}
		for _, data := range want {
			for i := range data {
				data[i] = byte(i * 7 >> 3)
			}
		}
		half := scales / 2
		for _, at := range []int64{half, 0} { // in any order
			if err := q.WriteAt(1, at, want[1][at:min(at+scales-half, scales)]); err != nil {
				t.Fatal(err)
			}
		}
		if len(out.data[1]) > 0 {
			t.Error("scales are passed on before their codes")
		}
		for _, part := range [][2]int64{{0, 100}, {100, out.size[0]}} {
			if err := q.WriteAt(0, part[0], want[0][part[0]:part[1]]); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(out.data[0], want[0]) || !bytes.Equal(out.data[1], want[1]) {
			t.Errorf("%d × %d: other bytes", c.rows, c.cols)
		}
		if used := files == 1 && file.closed.Load() == 1; used != c.file || files > 1 {
			t.Errorf("%d × %d: %d files, closed %d times", c.rows, c.cols, files, file.closed.Load())
		}
		if n := target.WaitingBytes(); n > mostWaiting || !c.file && n != scales {
			t.Errorf("%d × %d: %d bytes wait in memory", c.rows, c.cols, n)
		}
	}
}

// A file that cannot be made stops the merge, which says what would wait in it.
func TestNothingToWaitIn(t *testing.T) {
	full := errors.New("no space")
	target := waitingTarget(t, 1024, 2050)
	out := &growing{t: t, data: make([][]byte, 2), size: []int64{target.Encoding.Codes.Bytes(), target.Encoding.Companions[0].Bytes()}}
	q := NewWaiting(out, []EncodedTarget{target}, func() (Scratch, error) { return nil, full })
	if err := q.WriteAt(1, 0, make([]byte, 4)); !errors.Is(err, full) || !strings.Contains(err.Error(), `keep "a.weight_scale" in a file`) {
		t.Error(err)
	}
}
