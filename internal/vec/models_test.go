package vec

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// varianceInSteps is [Variance], one kernel after the other.
func varianceInSteps[T Float](dst []float32, d [][]T) {
	n := len(dst)
	wide := func(x []T) []float64 {
		y := make([]float64, n)
		for i := range y {
			y[i] = float64(x[i])
		}
		return y
	}
	sum, squares, e := make([]float64, n), make([]float64, n), make([]float64, n)
	for _, x := range d[1:] {
		Delta(e, wide(x), wide(d[0]))
		Add(sum, e)
		Square(e, e)
		Add(squares, e)
	}
	models := float64(len(d))
	Square(sum, sum)
	Scale(squares, squares, models)
	Axpy(squares, -1, sum)
	Scale(squares, squares, 1/(models*models))
	Narrow(dst, squares)
	for i, v := range dst {
		if v-v != 0 {
			dst[i] = math.MaxFloat32
		}
	}
}

// addElectedInSteps is [AddElected], one kernel after the other.
func addElectedInSteps[T Float](dst []T, d [][]T, w []T) {
	n := len(dst)
	all, num, den, weight := make([]T, n), make([]T, n), make([]T, n), make([]T, n)
	for _, x := range d {
		SignSum(all, x[:n])
	}
	for k, x := range d {
		kept := slices.Clone(x[:n])
		KeepSign(kept, x, all)
		Axpy(num, w[k], kept)
		Fill(weight, w[k])
		AddWhereNonZero(den, weight, kept)
	}
	DivBy(num, num, den)
	for i, x := range all {
		if x-x != 0 {
			num[i] = x
		}
	}
	Add(dst, num)
}

// applyElectedInSteps is [ApplyElected], one kernel after the other.
func applyElectedInSteps[T Float](dst []T, lambda T, d [][]T, w []T, mean bool) {
	n := len(dst)
	all, num, den, weight := make([]T, n), make([]T, n), make([]T, n), make([]T, n)
	weighed := make([][]T, len(d))
	for k, x := range d {
		weighed[k] = slices.Clone(x[:n])
		Scale(weighed[k], weighed[k], w[k])
		SignSum(all, weighed[k])
	}
	for i, x := range all {
		if x != x {
			num[i] = x
		}
	}
	for k, x := range weighed {
		KeepSign(x, x, all)
		Add(num, x)
		Fill(weight, w[k])
		AddWhereNonZero(den, weight, x)
	}
	if mean {
		for i, z := range den {
			if z == 0 {
				den[i] = 1
			}
		}
		DivBy(num, num, den)
	}
	Apply(dst, dst, lambda, num)
}

// compareElected demands what the steps make.
func compareElected[T Float](t *testing.T, d [][]T, lambda T, w, dst []T) {
	t.Helper()
	for _, mean := range []bool{true, false} {
		got, want := slices.Clone(dst), slices.Clone(dst)
		at(Portable, func() { applyElectedInSteps(want, lambda, d, w, mean) })
		ApplyElected(got, lambda, d, w, mean)
		for i := range got {
			if !sameBits(got[i], want[i]) && (got[i] == got[i] || want[i] == want[i]) {
				t.Fatalf("ApplyElected of %d models by %x, %x, mean %v: element %d of %d is %x, want %x", len(d), w, lambda, mean, i, len(dst), got[i], want[i])
			}
		}
	}
}

// addActiveInSteps is [AddActive], one kernel after the other.
func addActiveInSteps[T Float](dst []T, d [][]T, w []T, epsilon T) {
	n := len(dst)
	count, sum, own := make([]T, n), make([]T, n), make([]T, n)
	for k, x := range d {
		kept := slices.Clone(x[:n])
		for i, v := range kept {
			if v <= epsilon && v >= -epsilon {
				kept[i] = 0
			}
		}
		CountNonZero(count, kept)
		Add(sum, kept)
		Axpy(own, w[k], kept)
	}
	DivBy(sum, sum, count)
	for i, n := range count {
		if n == 1 {
			sum[i] = own[i]
		}
	}
	Add(dst, sum)
}

