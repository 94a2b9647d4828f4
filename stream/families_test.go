package stream

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"

	"weld/format"
)

// random is the generator of one tensor of one checkpoint.
func random(seed uint64, name string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// family is a base, models that differ from it in most elements, and their
// importance.
type family struct {
	base               checkpoint
	models, importance []checkpoint
}

// newFamily fills tensors of the given types and shapes.
func newFamily(models int, tensors ...format.Tensor) family {
	f := family{models: make([]checkpoint, models), importance: make([]checkpoint, models)}
	for _, x := range tensors {
		if !x.DType.Computable() {
			data := make([]byte, x.Bytes())
			r := random(1, x.Name)
			for i := range data {
				data[i] = byte(r.Uint32()) & 1
			}
			f.base = append(f.base, tensor{x, data})
			for m := range f.models {
				f.models[m] = append(f.models[m], tensor{x, data})
			}
			continue
		}
		n := x.Elements()
		base := make([]float64, n)
		r := random(2, x.Name)
		for i := range base {
			base[i] = 2*r.Float64() - 1
		}
		f.base = append(f.base, floats(x.Name, x.DType, base, x.Shape...))
		for m := range f.models {
			theta, importance := make([]float64, n), make([]float64, n)
			r := random(3+uint64(m), x.Name)
			for i := range theta {
				theta[i] = base[i]
				if i%4 > 0 {
					theta[i] += (2*r.Float64() - 1) / 4
				}
				x := r.Float64()
				importance[i] = x * x * x
			}
			f.models[m] = append(f.models[m], floats(x.Name, x.DType, theta, x.Shape...))
			f.importance[m] = append(f.importance[m], floats(x.Name, format.F32, importance, x.Shape...))
		}
	}
	return f
}

func describe(name string, d format.DType, shape ...int64) format.Tensor {
	return format.Tensor{Name: name, DType: d, Shape: append([]int64{}, shape...)}
}

// mixed is tensors of every kind that the engine treats in its own way: of many
// tiles, of rows longer than a tile, small, empty, of rank 0, and copied.
func mixed() []format.Tensor {
	list := []format.Tensor{
		describe("embed", format.BF16, 60, 700),
		describe("wide", format.F32, 2, 20000),
		describe("double", format.F64, 9000),
		describe("half", format.F16, 257, 33),
		describe("e4m3", format.F8E4M3, 64, 64),
		describe("e5m2", format.F8E5M2, 100),
		describe("scalar", format.F32),
		describe("empty", format.F32, 0, 5),
		describe("ids", format.I64, 300),
		describe("steps", format.I32, 30000),
		describe("mask", format.Bool, 1000),
		describe("packed", format.F4, 40, 50),
		describe("nothing", format.I64, 0),
		describe("count", format.U8),
	}
	for i := range 40 {
		list = append(list, describe(fmt.Sprintf("norm.%d", i), format.BF16, 17))
	}
	return list
}

// framed is n tensors that take a frame of a compressed output each.
func framed(n int) (list []format.Tensor) {
	for i := range n {
		list = append(list, describe(fmt.Sprintf("w.%d", i), format.BF16, 800, 720))
	}
	return list
}

// long is a family of one model with as many frames as any test wants, made once.
var long = sync.OnceValue(func() family {
	return newFamily(1, append(framed(12), describe("steps", format.I32, 600_000), describe("more", format.I32, 100_000))...)
})

// first is the family's first n tensors, and those that are copied.
func (f family) first(n int) family {
	some := func(c checkpoint) (kept checkpoint) {
		for i, t := range c {
			if i < n || !t.DType.Computable() {
				kept = append(kept, t)
			}
		}
		return kept
	}
	f.base = some(f.base)
	f.models, f.importance = slices.Clone(f.models), slices.Clone(f.importance)
	for m := range f.models {
		f.models[m], f.importance[m] = some(f.models[m]), some(f.importance[m])
	}
	return f
}

// small is a few tensors for tests that run many merges.
func small() []format.Tensor {
	return []format.Tensor{
		describe("a", format.F32, 90, 100), describe("b", format.BF16, 20, 30),
		describe("ids", format.I64, 50), describe("c", format.F32, 9000),
	}
}
