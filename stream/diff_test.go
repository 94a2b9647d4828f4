package stream

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"weld/format"
	"weld/mmapio"
	"weld/stream/plan"
	"weld/stream/run"
)

func TestCompareWithItself(t *testing.T) {
	c := newFamily(1, mixed()...).base
	*c.find("scalar") = floats("scalar", format.F32, []float64{math.NaN()})
	d := compare(t, c, c, Options{})
	if !d.Same() || d.Equal != len(c) || len(d.Tensors) != 0 {
		t.Errorf("%+v", d)
	}
}

// What both have to say is said once; what is wrong with each is said of both.
func TestCompareSaysAllOnce(t *testing.T) {
	dir := t.TempDir()
	c := newFamily(1, small()...).base
	part := c.save(t, filepath.Join(dir, "model-00001-of-00002.safetensors"))
	d, err := CompareCheckpoints(context.Background(), part, part, Options{})
	if err != nil || len(d.Notes) != 1 || !strings.Contains(d.Notes[0], "shard 1 of 2") {
		t.Errorf("%v, %+v", err, d)
	}
	var damaged []string
	for _, name := range []string{"x", "y"} {
		c.save(t, filepath.Join(dir, name, "model.safetensors"))
		write(t, filepath.Join(dir, name, "config.json", "is-a-directory"), nil)
		damaged = append(damaged, filepath.Join(dir, name))
	}
	_, err = CompareCheckpoints(context.Background(), damaged[0], damaged[1], Options{})
	var all *plan.InputError
	if !errors.As(err, &all) || len(all.Problems) != 2 || !strings.Contains(err.Error(), damaged[0]) || !strings.Contains(err.Error(), damaged[1]) {
		t.Errorf("%v", err)
	}
}