// compareActive demands what the steps make, and what counting one by one gives.
func compareActive[T Float](t *testing.T, d [][]T, w, dst []T, epsilon T) {
	t.Helper()
	n, want := len(dst), slices.Clone(dst)
	at(Portable, func() { addActiveInSteps(want, d, w, epsilon) })
	AddActive(dst, d, w, epsilon)
	for i := range dst {
		if !sameBits(dst[i], want[i]) && (dst[i] == dst[i] || want[i] == want[i]) {
			t.Fatalf("AddActive of %d models over %x: element %d of %d is %x, want %x", len(d), epsilon, i, n, dst[i], want[i])
		}
	}
	shared, unique := make([]int64, len(d)+1), make([]int64, len(d)+1)
	wantShared, wantUnique := make([]int64, len(d)+1), make([]int64, len(d)+1)
	for i := range n {
		var of []int
		for k := range d {
			if v := float64(d[k][i]); !(math.Abs(v) <= float64(epsilon)) {
				of = append(of, k)
			}
		}
		for _, k := range of {
			if len(of) > 1 {
				wantShared[k]++
			} else {
				wantUnique[k]++
			}
		}
	}
	for range 2 { // what is there is added to
		CountActive(shared, unique, n, d, epsilon)
	}
	for k := range shared {
		if shared[k] != 2*wantShared[k] || unique[k] != 2*wantUnique[k] {
			t.Fatalf("CountActive of %d models of %d over %x: twice %d and %d of model %d, want %d and %d",
				len(d), n, epsilon, shared[k]/2, unique[k]/2, k, wantShared[k], wantUnique[k])
		}
	}
}

// compareModels demands of all kernels what the steps make.
func compareModels[T Float](t *testing.T, d [][]T, w, dst []T) {
	t.Helper()
	n := len(dst)
	for _, epsilon := range []T{0, 0.5, 1e-5} {
		compareActive(t, d, w, slices.Clone(dst), epsilon)
	}
	if n > 0 && d[0][n/2] == d[0][n/2] { // one that is met
		compareActive(t, d, w, slices.Clone(dst), abs(d[0][n/2]))
	}
	compareElected(t, d, 1, w, dst)
	compareElected(t, d, 0.3, w, dst)
	if len(d) > 1 { // weights that add up to 0, a negative one and none
		against := slices.Clone(w)
		against[0], against[len(w)-1] = -w[len(d)-1], w[len(d)-1]
		compareElected(t, d, -0.7, against, dst)
		against[0] = 0
		compareElected(t, d, 1, against, dst)
	}
	spread, wantSpread, want := oddTile[float32](n), make([]float32, n), slices.Clone(dst)
	at(Portable, func() {
		varianceInSteps(wantSpread, d)
		addElectedInSteps(want, d, w)
	})
	Variance(spread, d)
	AddElected(dst, d, w)
	for i := range dst {
		if !sameBits(spread[i], wantSpread[i]) {
			t.Fatalf("Variance of %d models: element %d of %d is %x, want %x", len(d), i, n, spread[i], wantSpread[i])
		}
		if !sameBits(dst[i], want[i]) && (dst[i] == dst[i] || want[i] == want[i]) {
			t.Fatalf("AddElected of %d models: element %d of %d is %x, want %x", len(d), i, n, dst[i], want[i])
		}
	}
}

// oddTile is a tile of n elements at an odd offset.
func oddTile[T Float](n int) []T { return make([]T, n+3)[3:] }

// Every length, of one to five models, from odd offsets; nothing beside dst is touched.
func TestModelsLengths(t *testing.T) {
	const most = 200
	r := rand.New(rand.NewPCG(51, 52))
	levelsFrom(Portable, t, func(t *testing.T) {
		for n := range most + 1 {
			for models := 1; models <= 5; models++ {
				var d, before [][]float32
				w := make([]float32, models)
				for k := range models {
					x := mixture[float32](n+16, r.Uint64())[r.IntN(8):][:n]
					if k > 0 {
						for i := 0; i < n; i += 3 { // alike, or opposite
							x[i] = d[0][i] * float32(i%2*2-1)
						}
					}
					d, before = append(d, x), append(before, slices.Clone(x))
					w[k] = r.Float32()
				}
				around := mixture[float32](n+32, r.Uint64())
				offset := r.IntN(16)
				kept := slices.Clone(around)
				compareModels(t, d, w, around[offset:][:n:n])
				copy(kept[offset:], around[offset:][:n])
				if !EqualBits(kept, around) {
					t.Fatalf("%d models of %d: wrote around", models, n)
				}
				for k := range d {
					if !EqualBits(d[k], before[k]) {
						t.Fatalf("%d models of %d: wrote to model %d", models, n, k)
					}
				}
			}
		}
	})
}

