package vec

import "math"

// The kernels here look at one element of several models at a time: d has a slice for each.

// Variance computes the variance of an element over the models, (N·Σe² − (Σe)²)/N² with e its
// difference from the first model's, in float64, and rounds it to float32. As in [Delta], e is 0
// where both have the same bits. What is not finite comes out as the largest finite number.
func Variance[T Float](dst []float32, d [][]T) {
	models := float64(len(d))
	share := 1 / (models * models)
	for i := varianceSIMD(dst, d, models, share); i < len(dst); i++ {
		first := float64(d[0][i])
		var sum, squares float64
		for _, x := range d[1:] {
			e := float64(x[i]) - first
			if e != e && sameBits(float64(x[i]), first) {
				e = 0
			}
			sum += e
			squares += float64(e * e)
		}
		v := float32((float64(squares*models) - float64(sum*sum)) * share)
		if v-v != 0 {
			v = math.MaxFloat32
		}
		dst[i] = v
	}
}

// AddElected computes dst += Σwd/Σw, both sums over the models whose d has the elected sign: +
// if Σd ≥ 0 and − otherwise, of all models. It adds 0 where Σw is 0, and Σd where that is not
// finite. Every product and sum is rounded, in the order of the models.
func AddElected[T Float](dst []T, d [][]T, w []T) {
	w = w[:len(d)]
	for i := addElectedSIMD(dst, d, w); i < len(dst); i++ {
		var all, num, den T
		for _, x := range d {
			all += x[i]
		}
		plus := bit(all >= 0)
		for k, x := range d {
			agrees := plus&bit(x[i] > 0) | (plus^1)&bit(x[i] < 0)
			num += T(w[k] * keep(agrees, x[i]))
			den += keep(agrees, w[k])
		}
		mean := keep(bit(den != 0), num/den)
		dst[i] += choose(bit(all-all == 0), mean, all)
	}
}

// ApplyElected computes dst += λ·D (TIES-Merging, arXiv 2306.01708, section 3): D is Σwd over the models whose wd has the
// elected sign, + if Σwd ≥ 0 and − otherwise, of all models; divided by Σw over the same models if it is
// a mean, unless that is 0. A NaN, which has no sign, is not outvoted: D is NaN where Σwd is. Every product and sum is
// rounded, in the order of the models.
func ApplyElected[T Float](dst []T, lambda T, d [][]T, w []T, mean bool) {
	w = w[:len(d)]
	for i := applyElectedSIMD(dst, lambda, d, w, mean); i < len(dst); i++ {
		var all, den T
		for k, x := range d {
			all += T(w[k] * x[i])
		}
		plus, num := bit(all >= 0), keep(bit(all != all), all)
		for k, x := range d {
			v := T(w[k] * x[i])
			agrees := plus&bit(v > 0) | (plus^1)&bit(v < 0)
			num += keep(agrees, v)
			den += keep(agrees, w[k])
		}
		if mean {
			num /= choose(bit(den == 0), 1, den)
		}
		dst[i] += T(lambda * num)
	}
}

// active is 1 unless |x| ≤ epsilon, of a NaN too. Callers see to it that epsilon is at least 0.
func active[T Float](x, epsilon T) uint64 { return bit(!(abs(x) <= epsilon)) }

// AddActive computes dst += the mean of d over the models that are active, |d| > epsilon; 0 if none is, and
// w·d of the one if only one is. Every product and sum is rounded, in the order of the models.
func AddActive[T Float](dst []T, d [][]T, w []T, epsilon T) {
	w = w[:len(d)]
	for i := addActiveSIMD(dst, d, w, epsilon); i < len(dst); i++ {
		var n, sum, own T
		for k, x := range d {
			a := active(x[i], epsilon)
			v := keep(a, x[i])
			n += T(a)
			sum += v
			own += T(w[k] * v)
		}
		mean := keep(bit(n != 0), sum/n)
		dst[i] += choose(bit(n == 1), own, mean)
	}
}

// CountActive counts each model's active elements, |d| > epsilon, of the first n: those where another model
// is active, too, and those that it has for itself.
func CountActive[T Float](shared, unique []int64, n int, d [][]T, epsilon T) {
	shared, unique = shared[:len(d)], unique[:len(d)]
	for i := countActiveSIMD(shared, unique, n, d, epsilon); i < n; i++ {
		var all uint64
		for _, x := range d {
			all += active(x[i], epsilon)
		}
		for k, x := range d {
			a := active(x[i], epsilon)
			both := a & bit(all > 1)
			shared[k] += int64(both)
			unique[k] += int64(a - both)
		}
	}
}
