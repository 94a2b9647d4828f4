package sphere

import (
	"math"

	"weld/internal/vec"
	"weld/stream/fuse"
)

// Gram is the inner products of some vectors, ⟨vᵢ, vⱼ⟩.
type Gram struct {
	N    int
	dots []float64 // n×n, symmetric
}

func newGram(n int) Gram { return Gram{n, make([]float64, n*n)} }

// fillGram computes the products of one segment of each vector.
func fillGram[T vec.Float](g Gram, v [][]T, p fuse.LineSegment) {
	part := func(k int) []T { return v[k][p.Lo:p.Hi] }
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

func (g Gram) set(i, j int, dot float64) { g.dots[i*g.N+j], g.dots[j*g.N+i] = dot, dot }

func (g Gram) add(h Gram) {
	for i, d := range h.dots {
		g.dots[i] += d
	}
}

// Dot is ⟨vᵢ, vⱼ⟩.
func (g Gram) Dot(i, j int) float64 { return g.dots[i*g.N+j] }

// Norm is ‖vᵢ‖.
func (g Gram) Norm(i int) float64 { return math.Sqrt(g.Dot(i, i)) }

// Onto is ⟨Σ cₖvₖ, vᵢ⟩.
func (g Gram) Onto(c []float64, i int) (sum float64) {
	for k, x := range c {
		sum += float64(x * g.Dot(k, i))
	}
	return sum
}

// Length is ‖Σ cₖvₖ‖.
func (g Gram) Length(c []float64) float64 {
	var sum float64
	for i, x := range c {
		sum += float64(x * g.Onto(c, i))
	}
	return math.Sqrt(max(sum, 0))
}
