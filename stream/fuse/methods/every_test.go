package methods

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"weld/format"
	"weld/scoring"
	"weld/stream/fuse"
	"weld/stream/fuse/fusetest"
	"weld/stream/recipe"
)

// What holds of every method that is registered, whatever values its parameters have.

// form is a method with values for all its parameters, and a name for them.
type form struct {
	*Method
	label  string
	values recipe.Values
	based  bool
}

// everyForm lists all methods: with the values that text picks, and with every other value of one of their choices and truth
// values; where the base may be left out, with and without it.
func everyForm(text func(recipe.Param) string) (all []form) {
	for _, m := range All() {
		values := make(recipe.Values)
		for _, p := range m.Params {
			if t := text(p); t != "" {
				values[p.Key] = valueOf(t)
			}
		}
		plain := form{m, m.Name, values, m.Base == recipe.Required && m.BaseIs == recipe.BaseReference}
		own := []form{plain}
		for _, p := range m.Params {
			for _, text := range otherTexts(p) {
				f := plain
				f.label, f.values = fmt.Sprintf("%s %s=%s", m.Name, p.Key, text), maps.Clone(plain.values)
				f.values[p.Key] = valueOf(text)
				own = append(own, f)
			}
		}
		for _, f := range slices.Clone(own) {
			if m.Base == recipe.Optional && m.BaseIs == recipe.BaseReference {
				f.label, f.based = f.label+" with a base", true
				own = append(own, f)
			}
		}
		all = append(all, own...)
	}
	return all
}

// byExample is a value that shows something, byDefault what is taken if nothing is said.
func byExample(p recipe.Param) string { return cmp.Or(p.Example, p.Default) }
func byDefault(p recipe.Param) string { return cmp.Or(p.Default, p.Example) }

// otherTexts are the values of a choice or a truth value that its default is not.
func otherTexts(p recipe.Param) (texts []string) {
	if p.Key == nonfiniteKey || p.Default == "" {
		return nil
	}
	texts = p.Choices
	if p.Kind == recipe.Bool {
		texts = []string{"false", "true"}
	}
	return slices.DeleteFunc(slices.Clone(texts), func(s string) bool { return s == p.Default })
}

// valueOf is a value of whatever kind the text is.
func valueOf(text string) recipe.Value {
	number, _ := strconv.ParseFloat(text, 64)
	return recipe.Value{Text: text, Number: number, Bool: text == "true"}
}

// counts are numbers of models that the method takes, up to most.
func (f form) counts(most int) (counts []int) {
	last := most
	if f.MaxModels > 0 {
		last = min(most, f.MaxModels)
	}
	for n := max(1, f.MinModels); n <= last; n++ {
		counts = append(counts, n)
	}
	return counts
}

// merge prepares the method for a merge of one tensor, with importance for all models.
func (f form) merge(x oneTensor) (*fusetest.Merge, fuse.Method) {
	x.importance = nil
	for k := range x.models {
		a := make([]float64, len(x.base))
		for i := range a {
			a[i] = float64((i + k) % 3) // some of it 0
		}
		x.importance = append(x.importance, a)
	}
	in := x.inputs()
	decoder := f.Decoder()
	setup := Setup{Shared: f.values, Statistics: make([]scoring.Statistic, len(x.models))}
	job := &in.Jobs[0]
	job.Based, job.Params = f.based, decoder.All(f.values)
	for k := range job.Models {
		job.Models[k].Params = decoder.Each(f.values)
		setup.Models = append(setup.Models, f.values)
	}
	setup.Jobs = in.Jobs
	return in, f.New(setup)
}

// A worker takes no more scratch than the method's cost says: --memory is divided by that. In float64 a tile is as large as
// it is counted, so that one too few is seen.
func TestEveryMethodScratch(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for _, f := range everyForm(byExample) {
		t.Run(f.label, func(t *testing.T) {
			for _, models := range f.counts(5) {
				for _, dtype := range []format.DType{format.F64, format.BF16} {
					for _, shape := range [][]int64{{20011}, {2, 9001}, {40, 300}} {
						in, m := f.merge(drawOne(r, f.Name, dtype, shape, models, true))
						in.Drive(t, m, uint64(models))
					}
				}
			}
		})
	}
}

// leavesOut are the forms whose formula leaves elements of a model out though they be not finite, and why. A form that is not
// here owes it to people that such a value comes out.
var leavesOut = map[string]string{
	"sta score=importance": "what the importance file ranks low is left out, whatever it is",
}

// A value that is not finite comes out as it is, or stops the run and is blamed on its model: it never becomes a number.
func TestEveryMethodNonfinite(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, f := range everyForm(byDefault) {
		t.Run(f.label, func(t *testing.T) {
			if leavesOut[f.label] != "" {
				f.values = maps.Clone(f.values)
				f.values["density"] = valueOf("0.2")
				if _, err := f.spoiled(1, inf); err != nil {
					t.Errorf("does not leave an infinity out: %v", err)
				}
				return
			}
			for _, models := range f.counts(3) {
				for _, odd := range [][]float64{{nan}, {inf}, {-inf}, {nan, inf}, {inf, nan}, {inf, -inf}, {nan, nan, inf}, {inf, inf, nan}} {
					if len(odd) > models {
						continue
					}
					got, err := f.spoiled(models, odd...)
					var e *fuse.NonfiniteError
					switch {
					case err == nil && got-got == 0:
						t.Errorf("%v in %d models: the result is %v, and nobody is told", odd, models, got)
					case err == nil && models > 1:
						t.Errorf("%v in %d models: the result is %v, which no one model is to decide", odd, models, got)
					case err != nil && (!errors.As(err, &e) || e.Index != spoiledAt || e.Model < 0 || e.Model >= len(odd)):
						t.Errorf("%v in %d models: %v", odd, models, err)
					}
				}
			}
		})
	}
}

// What base and models have alike stays, though it be not finite.
func TestEveryMethodNonfiniteAlike(t *testing.T) {
	for _, f := range everyForm(byDefault) {
		for _, models := range f.counts(3) {
			for _, odd := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
				x := f.draw(models)
				x.base[spoiledAt] = odd
				for k := range x.models {
					x.models[k][spoiledAt] = odd
				}
				in, m := f.merge(x)
				if got, err := in.FuseOnce(m); err != nil || !fuse.SameBits(got[spoiledAt], odd) && !math.IsNaN(odd+got[spoiledAt]) {
					t.Errorf("%s: %v in the base and %d models: %v", f.label, odd, models, err)
				}
			}
		}
	}
}

// spoiledAt is the element that is not finite.
const spoiledAt = 7

// draw makes a merge of one tensor.
func (f form) draw(models int) oneTensor {
	return drawOne(rand.New(rand.NewPCG(5, 6)), f.Name, format.F32, []int64{20, 11}, models, false)
}

// spoiled merges models, of which the first have values that are not finite, and returns what becomes of that element.
func (f form) spoiled(models int, odd ...float64) (float64, error) {
	x := f.draw(models)
	for k, value := range odd {
		x.models[k][spoiledAt] = value
	}
	in, m := f.merge(x)
	got, err := in.FuseOnce(m)
	if err != nil {
		return 0, err
	}
	return got[spoiledAt], nil
}