func TestCompareAgainstANaiveOne(t *testing.T) {
	f := newFamily(1, mixed()...)
	a, b := f.base, f.models[0]
	b.find("ids").data = slices.Clone(b.find("ids").data)
	for _, i := range []int{0, 77, 2399} {
		b.find("ids").data[i] ^= 1
	}
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
			if got == nil || !alike(*got, want) {
				t.Errorf("got %s\nwant %s", show(got), show(&want))
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
		if first != nil && !reflect.DeepEqual(first.Tensors, d.Tensors) {
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
		"only nan":     {{nan, 1}, {1, -inf}},
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
	far := func(most, mean float64, rest ...float64) *Distance {
		d := &Distance{Max: most, Mean: mean}
		if len(rest) > 0 {
			d.Relative = &rest[0]
		}
		if len(rest) > 1 {
			d.Cosine = &rest[1]
		}
		return d
	}
	for name, want := range map[string]TensorDiff{
		"nan":          {Different: 1, Nonfinite: 1, NonfiniteA: 1},
		"to nan":       {Different: 1, Nonfinite: 1, NonfiniteB: 1},
		"inf":          {Different: 1, Nonfinite: 1, NonfiniteB: 1},
		"other inf":    {Different: 2, Nonfinite: 1, NonfiniteA: 1, NonfiniteB: 1, Distance: far(1, 1, 1./3, 1)},
		"only nan":     {Different: 2, Nonfinite: 2, NonfiniteA: 1, NonfiniteB: 1},
		"signs":        {Different: 1, Distance: far(0, 0, 0, 1)},
		"from nothing": {Different: 1, Distance: far(3, 1.5, -1)},
		"to nothing":   {Different: 2, Distance: far(4, 3.5, 1)},
		"opposite":     {Different: 2, Distance: far(4, 3, 2, -1)},
		"huge":         {Different: 1, Distance: far(2e200, 1e200)}, // its norms overflow
		"hugest":       {Different: 1, Distance: far(math.MaxFloat64, math.MaxFloat64/2)},
	} {
		want.Name, want.Elements, want.Compared = name, 2, "values"
		if got := d.find(name); got == nil || !alike(*got, want) {
			t.Errorf("got %s\nwant %s", show(got), show(&want))
		}
	}
	if want := []string{"same nan", "same inf"}; !slices.Equal(slices.Sorted(slices.Values(d.EqualNonfinite)), slices.Sorted(slices.Values(want))) {
		t.Errorf("%q are equal and not finite", d.EqualNonfinite)
	}
	if d.Tensors[0].Name != "only nan" { // has the most of what is worst
		t.Errorf("%s is worst", d.Tensors[0].Name)
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
	if got := d.find("cast"); got.Different != 0 || *got.Cosine != 1 || *got.Relative != 0 {
		t.Errorf("%+v", got)
	}
	for _, name := range []string{"shape", "kind", "bits"} {
		if got := d.find(name); got.Compared != "nothing" || got.Distance != nil || got.Elements != 0 {
			t.Errorf("%+v", got)
		}
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

// Every type is compared by what its elements are, and the share of those that differ is one of elements.
func TestCompareEveryType(t *testing.T) {
	le := binary.LittleEndian
	words := func(v ...uint64) (p []byte) {
		for _, x := range v {
			p = le.AppendUint64(p, x)
		}
		return p
	}
	singles := func(v ...float32) (p []byte) {
		for _, x := range v {
			p = le.AppendUint32(p, math.Float32bits(x))
		}
		return p
	}
	nan := float32(math.NaN())
	// The values of 8-bit codes are those of torch 2.15: torch.tensor([…], dtype=torch.uint8).view(type).double().
	for _, c := range []struct {
		dtype                            format.DType
		a, b                             []byte
		compared                         string
		elements, different, na, nb, non int64
		most, mean                       float64 // −1 for no distance
	}{
		{format.I8, []byte{0x80, 1, 5, 7}, []byte{0x7f, 1, 4, 7}, "values", 4, 2, 0, 0, 0, 255, 64},
		{format.U8, []byte{0x80, 1, 5, 7}, []byte{0x7f, 1, 4, 7}, "values", 4, 2, 0, 0, 0, 1, 0.5},
		{format.I16, []byte{0xff, 0xff, 1, 0}, []byte{1, 0, 1, 0}, "values", 2, 1, 0, 0, 0, 2, 1},
		{format.U16, []byte{0xff, 0xff, 1, 0}, []byte{1, 0, 1, 0}, "values", 2, 1, 0, 0, 0, 65534, 32767},
		{format.I32, []byte{0xff, 0xff, 0xff, 0xff}, []byte{1, 0, 0, 0}, "values", 1, 1, 0, 0, 0, 2, 2},
		{format.U32, []byte{0xff, 0xff, 0xff, 0xff}, []byte{1, 0, 0, 0}, "values", 1, 1, 0, 0, 0, 1<<32 - 2, 1<<32 - 2},
		{format.I64, words(0, 7, math.MaxUint64), words(0, 7000, 1), "values", 3, 2, 0, 0, 0, 6993, 6995. / 3},
		{format.I64, words(1<<53 + 1), words(1 << 53), "values", 1, 1, 0, 0, 0, 1, 1}, // equal as float64
		{format.I64, words(1 << 63), words(1<<63 - 1), "values", 1, 1, 0, 0, 0, math.MaxUint64, math.MaxUint64},
		{format.U64, words(1 << 63), words(1<<63 - 1), "values", 1, 1, 0, 0, 0, 1, 1},
		{format.F8E8M0, []byte{127, 0, 130}, []byte{128, 0, 255}, "values", 3, 2, 0, 1, 1, 1, 0.5},
		{format.F8E4M3FNUZ, []byte{0x01, 0x7f, 0x40, 0x80}, []byte{0x00, 0xff, 0x48, 0x80}, "values", 4, 3, 1, 1, 0, 480, (480 + 1 + 1./1024) / 3},
		{format.F8E5M2FNUZ, []byte{0x01, 0x7f, 0x40}, []byte{0x00, 0xff, 0x44}, "values", 3, 3, 0, 0, 0, 114688, (114688 + 1 + 1./131072) / 3},
		{format.F4, []byte{0x71, 0x0f}, []byte{0x7f, 0x0f}, "values", 4, 1, 0, 0, 0, 6.5, 6.5 / 4},
		{format.F4, []byte{0x8f}, []byte{0x0f}, "values", 2, 1, 0, 0, 0, 0, 0}, // zeros of other sign
		{format.C64, singles(0, 0, 1, 1, nan, 1), singles(3, 4, 1, 1, 1, 1), "values", 3, 2, 1, 0, 1, 5, 2.5},
		{format.Bool, []byte{0, 1, 1}, []byte{1, 1, 0}, "elements", 3, 2, 0, 0, 0, -1, -1},
		{format.F6E2M3, []byte{1, 2, 3}, []byte{1, 2, 4}, "bytes", 3, 1, 0, 0, 0, -1, -1},
		{format.F6E3M2, []byte{1, 2, 3}, []byte{1, 2, 4}, "bytes", 3, 1, 0, 0, 0, -1, -1},
		{format.F32, singles(nan, 1), []byte{0, 0, 0xc0, 0xff, 0, 0, 0x80, 0x3f}, "values", 2, 1, 1, 1, 1, -1, -1}, // NaN of other bits
	} {
		n := int64(len(c.a) * 8 / c.dtype.Bits())
		d := compare(t, checkpoint{raw("w", c.dtype, c.a, n)}, checkpoint{raw("w", c.dtype, c.b, n)}, Options{})
		got := d.find("w")
		if got == nil || got.Compared != c.compared || got.Elements != c.elements || got.Different != c.different || got.NonfiniteA != c.na || got.NonfiniteB != c.nb || got.Nonfinite != c.non {
			t.Errorf("%v: %s", c.dtype, show(got))
			continue
		}
		if c.most < 0 {
			if got.Distance != nil {
				t.Errorf("%v: %s", c.dtype, show(got))
			}
		} else if got.Distance == nil || got.Max != c.most || math.Abs(got.Mean-c.mean) > 1e-12*c.mean {
			t.Errorf("%v: %s", c.dtype, show(got))
		}
	}
}

// More than a tile of the types whose elements are not bytes.
func TestCompareLongSmallTypes(t *testing.T) {
	for _, dtype := range []format.DType{format.F4, format.F6E2M3, format.C64, format.I64, format.I16, format.Bool} {
		a := make([]byte, 3*20000*8)
		b := slices.Clone(a)
		b[len(b)-1] = 0x10
		n := int64(len(a) * 8 / dtype.Bits())
		got := compare(t, checkpoint{raw("w", dtype, a, n)}, checkpoint{raw("w", dtype, b, n)}, Options{Threads: 2}).find("w")
		if got == nil || got.Different != 1 || got.Elements != n && got.Compared != "bytes" {
			t.Errorf("%v: %s", dtype, show(got))
		}
	}
}

func TestCompareFails(t *testing.T) {
	p := newFamily(1, small()...).save(t)
	_, err := CompareCheckpoints(context.Background(), p.out("none"), p.out("neither"), Options{})
	var bad *plan.InputError
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
	progress := new(run.Progress)
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
