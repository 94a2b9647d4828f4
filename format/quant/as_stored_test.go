package quant

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"weld/format"
)

// turnedOf are experts of gpt-oss, and their view.
func turnedOf(t *testing.T, r *rand.Rand, experts, out, groups int64) *Decoded {
	blocks, scales := random(r, "e_blocks", format.U8, experts, out, groups, 16), random(r, "e_scales", format.U8, experts, out, groups)
	for i := range scales.data {
		scales.data[i] = scales.data[i]%40 + 100
	}
	scales.data[0] = 255 // NaN
	shown, err := Show(saved(t, random(r, "a.weight", format.BF16, 3, 5), blocks, scales), Declared{})
	if err != nil {
		t.Fatal(err)
	}
	return shown.(*Decoded)
}

// untwist has values [matrices][rows][cols] by columns.
func untwist(values []float32, matrices, rows, cols int64) []float32 {
	by := make([]float32, len(values))
	for i, x := range values {
		matrix, row, col := int64(i)/cols/rows, int64(i)/cols%rows, int64(i)%cols
		by[(matrix*cols+col)*rows+row] = x
	}
	return by
}

// In the order of the codes there are the same values, and what is written of others is the same: of blocks that change, and of those that stay.
func TestAsStored(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	for _, shape := range [][3]int64{{3, 70, 11}, {2, 5000, 2}, {1, 3, 2500}, {2, 1, 1}, {1, 5003, 5}} {
		experts, out, groups := shape[0], shape[1], shape[2]
		v := turnedOf(t, r, experts, out, groups)
		if _, _, ok := v.AsStored(0); ok {
			t.Error("a plain tensor lies in another order")
		}
		view, at, ok := v.AsStored(1)
		if !ok || view.Tensors()[at].Name != "e" || view.Tensors()[at].Elements() != v.Tensors()[1].Elements() {
			t.Fatalf("%v %v", ok, at)
		}
		in := groups * 32
		values := make([]float32, experts*in*out)
		format.Decode(format.F32, values, whole(t, v, 1))
		holdRanges(t, view, at, encoded(untwist(values, experts, in, out)))
		for i := range values {
			if column := int64(i) % out; column%3 == 1 && r.IntN(20) == 0 || column%3 == 2 {
				values[i] = float32(r.NormFloat64())
			}
		}
		values[0], values[len(values)-1] = float32(math.NaN()), 0 // in the block that has no number
		if out > 2 {
			for i := range in {
				values[i*out+2] = 0
			}
		}
		var wrote [2]*memory
		for k, c := range []struct {
			view   *Decoded
			at     int
			values []float32
		}{{v, 1, values}, {view, at, untwist(values, experts, in, out)}} {
			e, ok := c.view.Encoding(c.at)
			if !ok || len(e.Companions) != 1 {
				t.Fatalf("%+v", e)
			}
			wrote[k] = newMemory(e.Codes, e.Companions[0])
			if err := NewWriter(wrote[k], []EncodedTarget{{e, 0, []int{1}}}).WriteAt(0, 0, encoded(c.values)); err != nil {
				t.Fatal(err)
			}
		}
		for k := range wrote[0].tensors {
			if wrote[0].wrote[k] != wrote[1].wrote[k] || !bytes.Equal(wrote[0].tensors[k], wrote[1].tensors[k]) {
				t.Errorf("%v: tensor %d is another in the order of the codes", shape, k)
			}
		}
	}
}

// Whoever is told of an element is told its number among the values as they are shown.
func TestAsStoredWithoutCode(t *testing.T) {
	v := turnedOf(t, rand.New(rand.NewPCG(33, 34)), 2, 3, 2)
	values := make([]float32, 2*64*3)
	values[64*3+40*3+1] = float32(math.Inf(1))
	shape := v.Tensors()[1].Shape
	numbers := make([]float32, len(values))
	for i := range numbers {
		numbers[i] = float32(i)
	}
	for i, want := range untwist(numbers, 2, 64, 3) {
		if got := ShownElement(shape, int64(i)); got != int64(want) {
			t.Fatalf("element %d is %d, want %v", i, got, want)
		}
	}
	view, at, _ := v.AsStored(1)
	e, _ := view.Encoding(at)
	err := NewWriter(newMemory(e.Codes, e.Companions[0]), []EncodedTarget{{e, 0, []int{1}}}).WriteAt(0, 0, encoded(untwist(values, 2, 64, 3)))
	if err == nil || !strings.Contains(err.Error(), "element 313 is +Inf") {
		t.Error(err)
	}
}
