package methods

import (
	"math"
)

// The reference: the methods as mergekit states them, over whole vectors in float64, without
// the Gram matrix.

func innerProduct(a, b []float64) (sum float64) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

func euclid(a []float64) float64 { return math.Sqrt(innerProduct(a, a)) }

func sumOf(c []float64, v ...[]float64) []float64 {
	out := make([]float64, len(v[0]))
	for k := range v {
		for i := range out {
			out[i] += c[k] * v[k][i]
		}
	}
	return out
}

func times(c float64, v []float64) []float64 { return sumOf([]float64{c}, v) }

func onArc(t, cos float64, a, b []float64) []float64 {
	angle := math.Acos(cos)
	return sumOf([]float64{math.Sin((1-t)*angle) / math.Sin(angle), math.Sin(t*angle) / math.Sin(angle)}, a, b)
}

// pointwise is what a method makes of vectors.
type pointwise func(v [][]float64) []float64

func slerpReference(t float64) pointwise {
	return func(v [][]float64) []float64 {
		unit := func(x []float64) []float64 {
			n := euclid(x)
			if n <= 1e-8 {
				n = 1
			}
			return times(1/n, x)
		}
		cos := max(-1, min(1, innerProduct(unit(v[0]), unit(v[1]))))
		if math.Abs(cos) > 0.9995 {
			return sumOf([]float64{1 - t, t}, v...)
		}
		return onArc(t, cos, v[0], v[1])
	}
}

func nuslerpReference(w []float64) pointwise {
	t := 0.5
	if s := w[0] + w[1]; math.Abs(s) >= 1e-6 {
		t = w[1] / s
	}
	return func(v [][]float64) []float64 {
		unit := func(x []float64) []float64 { return times(1/max(euclid(x), 1e-7), x) }
		cos := max(-1, min(1, innerProduct(unit(v[0]), unit(v[1]))))
		if 1-cos*cos <= 1e-12 {
			return sumOf([]float64{1 - t, t}, v...)
		}
		return onArc(t, cos, v[0], v[1])
	}
}

func multislerpReference(w []float64, normalize bool, eps float64) pointwise {
	if normalize {
		var sum float64
		for _, x := range w {
			sum += x
		}
		w = times(1/sum, w)
	}
	return func(v [][]float64) []float64 {
		var units [][]float64
		var norms []float64
		for _, x := range v {
			norms = append(norms, euclid(x))
			units = append(units, times(1/(euclid(x)+eps), x))
		}
		mean := sumOf(w, units...)
		if euclid(mean) < 1e-7 {
			return sumOf(w, v...)
		}
		mean = times(1/euclid(mean), mean)
		var tangents [][]float64
		for _, u := range units {
			tangents = append(tangents, sumOf([]float64{1, -innerProduct(u, mean)}, u, mean))
		}
		tangent := sumOf(w, tangents...)
		n := euclid(tangent) + eps
		return times(innerProduct(w, norms), sumOf([]float64{math.Cos(n), math.Sin(n) / n}, mean, tangent))
	}
}

func karcherReference(steps int, tol float64) pointwise {
	return func(v [][]float64) []float64 {
		var units [][]float64
		var scale float64
		for _, x := range v {
			scale += euclid(x) / float64(len(v))
			if euclid(x) > tol {
				units = append(units, times(1/euclid(x), x))
			}
		}
		if units == nil {
			return make([]float64, len(v[0]))
		}
		alpha := make([]float64, len(units))
		for k := range alpha {
			alpha[k] = 1 / float64(len(units))
		}
		mean := sumOf(alpha, units...)
		if euclid(mean) < tol {
			mean = units[0]
		}
		mean = times(1/euclid(mean), mean)
		for range steps {
			tangent := make([]float64, len(mean))
			for k, u := range units {
				cos := max(-1, min(1, innerProduct(mean, u)))
				if angle := math.Acos(cos); angle >= tol && cos > -1+1e-14 {
					pull := alpha[k] * angle / math.Sin(angle)
					tangent = sumOf([]float64{1, pull, -pull * cos}, tangent, u, mean)
				}
			}
			n := euclid(tangent)
			if n < tol {
				break
			}
			mean = sumOf([]float64{math.Cos(n), math.Sin(n) / n}, mean, tangent)
			mean = times(1/euclid(mean), mean)
		}
		return times(scale, mean)
	}
}

func stockReference(v [][]float64) []float64 {
	n := float64(len(v))
	var cos float64
	for i := range v {
		for j := i + 1; j < len(v); j++ {
			cos += max(-1, min(1, innerProduct(v[i], v[j])/max(euclid(v[i])*euclid(v[j]), 1e-6)))
		}
	}
	cos /= n * (n - 1) / 2
	t := 0.0
	if under := 1 + (n-1)*cos; math.Abs(under) >= 1e-6 {
		t = n * cos / under
	}
	out := make([]float64, len(v[0]))
	for i := range out {
		for k := range v {
			out[i] += t / n * v[k][i]
		}
	}
	return out
}

// along applies a method to the vectors of a tensor: all of it, those along the last
// dimension, or those along the first.
func along(how string, shape []int64, v [][]float64, f pointwise) []float64 {
	n := len(v[0])
	out := make([]float64, n)
	count, length, step, next := 1, n, 1, 0
	if len(shape) >= 2 && how == "last" {
		length = int(shape[len(shape)-1])
		count, next = n/length, length
	}
	if len(shape) >= 2 && how == "first" {
		length = int(shape[0])
		count, step, next = n/length, n/length, 1
	}
	for c := range count {
		var vectors [][]float64
		for k := range v {
			x := make([]float64, length)
			for i := range x {
				x[i] = v[k][c*next+i*step]
			}
			vectors = append(vectors, x)
		}
		for i, x := range f(vectors) {
			out[c*next+i*step] = x
		}
	}
	return out
}
