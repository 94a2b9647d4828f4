package selective

import (
	"math"
	"slices"

	"weld/scoring"
	"weld/stream/fuse/fusetest"
)

// This file is Selective Task Arithmetic (arXiv 2411.16139, docs/methods.md) over whole
// tensors, with sorts and without kernels, passes or tiles. real is float32, or
// float64 where a source is.

// reference merges everything and returns the values before they are encoded.
func reference[T fusetest.Real](o Options, in *fusetest.Merge) [][]T {
	models := len(o.Models)
	scores := make([][][]float32, models) // normalised, for each model and tensor
	for m := range models {
		scores[m] = make([][]float32, len(in.Jobs))
		for j := range in.Jobs {
			scores[m][j] = tensorScores[T](o, in, m, j)
		}
	}
	ranks := scores
	if o.Contrast {
		ranks = contrasted(scores)
	}
	masks := make([][][]bool, models)
	for m := range models {
		masks[m] = mask(o, in, m, ranks[m])
	}
	out := make([][]T, len(in.Jobs))
	for j := range in.Jobs {
		out[j] = fuseTensor[T](o, in, j, scores, masks)
	}
	return out
}

func (o Options) lacks(in *fusetest.Merge, m, j int) bool {
	return o.Score.NeedsImportance() && in.Importance[m][j].Data == nil
}

func tensorScores[T fusetest.Real](o Options, in *fusetest.Merge, m, j int) []float32 {
	theta, delta := fusetest.Decoded[T](in.Models[m][j]), fusetest.Deltas[T](in, m, j)
	s := make([]float32, len(theta))
	if o.lacks(in, m, j) {
		for i := range s {
			if o.KeepMissing {
				s[i] = 1
			}
		}
		return s
	}
	var importance []float64
	if o.Score.NeedsImportance() {
		importance = fusetest.Unpack(in.Importance[m][j])
	}
	for i := range s {
		var a float32
		if importance != nil {
			a = float32(math.Abs(importance[i]))
			if st := o.Models[m].Statistic; st == scoring.MeanSqGrad || st == scoring.AdamSecondMoment {
				a = float32(math.Sqrt(float64(float32(importance[i]))))
			}
		}
		x, d := float32(math.Abs(float64(theta[i]))), float32(math.Abs(float64(delta[i])))
		switch o.Score {
		case scoring.Weight:
			s[i] = x * a
		case scoring.Delta:
			s[i] = d * a
		case scoring.Fisher:
			p := d * a
			s[i] = p * p
		case scoring.Importance:
			s[i] = a
		case scoring.Magnitude:
			s[i] = d
		}
	}
	shift, divisor := divisor(o.Normalization, s)
	s = coarse(o.Granularity, in.Jobs[j].Tiling.RowLen(), s)
	for i := range s {
		if divisor == 0 {
			s[i] = 0
			continue
		}
		s[i] = (s[i] - shift) / divisor
	}
	return s
}

func divisor(n scoring.Normalization, s []float32) (shift, d float32) {
	if len(s) == 0 {
		return 0, 1
	}
	var sum, squares float64
	for _, x := range s {
		sum += float64(x)
		squares += float64(x) * float64(x)
	}
	switch n {
	case scoring.Raw:
		return 0, 1
	case scoring.ByMean:
		d = float32(sum / float64(len(s)))
	case scoring.ByMax:
		d = slices.Max(s)
	case scoring.ByRange:
		shift = slices.Min(s)
		d = slices.Max(s) - shift
	case scoring.ByL2:
		d = float32(math.Sqrt(squares))
	}
	return shift, d
}

func coarse(g scoring.Granularity, row int64, s []float32) []float32 {
	if g == scoring.ByElement {
		return s
	}
	if g == scoring.ByTensor {
		row = int64(len(s))
	}
	out := make([]float32, len(s))
	for lo := 0; lo < len(s); lo += int(row) {
		var sum float64
		for _, x := range s[lo : lo+int(row)] {
			sum += float64(x)
		}
		for i := lo; i < lo+int(row); i++ {
			out[i] = float32(sum / float64(row))
		}
	}
	return out
}

