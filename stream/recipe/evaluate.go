package recipe

import "maps"

// TensorRef is one output tensor, as far as parameters depend on it.
type TensorRef struct {
	Slice  int      // index in the recipe's slices; 0 where it has none
	Output string   // its name in the output
	Inputs []string // its name in each source of the slice, or in each model
	T      float64  // the position of its layer, from 0 (first) to 1 (last); 0 outside of layers
}

// scopedParams are the parameters of a slice, or of a recipe without slices.
type scopedParams struct {
	shared  *paramSet
	sources []*paramSet
}

// At evaluates the parameters for a tensor: shared ones, by its name in the output,
// and those of each source of the slice (or of each model), by its name there. A key
// is absent where no filter matches and there is no default. The maps are shared
// between tensors that have the same values: do not change them. Several goroutines
// may call At.
func (r *Recipe) At(ref TensorRef) (shared Values, models []Values) {
	if ref.Slice >= len(r.scopes) { // a recipe that no schema made
		for _, m := range r.Models {
			models = append(models, m.Params)
		}
		return r.Params, models
	}
	in := r.scopes[ref.Slice]
	models = make([]Values, len(in.sources))
	for i, set := range in.sources {
		name := ""
		if i < len(ref.Inputs) {
			name = ref.Inputs[i]
		}
		models[i] = set.at(name, ref.T)
	}
	return in.shared.at(ref.Output, ref.T), models
}

// Varies reports whether any parameter depends on the tensor or the slice. Where none
// does, At returns the same maps for all.
func (r *Recipe) Varies() bool {
	vary := func(values Values) bool {
		for _, v := range values {
			if v.Varies {
				return true
			}
		}
		return false
	}
	for _, m := range r.Models {
		if vary(m.Params) {
			return true
		}
	}
	return vary(r.Params)
}

// summary is what Recipe.Params or Model.Params show of the parameter sets of several slices: the
// values of the first, marked where another slice has others.
func summary(sets []*paramSet) Values {
	all := maps.Clone(sets[0].values)
	for _, s := range sets[1:] {
		if s == sets[0] {
			continue
		}
		for key, rs := range sets[0].rules {
			if !rs.same(s.rules[key]) {
				all[key] = varying(all[key])
			}
		}
		for key, v := range s.values {
			if _, known := all[key]; !known {
				all[key] = varying(v)
			}
		}
	}
	return all
}

func varying(v Value) Value {
	v.Varies = true
	return v
}