// Every pair of special values as two models, and with a third that is an ordinary number.
func TestModelsSpecials(t *testing.T) {
	var x, y, z []float32
	for _, a := range specials() {
		for _, b := range specials() {
			for _, c := range []float32{0.5, -3} {
				x, y, z = append(x, a), append(y, b), append(z, c)
			}
		}
	}
	levelsFrom(Portable, t, func(t *testing.T) {
		for _, v := range []float32{0, math.SmallestNonzeroFloat32, 0.25, 1} {
			for _, d := range [][][]float32{{x}, {x, y}, {x, y, z}, {z, x, y}} {
				dst := slices.Clone(z)
				compareModels(t, d, []float32{0.75, v, 0.5}, dst)
			}
		}
	})
}

func TestModelsOfFloat64(t *testing.T) {
	const n = 300
	d := [][]float64{mixture[float64](n, 53), mixture[float64](n, 54), mixture[float64](n, 55)}
	for i := 0; i < n; i += 2 {
		d[1][i] = -d[0][i]
		d[2][i] = d[0][i]
	}
	compareModels(t, d, []float64{0.2, 0.3, 0.5}, mixture[float64](n, 56))
}

// The variance is that of the definition, also of numbers that lie close together far from 0.
func TestVarianceIsTheVariance(t *testing.T) {
	r := rand.New(rand.NewPCG(57, 58))
	for range 2000 {
		models := 1 + r.IntN(6)
		center, d := math.Ldexp(1, r.IntN(20)), make([][]float32, models)
		var mean, want float64
		for k := range d {
			d[k] = []float32{float32(center + r.NormFloat64())}
			mean += float64(d[k][0]) / float64(models)
		}
		for k := range d {
			want += (float64(d[k][0]) - mean) * (float64(d[k][0]) - mean) / float64(models)
		}
		got := make([]float32, 1)
		if Variance(got, d); math.Abs(float64(got[0])-want) > 1e-6*want {
			t.Fatalf("of %v: %v, want %v", d, got[0], want)
		}
	}
}

// Operands that begin or end at a page that must not be touched.
func TestModelsGuarded(t *testing.T) {
	const size = 1 << 14
	tile := func() []float32 { return floats[float32](guarded(4 * size)) }
	dst, x, y := tile(), tile(), tile()
	copy(x, mixture[float32](size, 59))
	copy(y, mixture[float32](size, 60))
	w := tile()[size-2:]
	levelsFrom(Portable, t, func(t *testing.T) {
		for n := range 201 {
			compareModels(t, [][]float32{x[:n], y[:n]}, w, dst[:n])
			compareModels(t, [][]float32{x[size-n:], y[size-n:]}, w, dst[size-n:])
			end := [][]float32{x[size-n:], y[size-n:]}
			Variance(dst[size-n:], end)
			compareActive(t, end, w, dst[size-n:], 0.5)
			ApplyElected(dst[size-n:], 0.5, end, w, true)
		}
	})
}

func TestModelsShortOperands(t *testing.T) {
	fits, short, w := make([]float32, 40), make([]float32, 39, 39), []float32{1, 1}
	for name, call := range map[string]func(){
		"Variance, first":           func() { Variance(fits, [][]float32{short, fits}) },
		"Variance, last":            func() { Variance(fits, [][]float32{fits, short}) },
		"AddElected, first":         func() { AddElected(fits, [][]float32{short, fits}, w) },
		"AddElected, last":          func() { AddElected(fits, [][]float32{fits, short}, w) },
		"ApplyElected, first":       func() { ApplyElected(fits, 1, [][]float32{short, fits}, w, true) },
		"ApplyElected, last":        func() { ApplyElected(fits, 1, [][]float32{fits, short}, w, true) },
		"ApplyElected, the weights": func() { ApplyElected(fits, 1, [][]float32{fits, fits}, w[:1:1], true) },
		"AddActive, first":          func() { AddActive(fits, [][]float32{short, fits}, w, 0) },
		"AddActive, last":           func() { AddActive(fits, [][]float32{fits, short}, w, 0) },
		"AddActive, the weights":    func() { AddActive(fits, [][]float32{fits, fits}, w[:1:1], 0) },
		"CountActive, last":         func() { CountActive(make([]int64, 2), make([]int64, 2), 40, [][]float32{fits, short}, 0) },
		"CountActive, the counts":   func() { CountActive(make([]int64, 2), make([]int64, 1), 40, [][]float32{fits, fits}, 0) },
		"AddElected, the weights":   func() { AddElected(fits, [][]float32{fits, fits}, w[:1:1]) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s took it", name)
				}
			}()
			call()
		}()
	}
}
