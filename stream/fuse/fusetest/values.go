package fusetest

import (
	"fmt"
	"math"
	"math/rand/v2"

	"weld/format"
	"weld/stream/fuse"
)

// Real is what a tensor is merged in.
type Real interface{ float32 | float64 }

// Decoded are an operand's values, rounded.
func Decoded[T Real](o fuse.Operand) []T {
	x := Unpack(o)
	y := make([]T, len(x))
	for i := range x {
		y[i] = T(x[i])
	}
	return y
}

// Deltas are the task vector of model m in tensor j.
func Deltas[T Real](in *Merge, m, j int) []T {
	base, theta := Decoded[T](in.Base[j]), Decoded[T](in.Models[m][j])
	d := make([]T, len(base))
	for i := range d {
		d[i] = theta[i] - base[i]
	}
	return d
}

// Encoded rounds values to a type.
func Encoded[T Real](dtype format.DType, x []T) []byte {
	data := make([]byte, len(x)*dtype.Bits()/8)
	format.Encode(dtype, data, x)
	return data
}

// Fixture makes models of awkward shapes: rows longer than a tile, rows that do not
// fill one, a vector, tied scores, a tensor equal to the base, an empty one.
func Fixture(seed uint64, dtype format.DType, models int) *Merge {
	r := rand.New(rand.NewPCG(seed, 3))
	in := &Merge{Models: make([]Weights, models), Importance: make([]Weights, models)}
	for i, shape := range [][]int64{{97, 211}, {3, 9001}, {501}, {40, 2, 7}, {}, {20, 30}, {0, 4}} {
		t := format.Tensor{Name: fmt.Sprintf("t%d", i), DType: dtype, Shape: shape}
		job := fuse.Job{Name: t.Name, Shape: shape, DType: dtype, Wide: dtype == format.F64, Tiling: fuse.NewTiling(t.Elements(), t.RowLen())}
		n := int(t.Elements())
		base := make([]float64, n)
		for k := range base {
			base[k] = r.NormFloat64()
		}
		in.Base = append(in.Base, Pack(dtype, base))
		for m := range models {
			theta, g := make([]float64, n), make([]float64, n)
			for k := range theta {
				theta[k] = base[k]
				if i != 5 && r.IntN(4) > 0 {
					theta[k] += 0.05 * r.NormFloat64()
				}
				g[k] = math.Exp(2*r.NormFloat64()) * 1e-4
				if i == 3 {
					g[k] = float64(r.IntN(3)) // ties
				}
			}
			in.Models[m] = append(in.Models[m], Pack(dtype, theta))
			importance := Pack(format.F32, g)
			if i == 2 && m == 1 {
				importance = fuse.Operand{} // missing
			}
			in.Importance[m] = append(in.Importance[m], importance)
			job.Models = append(job.Models, fuse.Contribution{Importance: importance.Data != nil})
		}
		in.Jobs = append(in.Jobs, job)
	}
	return in
}
