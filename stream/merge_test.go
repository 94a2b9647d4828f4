package stream

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"weld/format"
)

// Two models of five weights, worked out by hand. Scores are |θ|·a over the tensor's
// mean, four of ten elements are kept.
func TestSTAByHand(t *testing.T) {
	one := func(d format.DType, x, y []float64) checkpoint {
		return checkpoint{floats("x", d, x, 3), floats("y", d, y, 2)}
	}
	f := family{
		base: one(format.F32, []float64{1, 1, 1}, []float64{0, 2}),
		models: []checkpoint{
			one(format.F32, []float64{2, 4, 1}, []float64{1, 3}),
			one(format.F32, []float64{-1, 1, 2}, []float64{4, 2}),
		},
		importance: []checkpoint{
			one(format.F32, []float64{1, 1, 6}, []float64{1, -1}), // 2 4 6, mean 4; 1 3, mean 2: 0.5 1 1.5; 0.5 1.5
			one(format.F32, []float64{2, 1, 0}, []float64{0, 4}),  // 2 1 0, mean 1; 0 8, mean 4: 2 1 0; 0 2
		},
	}
	p := f.save(t)
	// The 40% of 5 are 2. Model 0 keeps 1.5 and 1.5: δ = 0 and 1. Model 1 keeps 2 and 2:
	// δ = −2 and 0. Weights 1 and 0.5, λ 2.
	out := p.out("x.safetensors")
	report := p.must(t, ask("sta", "preset=paper", "statistic=mean_grad", "density=0.4", "lambda=2", "weights=1,0.5"), out, Options{})
	got, _ := load(t, read(t, out))
	if x := got.find("x").values(); !slices.Equal(x, []float64{-1, 1, 1}) {
		t.Errorf("x = %v", x)
	}
	if y := got.find("y").values(); !slices.Equal(y, []float64{0, 4}) {
		t.Errorf("y = %v", y)
	}
	if m := report.Models[0]; m.Kept != 2 || m.Elements != 5 || m.Density != 0.4 || *m.Threshold != 1.5 || m.Path != p.models[0] {
		t.Errorf("%+v", m)
	}
	if m := report.Models[1]; m.Kept != 2 || *m.Threshold != 2 {
		t.Errorf("%+v", m)
	}
	if report.Passes != 4 || report.Fused != 2 || report.Copied != 0 {
		t.Errorf("%+v", report)
	}
}

// naiveSTA is section 3 of the design at its defaults, with a sort. The values of
// these tests are small multiples of 1/8, so that no sum is rounded.
func naiveSTA(f family, density float64, weights []float32, lambda float32) map[string][]float32 {
	sums := make(map[string][]float32)
	for m := range f.models {
		scores := make(map[string][]float32)
		var all []float32
		for _, x := range f.base {
			theta, a := f.models[m].find(x.Name).values(), f.importance[m].find(x.Name).values()
			s := make([]float32, len(theta))
			var sum float64
			for i := range s {
				s[i] = float32(math.Abs(theta[i])) * float32(math.Abs(a[i]))
				sum += float64(s[i])
			}
			mean := float32(sum / float64(len(s)))
			for i := range s {
				s[i] /= mean
			}
			scores[x.Name] = s
			all = append(all, s...)
		}
		slices.Sort(all)
		k := int(math.Ceil(density * float64(len(all))))
		cut := all[len(all)-k]
		for _, x := range f.base {
			base, theta := x.values(), f.models[m].find(x.Name).values()
			if sums[x.Name] == nil {
				sums[x.Name] = make([]float32, len(base))
			}
			for i, s := range scores[x.Name] {
				if s >= cut && s > 0 {
					sums[x.Name][i] += float32(weights[m] * (float32(theta[i]) - float32(base[i])))
				}
			}
		}
	}
	for _, x := range f.base {
		for i, b := range x.values() {
			sums[x.Name][i] = float32(b) + float32(lambda*sums[x.Name][i])
		}
	}
	return sums
}

func TestSTAAgainstANaiveOne(t *testing.T) {
	var f family
	f.models, f.importance = make([]checkpoint, 3), make([]checkpoint, 3)
	r := random(1, "values")
	eighths := func(n, limit int) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = float64(r.IntN(2*limit+1)-limit) / 8
		}
		return x
	}
	shapes := map[string][]int64{"a": {100, 190}, "b": {2, 9000}, "c": {}, "d": {77}}
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		shape := shapes[name]
		n, _ := format.Elements(shape)
		f.base = append(f.base, floats(name, format.F32, eighths(int(n), 32), shape...))
		for m := range f.models {
			f.models[m] = append(f.models[m], floats(name, format.F32, eighths(int(n), 32), shape...))
			f.importance[m] = append(f.importance[m], floats(name, format.F32, eighths(int(n), 100), shape...))
		}
	}
	p := f.save(t)
	for _, dtype := range []format.DType{format.F32, format.BF16} {
		want := naiveSTA(f, 0.3, []float32{1, -0.7, 0.3}, 0.9)
		out := p.out("x.safetensors")
		p.must(t, ask("sta", "preset=paper", "statistic=mean_grad", "density=0.3", "weights=1,-0.7,0.3", "lambda=0.9", "dtype="+dtype.Torch()), out, Options{Force: true, Threads: 3})
		got, _ := load(t, read(t, out))
		for name, x := range want {
			data := make([]byte, len(x)*dtype.Bits()/8)
			format.Encode(dtype, data, x)
			if y := got.find(name); y.DType != dtype || !bytes.Equal(y.data, data) {
				t.Errorf("%s in %v differs", name, dtype)
			}
		}
	}
}

