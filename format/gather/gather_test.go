package gather

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weld/mmapio"
)

// naive reads a layout element by element.
func naive(l *Layout, files [][]byte) []byte {
	var out []byte
	index := make([]int64, len(l.Shape))
	var walk func(d int)
	walk = func(d int) {
		if d < len(l.Shape) {
			for index[d] = range l.Shape[d] {
				walk(d + 1)
			}
			return
		}
	pieces:
		for _, p := range l.Pieces {
			at := int64(0)
			for d, i := range index {
				if i < p.Offset[d] || i >= p.Offset[d]+p.Shape[d] {
					continue pieces
				}
				at += (i - p.Offset[d]) * p.Strides[d]
			}
			out = append(out, files[p.Source][p.Begin+at*l.Width:][:l.Width]...)
		}
	}
	walk(0)
	return out
}

// layout makes one of random shape, cut along a random dimension, with dimensions of each piece in a random order in its file.
func layout(r *rand.Rand, most int64) (l *Layout, files [][]byte) {
	l = &Layout{Width: []int64{1, 2, 3, 4, 8}[r.IntN(5)], Shape: make([]int64, r.IntN(5))}
	for d := range l.Shape {
		l.Shape[d] = 1 + r.Int64N(most)
	}
	cut := 0
	if len(l.Shape) > 0 {
		cut = r.IntN(len(l.Shape))
	}
	for begin := int64(0); len(l.Shape) == 0 && begin == 0 || len(l.Shape) > 0 && begin < l.Shape[cut]; {
		p := Piece{Source: len(files), Begin: r.Int64N(9), Offset: make([]int64, len(l.Shape)), Shape: slices.Clone(l.Shape), Strides: make([]int64, len(l.Shape))}
		if len(l.Shape) > 0 {
			p.Offset[cut] = begin
			p.Shape[cut] = 1 + r.Int64N(l.Shape[cut]-begin)
			begin += p.Shape[cut]
		} else {
			begin++
		}
		step := 1 + r.Int64N(3)*r.Int64N(2)
		for _, d := range r.Perm(len(l.Shape)) {
			p.Strides[d] = step
			step *= p.Shape[d]
			if r.IntN(4) == 0 {
				step += r.Int64N(50)
			}
			if r.IntN(10) == 0 {
				p.Strides[d] = 0
			}
		}
		n, ok := Extent(p.Shape, p.Strides)
		if !ok {
			panic("extent")
		}
		file := make([]byte, p.Begin+n*l.Width)
		for i := range file {
			file[i] = byte(r.Uint32())
		}
		l.Pieces, files = append(l.Pieces, p), append(files, file)
	}
	r.Shuffle(len(l.Pieces), func(i, j int) { l.Pieces[i], l.Pieces[j] = l.Pieces[j], l.Pieces[i] })
	return l, files
}

func opened(t *testing.T, files [][]byte) func(i int) Source {
	t.Helper()
	var list []*mmapio.File
	dir := t.TempDir()
	for i, data := range files {
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		f, err := mmapio.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		list = append(list, f)
	}
	return func(i int) Source { return list[i] }
}

// TestRead compares random ranges of random layouts with elements that are fetched one by one.
func TestRead(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		l, files := layout(r, 1+r.Int64N(24))
		if err := l.Check(); err != nil {
			t.Fatalf("%+v: %v", l, err)
		}
		want, sources := naive(l, files), opened(t, files)
		n := int64(len(want)) / l.Width
		for range 5 {
			lo := r.Int64N(n)
			hi := lo + 1 + r.Int64N(n-lo)
			got := make([]byte, (hi-lo)*l.Width)
			if err := l.Read(got, lo, sources); err != nil || !bytes.Equal(got, want[lo*l.Width:hi*l.Width]) {
				t.Fatalf("%+v: elements [%d, %d): %x, want %x, %v", l, lo, hi, got, want[lo*l.Width:hi*l.Width], err)
			}
		}
	}
}

