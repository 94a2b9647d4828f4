package methods

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"weld/stream/fuse"
	"weld/stream/fuse/fusetest"
	"weld/stream/fuse/sparsify"
)

// gtaReference is the formula of generalised task arithmetic in docs/methods.md, with sorts and whole tensors. Only
// magnitudes and votes are of the type that a merge has, because they are compared.
func gtaReference[T fusetest.Real](o trial, in *fusetest.Merge, j int) []float64 {
	job, base := in.Jobs[j], fusetest.Decoded[T](in.Base[j])
	taus := make([][]float64, len(o.models))
	for m := range taus {
		delta := fusetest.Deltas[T](in, m, j)
		size := make([]float32, len(delta))
		for i, d := range delta {
			size[i] = float32(math.Abs(float64(d)))
		}
		keep := gtaMask(o, m, job, size)
		taus[m] = make([]float64, len(delta))
		var before, after float64
		for i, d := range delta {
			before += math.Abs(float64(d))
			if keep[i] {
				taus[m][i] = float64(d)
				after += math.Abs(float64(d))
			}
		}
		if o.shared.Bool("rescale") && o.method != "task_arithmetic" && before >= 1e-7 && after >= 1e-7 {
			for i := range taus[m] {
				taus[m][i] *= float64(float32(before / after))
			}
		}
	}
	out := make([]float64, len(base))
	var weights float64
	for _, p := range o.models {
		weights += p["weight"]
	}
	if math.Abs(weights) < 1e-8 {
		weights = 1
	}
	consensus := o.method == "della" || strings.HasSuffix(o.method, "ties")
	for i := range out {
		var votes T
		for m, p := range o.models {
			votes += T(T(p["weight"]) * T(taus[m][i]))
		}
		var d, z float64
		for m, p := range o.models {
			x := p["weight"] * taus[m][i]
			if !consensus {
				d += x
			} else if x != 0 && (x > 0) == (votes >= 0) {
				d += x
				z = float64(T(z) + T(p["weight"]))
			}
		}
		switch {
		case !o.shared.Bool("normalize"):
		case !consensus:
			d /= weights
		case z != 0:
			d /= z
		}
		out[i] = float64(base[i]) + o.shared["lambda"]*d
	}
	return out
}

// gtaMask is what model m keeps of a tensor, given the magnitudes.
func gtaMask(o trial, m int, job fuse.Job, size []float32) []bool {
	p, n := o.models[m], len(size)
	d, keep := p["density"], make([]bool, n)
	for i := range keep {
		keep[i] = true
	}
	if d >= 1 || o.method == "task_arithmetic" {
		return keep
	}
	if d <= 0 {
		return make([]bool, n)
	}
	random := make([]float64, n) // in [0, 1)
	for i, x := range sparsify.NewNoise(uint64(o.shared["seed"]), m, job.Name).Numbers(make([]int32, n+64), 0, int64(n)) {
		random[i] = float64(x) / (1 << 31)
	}
	// order of the indices in [lo, hi), the smallest first.
	order := func(lo, hi int, later int) []int {
		var at []int
		for i := lo; i < hi; i++ {
			at = append(at, i)
		}
		slices.SortFunc(at, func(a, b int) int {
			if c := cmp.Compare(size[a], size[b]); c != 0 {
				return c
			}
			return later * cmp.Compare(a, b)
		})
		return at
	}
	switch {
	case o.method == "ties":
		for _, i := range order(0, n, -1)[:max(0, n-max(1, int(d*float64(n))))] {
			keep[i] = false
		}
	case strings.HasPrefix(o.method, "breadcrumbs"):
		target, top := int(d*float64(n)), int(p["gamma"]*float64(n))
		bottom := max(0, n-target-top)
		clear(keep)
		for _, i := range order(0, n, -1)[bottom : bottom+target] {
			keep[i] = true
		}
	case strings.HasPrefix(o.method, "dare"):
		mask := sparsify.NewNoise(uint64(o.shared["seed"]), m, job.Name).Mask(make([]uint32, n/32+4), 0, int64(n), d)
		for i := range keep {
			keep[i] = mask[i/32]>>(i%32)&1 == 1
		}
	default:
		length := 1
		if len(job.Shape) > 0 {
			length = int(job.Shape[len(job.Shape)-1])
		}
		part := length
		if parts := (length + 8191) / 8192; parts > 32 { // as ranks.go says
			few := (parts + 31) / 32
			part = (parts + few - 1) / few * ((length + parts - 1) / parts)
		}
		for row := 0; row < n; row += length {
			for lo := row; lo < row+length; lo += part {
				at := order(lo, min(lo+part, row+length), 1)
				for rank, i := range at {
					r := 0.5
					if len(at) > 1 {
						r = float64(rank) / float64(len(at)-1)
					}
					keep[i] = random[i] < d-p["epsilon"]+2*p["epsilon"]*r
				}
			}
		}
	}
	return keep
}