// Scoring alone finds what the merge keeps.
func TestScoreAgreesWithMerge(t *testing.T) {
	p := newFamily(2, mixed()...).save(t)
	for name, q := range requests {
		if q.method != "sta" {
			continue
		}
		merged := p.must(t, q, p.out("x.safetensors"), Options{Force: true})
		plan := p.plan(t, q, "", Options{})
		before := len(tree(t, p.dir))
		scored, err := plan.Score(context.Background())
		plan.Close()
		if err != nil {
			t.Fatal(err)
		}
		// The passes may differ, and so may the order: of the output's bytes, of the base's.
		if !reflect.DeepEqual(scored.Models, merged.Models) {
			t.Errorf("%s: scored %+v\nmerged %+v", name, scored.Models, merged.Models)
		}
		shares := make(map[string]TensorShare)
		for _, x := range merged.Tensors {
			shares[x.Name] = x
		}
		for _, x := range scored.Tensors {
			if !reflect.DeepEqual(x, shares[x.Name]) {
				t.Errorf("%s: scored %+v\nmerged %+v", name, x, shares[x.Name])
			}
		}
		if after := len(tree(t, p.dir)); after != before || scored.Written != 0 || scored.Out != "" {
			t.Errorf("%s: scoring wrote", name)
		}
	}
}

// Reports are printed as JSON, which has no infinities.
func TestReportsAreJSON(t *testing.T) {
	f := newFamily(2, small()...)
	for _, density := range []string{"0", "0.2", "1"} {
		p := f.save(t)
		for _, scope := range []string{"model", "tensor"} {
			report := p.must(t, ask("sta", "density="+density, "scope="+scope), p.out("x"), Options{Force: true})
			if _, err := json.Marshal(report); err != nil {
				t.Errorf("density %s, scope %s: %v", density, scope, err)
			}
			want := map[string]float64{"0": 0, "0.2": 0.2, "1": 1}[density]
			if got := report.Models[0].Density; math.Abs(got-want) > 1e-3 {
				t.Errorf("density %s: %v", density, got)
			}
		}
	}
}

// The threshold of a model is not that of a tensor that was not ranked.
func TestThresholdWhereImportanceIsMissing(t *testing.T) {
	whole := newFamily(1, small()...)
	for _, name := range []string{"a", "b", "c"} {
		for _, choice := range []string{"drop", "keep"} {
			f := newFamily(1, small()...)
			f.importance[0] = whole.importance[0].without(name)
			p := f.save(t)
			report := p.must(t, ask("sta", "missing_importance="+choice), p.out("x"), Options{})
			ranked := slices.IndexFunc(report.Tensors, func(x TensorShare) bool { return x.Name != name })
			if got, want := *report.Models[0].Threshold, report.Tensors[ranked].Models[0].Threshold; got != want || got == 0 {
				t.Errorf("%s without %s: threshold %v, want %v", choice, name, got, want)
			}
		}
	}
}

// A recipe with a value that is not finite stops with the tensor, the element and the
// file, or goes on as it is told.
func TestNonfinite(t *testing.T) {
	f := newFamily(2, describe("x", format.F32, 3, 9000))
	theta := f.models[1].find("x").values()
	theta[12345] = math.Inf(1)
	*f.models[1].find("x") = floats("x", format.F32, theta, 3, 9000)
	p := f.save(t)
	q := ask("sta", "preset=paper", "density=1")
	_, err := p.merge(t, context.Background(), q, p.out("x.safetensors"), Options{})
	if err == nil || !strings.HasPrefix(err.Error(), p.models[1]+`: tensor "x", element 12345: `) {
		t.Error(err)
	}
	nothingAt(t, p.out("x.safetensors"))
	for policy, want := range map[string]float64{"propagate": math.Inf(1), "base": f.base[0].values()[12345]} {
		q.settings = []string{"preset=paper", "density=1", "nonfinite=" + policy}
		report := p.must(t, q, p.out("x.safetensors"), Options{Force: true})
		got, _ := load(t, read(t, p.out("x.safetensors")))
		if x := got.find("x").values()[12345]; x != want || report.Nonfinite != 1 {
			t.Errorf("%s: %v, %d", policy, x, report.Nonfinite)
		}
	}
}
