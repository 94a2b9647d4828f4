package methods

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"weld/format"
)

// byElement are the methods that say so. One that has masks, thresholds or sums over a tensor is none of them.
var byElement = []string{"linear", "nearswap", "passthrough", "task_arithmetic"}

// What is made element by element comes out in whatever order the inputs' elements are shown, bit by bit, and in rows of any length.
func TestElementwise(t *testing.T) {
	r := rand.New(rand.NewPCG(51, 52))
	for _, m := range All() {
		if m.Elementwise != slices.Contains(byElement, m.Name) {
			t.Errorf("%s is made element by element: %v", m.Name, m.Elementwise)
		}
	}
	for _, f := range everyForm(byExample) {
		if !f.Elementwise {
			continue
		}
		t.Run(f.label, func(t *testing.T) {
			for _, models := range f.counts(3) {
				for _, dtype := range []format.DType{format.F32, format.BF16, format.F64} {
					x := drawOne(r, f.Name, dtype, []int64{300, 97}, models, false)
					in, m := f.merge(x)
					want := in.Drive(t, m, 1)[0]
					order := r.Perm(len(x.base))
					y := x
					y.shape, y.base, y.models = []int64{97, 100, 3}, shuffled(x.base, order), nil
					for _, values := range x.models {
						y.models = append(y.models, shuffled(values, order))
					}
					in, m = f.merge(y)
					got := in.Drive(t, m, 2)[0]
					size := len(got) / len(order)
					for i, from := range order {
						if !bytes.Equal(got[i*size:][:size], want[from*size:][:size]) {
							t.Fatalf("%d models of %v: element %d has another value in the place %d", models, dtype, from, i)
						}
					}
				}
			}
		})
	}
}

// shuffled has the elements of x in another order.
func shuffled(x []float64, order []int) []float64 {
	y := make([]float64, len(x))
	for i, from := range order {
		y[i] = x[from]
	}
	return y
}