func contrasted(scores [][][]float32) [][][]float32 {
	out := make([][][]float32, len(scores))
	for m := range scores {
		out[m] = make([][]float32, len(scores[m]))
		for j := range scores[m] {
			out[m][j] = make([]float32, len(scores[m][j]))
			for i := range out[m][j] {
				var others float32
				for u := range scores {
					if u != m {
						others += scores[u][j][i]
					}
				}
				out[m][j][i] = scores[m][j][i] / (others/float32(len(scores)-1) + 0.1)
			}
		}
	}
	return out
}

func mask(o Options, in *fusetest.Merge, m int, s [][]float32) [][]bool {
	out := make([][]bool, len(s))
	var all []float32
	for j := range s {
		if !o.lacks(in, m, j) {
			all = append(all, s[j]...)
		}
	}
	for j := range s {
		ranked := all
		if o.Scope == scoring.PerTensor {
			ranked = s[j]
		}
		keep := keeper(o.Models[m], ranked)
		out[j] = make([]bool, len(s[j]))
		for i, x := range s[j] {
			if out[j][i] = keep(x); o.lacks(in, m, j) {
				out[j][i] = o.KeepMissing
			}
		}
	}
	return out
}

func keeper(o TaskVector, ranked []float32) func(s float32) bool {
	k := int(math.Ceil(o.Density * float64(len(ranked))))
	switch {
	case o.Fixed:
		return func(s float32) bool { return s >= o.Threshold && s > 0 }
	case o.Density >= 1:
		return func(float32) bool { return true }
	case k == 0:
		return func(float32) bool { return false }
	}
	sorted := slices.Sorted(slices.Values(ranked))
	cut := sorted[len(sorted)-k]
	return func(s float32) bool { return s >= cut && s > 0 }
}

func fuseTensor[T fusetest.Real](o Options, in *fusetest.Merge, j int, scores [][][]float32, masks [][][]bool) []T {
	base := fusetest.Decoded[T](in.Base[j])
	taus := make([][]T, len(o.Models))
	for m := range taus {
		taus[m] = fusetest.Deltas[T](in, m, j)
		var before, after float64
		for i, d := range taus[m] {
			before += math.Abs(float64(d))
			if !masks[m][j][i] {
				taus[m][i] = 0
			}
			after += math.Abs(float64(taus[m][i]))
		}
		if r := T(float32(ratioOf(o, in, m, j, masks, before, after))); r != 1 {
			for i := range taus[m] {
				taus[m][i] *= r
			}
		}
	}
	out := make([]T, len(base))
	for i := range out {
		var votes T
		for m := range taus {
			votes += T(T(o.Models[m].Weight) * taus[m][i])
		}
		var num, den T
		for m := range taus {
			w, x, s := T(o.Models[m].Weight), taus[m][i], T(scores[m][j][i])
			vote := T(w * x)
			if o.Consensus && (vote == 0 || (vote > 0) != (votes >= 0)) {
				x = 0
			}
			switch {
			case o.Combine == ByImportance && x != 0:
				num += T(T(s*w) * x)
				den += s
			case o.Combine == ByImportance:
			default:
				num += T(w * x)
				if x != 0 {
					den++
				}
			}
		}
		d := num
		if o.Combine != Sum {
			if d = 0; den != 0 {
				d = num / den
			}
		}
		out[i] = base[i] + T(T(o.Lambda)*d)
	}
	return out
}

func ratioOf(o Options, in *fusetest.Merge, m, j int, masks [][][]bool, before, after float64) float64 {
	switch {
	case o.lacks(in, m, j) || o.Rescale == NoRescale:
	case o.Rescale == ByL1 && before >= 1e-7 && after >= 1e-7:
		return before / after
	case o.Rescale == ByDensity && o.Models[m].Fixed:
		kept, n := 0, 0
		for j := range masks[m] {
			if !o.lacks(in, m, j) {
				n += len(masks[m][j])
				for _, k := range masks[m][j] {
					if k {
						kept++
					}
				}
			}
		}
		if kept > 0 {
			return float64(n) / float64(kept)
		}
	case o.Rescale == ByDensity && o.Models[m].Density > 0:
		return 1 / o.Models[m].Density
	}
	return 1
}
