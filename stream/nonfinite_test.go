package stream

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weld/format"
	"weld/stream/fuse"
	"weld/stream/recipe"
)

// oddPlace says which values of element oddIndex of tensor "w" are not finite.
type oddPlace struct {
	name       string
	base       bool
	models     []int
	importance int // of this model, or -1
}

const oddIndex = 5

var oddPlaces = []oddPlace{
	{"base", true, nil, -1},
	{"first model", false, []int{0}, -1},
	{"second model", false, []int{1}, -1},
	{"models", false, []int{0, 1}, -1},
	{"base and a model", true, []int{1}, -1},
	{"all", true, []int{0, 1}, -1},
	{"first importance", false, nil, 0},
	{"second importance", false, nil, 1},
}

// savedFamily puts a value there.
func (o oddPlace) place(value float64) family {
	f := newFamily(2, describe("w", format.F32, 3, 4), describe("v", format.F32, 9))
	for i := range f.base { // every element differs, so that every method has something to do
		for m := range f.models {
			x := f.models[m][i].values()
			for k := range x {
				x[k] += 0.125 * float64(1+m+k%3)
			}
			f.models[m][i] = floats(f.base[i].Name, format.F32, x, f.base[i].Shape...)
		}
	}
	spoil := func(c checkpoint) {
		x := c[0].values()
		x[oddIndex] = value
		c[0] = floats("w", format.F32, x, 3, 4)
	}
	if o.base {
		spoil(f.base)
	}
	for _, m := range o.models {
		spoil(f.models[m])
	}
	if o.importance >= 0 {
		spoil(f.importance[o.importance])
	}
	return f
}

// agreed reports whether all that are merged have the value: the base, if it is one of them, and the models.
func (o oddPlace) agreed(m *recipe.MethodSchema, based bool, policy string) bool {
	merged := m.BaseIs != recipe.BaseDonor || policy == "base"
	if based && merged && !o.base || len(o.models) == 0 {
		return false
	}
	one := m.MaxModels == 1 || m.BaseIs == recipe.BaseFirst
	return o.models[0] == 0 && (one || len(o.models) == 2)
}

// culprits are the files that an error may name.
func (o oddPlace) culprits(p savedFamily) (paths []string) {
	if o.base {
		paths = append(paths, p.base)
	}
	for _, m := range o.models {
		paths = append(paths, p.models[m])
	}
	if o.importance >= 0 {
		paths = append(paths, p.importance[o.importance])
	}
	return paths
}

// oddRequests are the methods in the forms that treat such values differently.
func oddRequests() (all []request) {
	all = append(everyMethod(),
		ask("sta", "score=delta"), ask("sta", "score=fisher", "density=1"), ask("sta", "score=importance"), ask("sta", "scope=tensor"), ask("sta", "granularity=row"),
		ask("sta", "granularity=tensor", "normalize_scores=none"), ask("sta", "contrast=true"), ask("sta", "combine=importance"), ask("sta", "consensus=ties"), ask("sta", "rescale=l1"),
		ask("sta", "threshold=0.5", "rescale=density"), ask("sta", "preset=weighted"), ask("sta", "score=magnitude", "contrast=true"), ask("sta", "score=magnitude", "granularity=row", "scope=tensor"),
		ask("sta", "score=magnitude", "granularity=tensor", "normalize_scores=none"),
		ask("sce", "select_topk=0.5"), ask("della", "density=0.4"), ask("breadcrumbs", "density=0.4", "gamma=0.1"), ask("nuslerp", "nuslerp_flatten=false"),
		ask("nuslerp", "nuslerp_flatten=false", "nuslerp_row_wise=true"), ask("passthrough", "scale=-1"), ask("linear", "weights=1,0", "normalize=false"))
	for _, q := range slices.Clone(all) {
		if m, _ := Schema().Find(q.method); m.Base == recipe.Optional {
			all = append(all, q.with("base=BASE"))
		}
	}
	return all
}

// Wherever a value is not finite, and whatever nonfinite says, a merge ends with an error that names the file, the
// tensor and the element, or with values that are right: finite, or the base's own under nonfinite: base, or those that
// the base and all models agree on.
func TestNonfiniteAnywhere(t *testing.T) {
	for _, o := range oddPlaces {
		for name, value := range map[string]float64{"NaN": math.NaN(), "infinity": math.Inf(1), "minus infinity": math.Inf(-1)} {
			t.Run(name+" in "+o.name, func(t *testing.T) {
				t.Parallel()
				p := o.place(value).save(t)
				for _, q := range oddRequests() {
					o.try(t, p, q, value)
				}
			})
		}
	}
}

// try merges under every value of nonfinite.
func (o oddPlace) try(t *testing.T, p savedFamily, q request, value float64) {
	t.Helper()
	method, _ := Schema().Find(q.method)
	based := method.Base == recipe.Required || slices.Contains(q.settings, "base=BASE")
	for i, s := range q.settings {
		q.settings[i] = strings.Replace(s, "BASE", p.base, 1)
	}
	if o.importance >= 0 && (!slices.Contains([]string{"sta", "perta", "fisher", "fisher_arithmetic"}, q.method) || slices.Contains(q.settings, "score=magnitude")) {
		return // none is read
	}
	for _, policy := range fuse.StopNonfinite.Choices() {
		if policy == "base" && !based {
			continue
		}
		q := q.with("nonfinite=" + policy)
		label := fmt.Sprint(q)
		out := filepath.Join(p.dir, "out.safetensors")
		agreed := o.agreed(method, based, policy)
		if _, err := p.merge(t, t.Context(), q, out, Options{Force: true}); err != nil {
			o.judgeError(t, label, err, p, policy == "error" && !agreed)
			continue
		}
		got, _ := load(t, read(t, out))
		judge(t, label, got, policy, value, agreed, p)
	}
}

// judgeError demands that an error names one of the culprits, the tensor and the element.
func (o oddPlace) judgeError(t *testing.T, label string, err error, p savedFamily, wanted bool) {
	t.Helper()
	named := slices.ContainsFunc(o.culprits(p), func(path string) bool { return strings.HasPrefix(err.Error(), path+": ") })
	if !wanted || !named || format.KindOf(err) != format.KindNonfinite || !strings.Contains(err.Error(), fmt.Sprintf(`tensor "w", element %d: the `, oddIndex)) {
		t.Errorf("%s: %v", label, err)
	}
}

// judge looks at the values of a merge that went through.
func judge(t *testing.T, label string, got checkpoint, policy string, value float64, agreed bool, p savedFamily) {
	t.Helper()
	base, _ := load(t, read(t, filepath.Join(p.base, "model.safetensors")))
	for _, name := range []string{"w", "v"} {
		own := base.find(name).values()
		for i, x := range got.find(name).values() {
			nonfinite := math.IsNaN(x) || math.IsInf(x, 0)
			same := func(y float64) bool { return x == y || math.IsNaN(x) && math.IsNaN(y) }
			switch {
			case name == "w" && i == oddIndex && agreed:
				if !same(value) {
					t.Errorf("%s: element %d is %v, and all agree on another", label, i, x)
				}
			case !nonfinite, name == "w" && policy == "propagate":
			case policy == "base" && same(own[i]):
			default:
				t.Errorf("%s: %s[%d] is %v", label, name, i, x)
			}
		}
	}
}
