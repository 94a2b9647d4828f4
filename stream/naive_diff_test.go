package stream

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"weld/format"
)

// naiveDiff compares two tensors element by element, in one sum.
func naiveDiff(a, b tensor) TensorDiff {
	d := TensorDiff{Name: a.Name, Elements: a.Elements(), Compared: "values"}
	x, y := a.numbers(), b.numbers()
	if x == nil {
		d.Compared = "elements"
		size := max(1, a.DType.Bits()/8)
		for i := 0; i < len(a.data); i += size {
			if !slices.Equal(a.data[i:i+size], b.data[i:i+size]) {
				d.Different++
			}
		}
		return d
	}
	var sum, squares, aa, bb, ab, most, n float64
	finite := func(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
	for i := range x {
		same := math.Float64bits(x[i]) == math.Float64bits(y[i])
		if w := a.DType.Bits() / 8; w > 0 {
			same = slices.Equal(a.data[i*w:(i+1)*w], b.data[i*w:(i+1)*w]) // float64 rounds large integers
		}
		if !same {
			d.Different++
		}
		if !finite(x[i]) {
			d.NonfiniteA++
		}
		if !finite(y[i]) {
			d.NonfiniteB++
		}
		if !finite(x[i]) || !finite(y[i]) {
			if !same {
				d.Nonfinite++
			}
			continue
		}
		delta := min(math.Abs(y[i]-x[i]), math.MaxFloat64)
		most, n = max(most, delta), n+1
		sum, squares = sum+delta, squares+delta*delta
		aa, bb, ab = aa+x[i]*x[i], bb+y[i]*y[i], ab+x[i]*y[i]
	}
	if n == 0 || most == 0 && d.Nonfinite > 0 {
		return d
	}
	relative, cosine := -1.0, ab/math.Sqrt(aa)/math.Sqrt(bb)
	d.Distance = &Distance{Max: most, Mean: sum / n, Relative: &relative}
	if squares == 0 {
		relative = 0
	} else if aa != 0 {
		relative = math.Sqrt(squares / aa)
	}
	if aa != 0 && bb != 0 {
		d.Cosine = &cosine
	}
	return d
}

// numbers decodes a tensor of floats or of bytes; nil if it has other types.
func (t tensor) numbers() (x []float64) {
	switch {
	case t.DType.Computable():
		return t.values()
	case t.DType == format.U8:
		for _, b := range t.data {
			x = append(x, float64(b))
		}
	case t.DType == format.F4:
		for _, b := range t.data {
			for _, code := range []byte{b & 15, b >> 4} {
				v := []float64{0, 0.5, 1, 1.5, 2, 3, 4, 6}[code&7]
				x = append(x, math.Copysign(v, 0.5-float64(code>>3)))
			}
		}
	case t.DType == format.I64:
		for i := 0; i < len(t.data); i += 8 {
			x = append(x, float64(int64(binary.LittleEndian.Uint64(t.data[i:]))))
		}
	}
	return x
}

// alike reports whether two differences are the same, but for the rounding of sums.
func alike(a, b TensorDiff) bool {
	near := func(x, y float64) bool { return x == y || math.Abs(x-y) <= 1e-12*max(math.Abs(x), 1) }
	both := func(x, y *float64) bool { return (x == nil) == (y == nil) && (x == nil || near(*x, *y)) }
	x, y := a.Distance, b.Distance
	a.Distance, b.Distance = nil, nil
	return a == b && (x == nil) == (y == nil) &&
		(x == nil || x.Max == y.Max && near(x.Mean, y.Mean) && both(x.Relative, y.Relative) && both(x.Cosine, y.Cosine))
}

// show prints a difference with its distance.
func show(d *TensorDiff) string {
	text, _ := json.Marshal(d)
	return string(text)
}

func compare(t *testing.T, a, b checkpoint, o Options) *Diff {
	t.Helper()
	dir := t.TempDir()
	x, y := a.save(t, filepath.Join(dir, "a.safetensors")), b.save(t, filepath.Join(dir, "b.safetensors"))
	d, err := CompareCheckpoints(context.Background(), x, y, o)
	if err != nil {
		t.Fatal(err)
	}
	if d.A != x || d.B != y {
		t.Errorf("compared %s with %s", d.A, d.B)
	}
	if _, err := json.Marshal(d); err != nil {
		t.Error(err)
	}
	return d
}

func (d *Diff) find(name string) *TensorDiff {
	i := slices.IndexFunc(d.Tensors, func(x TensorDiff) bool { return x.Name == name })
	if i < 0 {
		return nil
	}
	return &d.Tensors[i]
}
