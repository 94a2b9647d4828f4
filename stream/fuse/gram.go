package fuse

import (
	"math"

	"weld/internal/vec"
)

// gram is the inner products of some vectors, ⟨vᵢ, vⱼ⟩.
type gram struct {
	n    int
	dots []float64 // n×n, symmetric
}

func newGram(n int) gram { return gram{n, make([]float64, n*n)} }

// fillGram computes the products of one segment of each vector.
func fillGram[T vec.Float](g gram, v [][]T, p segment) {
	part := func(k int) []T { return v[k][p.lo:p.hi] }
	for i := 0; i < len(v); i += 2 { // by twos, which one sweep serves
		if i+1 == len(v) {
			g.set(i, i, vec.SumSquares(part(i)))
			return
		}
		aa, ab, bb := vec.Gram(part(i), part(i+1))
		g.set(i, i, aa)
		g.set(i, i+1, ab)
		g.set(i+1, i+1, bb)
		for j := i + 2; j < len(v); j++ {
			g.set(i, j, vec.Dot(part(i), part(j)))
			g.set(i+1, j, vec.Dot(part(i+1), part(j)))
		}
	}
}

func (g gram) set(i, j int, dot float64) { g.dots[i*g.n+j], g.dots[j*g.n+i] = dot, dot }

func (g gram) add(h gram) {
	for i, d := range h.dots {
		g.dots[i] += d
	}
}

// dot is ⟨vᵢ, vⱼ⟩.
func (g gram) dot(i, j int) float64 { return g.dots[i*g.n+j] }

// norm is ‖vᵢ‖.
func (g gram) norm(i int) float64 { return math.Sqrt(g.dot(i, i)) }

// onto is ⟨Σ cₖvₖ, vᵢ⟩.
func (g gram) onto(c []float64, i int) (sum float64) {
	for k, x := range c {
		sum += float64(x * g.dot(k, i))
	}
	return sum
}

// length is ‖Σ cₖvₖ‖.
func (g gram) length(c []float64) float64 {
	var sum float64
	for i, x := range c {
		sum += float64(x * g.onto(c, i))
	}
	return math.Sqrt(max(sum, 0))
}
