package stream

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weld/format"
	"weld/mmapio"
)

// naiveDiff compares two tensors element by element, in one sum.
func naiveDiff(a, b tensor) TensorDiff {
	d := TensorDiff{Name: a.Name, Elements: a.Elements()}
	if !a.DType.Computable() {
		d.Elements = a.Bytes()
		for i := range a.data {
			if a.data[i] != b.data[i] {
				d.Different++
			}
		}
		d.Cosine = 1
		return d
	}
	var sum, squares, aa, bb, ab float64
	x, y := a.values(), b.values()
	for i := range x {
		if math.Float64bits(x[i]) == math.Float64bits(y[i]) {
			if !math.IsNaN(x[i]) && !math.IsInf(x[i], 0) {
				aa, bb, ab = aa+x[i]*x[i], bb+y[i]*y[i], ab+x[i]*y[i]
			}
			continue
		}
		d.Different++
		delta := math.Abs(y[i] - x[i])
		if math.IsNaN(delta) || math.IsInf(delta, 0) {
			d.Nonfinite++
			continue
		}
		d.Max = max(d.Max, delta)
		sum, squares = sum+delta, squares+delta*delta
		aa, bb, ab = aa+x[i]*x[i], bb+y[i]*y[i], ab+x[i]*y[i]
	}
	if len(x) > 0 {
		d.Mean = sum / float64(len(x))
	}
	switch {
	case squares == 0:
	case aa == 0:
		d.Relative = -1
	default:
		d.Relative = math.Sqrt(squares / aa)
	}
	switch {
	case aa == 0 && bb == 0:
		d.Cosine = 1
	case aa != 0 && bb != 0:
		d.Cosine = ab / math.Sqrt(aa) / math.Sqrt(bb)
	}
	return d
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

func TestCompareWithItself(t *testing.T) {
	c := newFamily(1, mixed()...).base
	*c.find("scalar") = floats("scalar", format.F32, []float64{math.NaN()})
	d := compare(t, c, c, Options{})
	if !d.Same() || d.Equal != len(c) || len(d.Tensors) != 0 {
		t.Errorf("%+v", d)
	}
}

func TestCompareAgainstANaiveOne(t *testing.T) {
	f := newFamily(1, mixed()...)
	a, b := f.base, f.models[0]
	b.find("ids").data = slices.Clone(b.find("ids").data)
	for _, i := range []int{0, 77, 2399} {
		b.find("ids").data[i] ^= 1
	}
	near := func(x, y float64) bool { return math.Abs(x-y) <= 1e-12*max(math.Abs(x), 1) }
	var first *Diff
	for _, threads := range []int{1, 2, 8} {
		d := compare(t, a, b, Options{Threads: threads})
		different := 0
		for _, x := range a {
			want := naiveDiff(x, *b.find(x.Name))
			got := d.find(x.Name)
			if want.Different == 0 {
				if got != nil {
					t.Errorf("%s does not differ: %+v", x.Name, got)
				}
				continue
			}
			different++
			if got == nil || got.Note != "" || got.Elements != want.Elements || got.Different != want.Different || got.Nonfinite != want.Nonfinite ||
				got.Max != want.Max || !near(got.Mean, want.Mean) || !near(got.Relative, want.Relative) || !near(got.Cosine, want.Cosine) {
				t.Errorf("%s: got %+v\nwant %+v", x.Name, got, want)
			}
		}
		if d.Equal != len(a)-different || d.Same() {
			t.Errorf("%d equal, %d differ of %d", d.Equal, different, len(a))
		}
		if !slices.IsSortedFunc(d.Tensors, func(a, b TensorDiff) int {
			return int(math.Copysign(1, b.severity()-a.severity()))
		}) {
			t.Error("not sorted by how much they differ")
		}
		if first != nil && !slices.Equal(first.Tensors, d.Tensors) {
			t.Errorf("%d threads change the figures", threads)
		}
		first = d
	}
}

func TestCompareOddValues(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	zero := math.Copysign(0, -1)
	pairs := map[string][2][]float64{
		"same nan":     {{nan, 1}, {nan, 1}},
		"same inf":     {{-inf, 1}, {-inf, 1}},
		"nan":          {{nan, 1}, {1, 1}},
		"to nan":       {{2, 1}, {nan, 1}},
		"inf":          {{1, 1}, {inf, 1}},
		"other inf":    {{-inf, 3}, {inf, 4}},
		"signs":        {{0, 1}, {zero, 1}},
		"from nothing": {{0, 0}, {0, 3}},
		"to nothing":   {{4, 3}, {0, 0}},
		"opposite":     {{1, 2}, {-1, -2}},
		"huge":         {{1e200, 1}, {-1e200, 1}},
		"hugest":       {{1e308, 1}, {-1e308, 1}},
	}
	var a, b checkpoint
	for name, p := range pairs {
		a, b = append(a, floats(name, format.F64, p[0], 2)), append(b, floats(name, format.F64, p[1], 2))
	}
	d := compare(t, a, b, Options{})
	if d.Equal != 2 || d.find("same nan") != nil || d.find("same inf") != nil {
		t.Errorf("%d equal", d.Equal)
	}
	for name, want := range map[string]TensorDiff{
		"nan":          {Different: 1, Nonfinite: 1, Cosine: 1},
		"to nan":       {Different: 1, Nonfinite: 1, Cosine: 1},
		"inf":          {Different: 1, Nonfinite: 1, Cosine: 1},
		"other inf":    {Different: 2, Nonfinite: 1, Max: 1, Mean: 0.5, Relative: 1. / 3, Cosine: 1},
		"signs":        {Different: 1, Cosine: 1},
		"from nothing": {Different: 1, Max: 3, Mean: 1.5, Relative: -1},
		"to nothing":   {Different: 2, Max: 4, Mean: 3.5, Relative: 1},
		"opposite":     {Different: 2, Max: 4, Mean: 3, Relative: 2, Cosine: -1},
		"huge":         {Different: 1, Max: 2e200, Mean: 1e200, Relative: math.MaxFloat64}, // its norms overflow
		"hugest":       {Different: 1, Nonfinite: 1, Cosine: 1},
	} {
		want.Name, want.Elements = name, 2
		got := d.find(name)
		if got == nil {
			t.Errorf("%s is not there", name)
			continue
		}
		got.Cosine = math.Round(got.Cosine*1e12) / 1e12
		if *got != want {
			t.Errorf("%s: got %+v\nwant %+v", name, *got, want)
		}
	}
	if worst := d.Tensors[0]; worst.Nonfinite == 0 && worst.Name != "huge" {
		t.Errorf("%s is worst", worst.Name)
	}
	if last := d.Tensors[len(d.Tensors)-1]; last.Name != "signs" {
		t.Errorf("%s is best", last.Name)
	}
}

// What cannot be compared, or differs in type alone, says so.
func TestCompareTypes(t *testing.T) {
	x := []float64{1, 2, 0.5, -3}
	a := checkpoint{
		floats("cast", format.F32, x, 4), floats("rounded", format.F32, []float64{1 + 1e-6}, 1), floats("shape", format.F32, x, 4),
		floats("kind", format.F32, x, 4), raw("bits", format.I16, make([]byte, 8), 4), floats("only a", format.F32, nil, 0),
		floats("empty", format.F32, nil, 0), floats("empties", format.F32, nil, 0), floats("same", format.F32, x, 4),
	}
	b := checkpoint{
		floats("cast", format.BF16, x, 4), floats("rounded", format.BF16, []float64{1}, 1), floats("shape", format.F32, x, 2, 2),
		raw("kind", format.I32, make([]byte, 16), 4), raw("bits", format.U16, make([]byte, 8), 4), floats("only b", format.F32, x, 4),
		floats("empty", format.F16, nil, 0), floats("empties", format.F32, nil, 0), floats("same", format.F32, x, 4),
	}
	d := compare(t, a, b, Options{})
	for name, note := range map[string]string{
		"cast": "F32 against BF16", "rounded": "F32 against BF16", "shape": "F32 [4] against F32 [2 2]", "kind": "F32 [4] against I32 [4]",
		"bits": "I16 [4] against U16 [4]", "empty": "F32 against F16",
	} {
		if got := d.find(name); got == nil || got.Note != note {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := d.find("cast"); got.Different != 0 || got.Cosine != 1 {
		t.Errorf("%+v", got)
	}
	if got := d.find("rounded"); got.Different != 1 || got.Max == 0 {
		t.Errorf("%+v", got)
	}
	if !slices.Equal(d.OnlyA, []string{"only a"}) || !slices.Equal(d.OnlyB, []string{"only b"}) || d.Equal != 2 || d.Same() {
		t.Errorf("%+v", d)
	}
	var order []string
	for _, x := range d.Tensors {
		if x.Name != "empty" {
			order = append(order, x.Name)
		}
	}
	if want := []string{"bits", "kind", "shape", "rounded", "cast"}; !slices.Equal(order, want) {
		t.Errorf("order %q, want %q", order, want)
	}
}

func TestCompareFails(t *testing.T) {
	p := newFamily(1, small()...).save(t)
	_, err := CompareCheckpoints(context.Background(), p.out("none"), p.out("neither"), Options{})
	var bad *InputError
	if !errors.As(err, &bad) || len(bad.Problems) != 2 || format.KindOf(err) != format.KindMissing {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	check := noLeak(t)
	if _, err := CompareCheckpoints(ctx, p.base, p.models[0], Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	check()
	_, err = CompareCheckpoints(context.Background(), p.base, p.models[0], Options{Memory: 1 << 20})
	if err == nil || !strings.Contains(err.Error(), "too small") {
		t.Errorf("got %v", err)
	}
}

// A file that changes under a comparison makes it void.
func TestCompareChanged(t *testing.T) {
	p := newFamily(1, small()...).save(t)
	progress := new(Progress)
	ctx := &onErr{Context: context.Background(), do: func() { changes["touched"](t, p.models[0]) }}
	_, err := CompareCheckpoints(ctx, p.base, p.models[0], Options{Progress: progress})
	var changed *mmapio.ChangedError
	if !errors.As(err, &changed) {
		t.Errorf("got %v", err)
	}
	if step, done := progress.Now(); step.Name != "compare" || done != step.Bytes || done == 0 {
		t.Errorf("%+v, %d", step, done)
	}
}

// onErr does something when the engine asks whether the context is done.
type onErr struct {
	context.Context
	do func()
}

func (c *onErr) Err() error {
	if c.do != nil {
		c.do()
		c.do = nil
	}
	return nil
}