// TestWindows reads what takes many windows, along rows, across them and with rows far apart, and holds that each view is small.
func TestWindows(t *testing.T) {
	for _, x := range []struct{ shape, strides []int64 }{
		{[]int64{700, 3000}, []int64{3000, 1}},
		{[]int64{3000, 700}, []int64{1, 3000}},
		{[]int64{40, 100}, []int64{40000, 1}},
		{[]int64{10, 60000}, []int64{1, 100}},
		{[]int64{2, 1 << 20}, []int64{1 << 20, 1}},
		{[]int64{6, 50, 70, 80}, []int64{80, 24000, 480, 1}},
	} {
		l := &Layout{x.shape, 2, []Piece{{0, 4, make([]int64, len(x.shape)), x.shape, x.strides}}}
		n, _ := Extent(x.shape, x.strides)
		file := make([]byte, 4+2*n)
		for i := range file {
			file[i] = byte(i * 7 >> 3)
		}
		want, from := naive(l, [][]byte{file}), opened(t, [][]byte{file})
		lent := &counted{Source: from(0)}
		got := make([]byte, len(want))
		if err := l.Read(got, 0, func(int) Source { return lent }); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v by %v: other bytes, %v", x.shape, x.strides, err)
		}
		if lent.most > Window || lent.calls < 2 {
			t.Errorf("%v by %v: %d views of up to %d bytes", x.shape, x.strides, lent.calls, lent.most)
		}
	}
}

// counted counts what is lent.
type counted struct {
	Source
	calls int
	most  int64
}

func (c *counted) View(off, n int64) (mmapio.View, error) {
	c.calls, c.most = c.calls+1, max(c.most, n)
	return c.Source.View(off, n)
}

func (c *counted) Read(off, n int64) (mmapio.View, error) {
	c.calls, c.most = c.calls+1, max(c.most, n)
	return c.Source.Read(off, n)
}

func TestCheck(t *testing.T) {
	box := func(offset, shape []int64) Piece { return Piece{0, 0, offset, shape, make([]int64, len(shape))} }
	for _, x := range []struct {
		shape  []int64
		pieces []Piece
		want   string
	}{
		{[]int64{4, 2}, []Piece{box([]int64{0, 0}, []int64{2, 2}), box([]int64{2, 0}, []int64{2, 2})}, ""},
		{[]int64{2, 2}, []Piece{box([]int64{0, 1}, []int64{2, 1}), box([]int64{0, 0}, []int64{2, 1})}, ""},
		{[]int64{0, 2}, nil, ""},
		{nil, []Piece{box(nil, nil)}, ""},
		{nil, nil, "1 of its elements"},
		{[]int64{4, 2}, []Piece{box([]int64{0, 0}, []int64{2, 2})}, "4 of its elements"},
		{[]int64{4}, []Piece{box([]int64{0}, []int64{3}), box([]int64{2}, []int64{1})}, "overlap"},
		{[]int64{4}, []Piece{box([]int64{0}, []int64{3}), box([]int64{1}, []int64{3})}, "overlap"},
		{[]int64{4}, []Piece{box([]int64{1}, []int64{4})}, "beyond dimension 0"},
		{[]int64{4}, []Piece{box([]int64{-1}, []int64{4})}, "beyond dimension 0"},
		{[]int64{4}, []Piece{box([]int64{0}, []int64{-4})}, "beyond dimension 0"},
		{[]int64{4}, []Piece{box(nil, nil)}, "number of dimensions"},
		{[]int64{1 << 40, 1 << 40}, nil, "63 bits"},
		{[]int64{1 << 62}, nil, "63 bits"},
	} {
		err := (&Layout{x.shape, 4, x.pieces}).Check()
		if x.want == "" && err != nil || x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)) {
			t.Errorf("%v %v: %v, want %q", x.shape, x.pieces, err, x.want)
		}
	}
}

func TestExtent(t *testing.T) {
	for _, x := range []struct {
		shape, strides []int64
		n              int64
		ok             bool
	}{
		{nil, nil, 1, true},
		{[]int64{2, 3}, []int64{3, 1}, 6, true},
		{[]int64{2, 3}, []int64{10, 0}, 11, true},
		{[]int64{2, 0}, []int64{1 << 62, 1}, 0, true},
		{[]int64{2}, []int64{-1}, 0, false},
		{[]int64{3}, []int64{1 << 62}, 0, false},
		{[]int64{1}, []int64{1 << 62}, 1, true},
		{[]int64{-1}, []int64{1}, 0, false},
	} {
		if n, ok := Extent(x.shape, x.strides); n != x.n || ok != x.ok {
			t.Errorf("%v by %v: %d, %v", x.shape, x.strides, n, ok)
		}
	}
	if !InRow([]int64{1, 3}, []int64{99, 1}) || InRow([]int64{3, 2}, []int64{1, 3}) || !InRow(nil, nil) {
		t.Error("in a row")
	}
}
