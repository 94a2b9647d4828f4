package stream

import (
	"slices"
	"testing"

	"weld/format"
)

// A task vector is scaled back to the norm Σ|δ| that it had, but not where that norm, or what the mask leaves of it,
// is below 1e-7 (as in mergekit, whose sparsify.py has the same bound). By hand: a base of zeros, and
// δ = (4, 2, −1, 1)·unit with half of it kept, so that Σ|δ| = 8 units and 6 are left.
func TestRescaleLeavesNextToNothingAlone(t *testing.T) {
	const u24 = 1.0 / (1 << 24) // 6.0e-8
	type values [4]float64
	for _, c := range []struct {
		what        string
		unit, scale float64
	}{
		{"both norms are below: 6.0e-8 and 4.5e-8", u24 / 8, 1},
		{"what is left is below: 1.2e-7 and 8.9e-8", u24 / 4, 1},
		{"neither is below: 2.4e-7 and 1.8e-7", u24 / 2, 8.0 / 6},
		{"neither is anywhere near", 0.25, 8.0 / 6},
	} {
		for _, dtype := range []format.DType{format.F32, format.F64} {
			f := family{
				base:       checkpoint{floats("w", dtype, make([]float64, 4), 4)},
				models:     []checkpoint{{floats("w", dtype, []float64{4 * c.unit, 2 * c.unit, -c.unit, c.unit}, 4)}},
				importance: []checkpoint{nil},
			}
			p := f.save(t)
			for _, q := range []request{
				ask("ties", "density=0.5", "rescale=true"),
				ask("breadcrumbs", "density=0.5", "gamma=0", "rescale=true"),
				ask("sta", "score=magnitude", "density=0.5", "rescale=l1"),
			} {
				out := p.out(q.method + ".safetensors")
				p.must(t, q, out, Options{Force: true})
				got, _ := load(t, read(t, out))
				scale := float64(float32(c.scale)) // a factor is a float32
				want := values{4 * c.unit * scale, 2 * c.unit * scale, 0, 0}
				if dtype == format.F32 {
					for i := range want {
						want[i] = float64(float32(want[i]))
					}
				}
				if x := got.find("w").values(); !slices.Equal(x, want[:]) {
					t.Errorf("%s of %v, %s: %v, want %v", q.method, dtype, c.what, x, want)
				}
			}
		}
	}
}
