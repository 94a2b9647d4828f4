package methods

import (
	"fmt"
	"reflect"
	"slices"

	"weld/scoring"
	"weld/stream/fuse"
	"weld/stream/recipe"
)

// Params are values of a method's parameters in the tables of these tests, by their keys; a truth value is 0 or 1, a choice
// its place among the names. What is left out is 0, not the default. Beside parameters, with_base says that a tensor is
// based, and statistic what a model's importance file holds.
type Params map[string]float64

// Bool is a truth value.
func (p Params) Bool(key string) bool { return p[key] != 0 }

// values are the parameters as recipes give them.
func (p Params) values(of *paramFields) recipe.Values {
	v := make(recipe.Values)
	for i, param := range of.params {
		x, ok := p[param.Key]
		if !ok && reflect.Indirect(reflect.New(of.of)).FieldByIndex(of.index[i]).Kind() == reflect.Pointer {
			continue
		}
		value := recipe.Value{Number: x, Bool: x != 0}
		if param.Kind == recipe.Choice {
			value.Text = param.Choices[int(x)]
		}
		v[param.Key] = value
	}
	return v
}

// merging prepares a merge of jobs whose parameters are [Params]. What holds for the whole recipe is what the first job says.
func merging(method string, jobs fuse.List, nonfinite fuse.Nonfinite) fuse.Method {
	m, _ := Find(method)
	shared, _ := jobs[0].Params.(Params)
	s := Setup{Jobs: typed(method, jobs), Shared: shared.values(m.all)}
	s.Shared[nonfiniteKey] = recipe.Value{Text: nonfinite.Choices()[nonfinite]}
	for _, c := range jobs[0].Models {
		own, _ := c.Params.(Params)
		s.Models = append(s.Models, own.values(m.each))
		s.Statistics = append(s.Statistics, scoring.Statistic(own["statistic"]))
	}
	return m.New(s)
}

// typed gives jobs the values that a method's formula reads.
func typed(method string, jobs fuse.List) fuse.List {
	m, ok := Find(method)
	if !ok {
		panic(fmt.Sprintf("no method %q", method))
	}
	own := slices.Clone(jobs)
	for i := range own {
		j := &own[i]
		shared, _ := j.Params.(Params)
		j.Based = shared.Bool("with_base")
		j.Params = m.all.decode(shared.values(m.all))
		j.Models = slices.Clone(j.Models)
		for k := range j.Models {
			c := &j.Models[k]
			params, _ := c.Params.(Params)
			c.Statistic = scoring.Statistic(params["statistic"])
			c.Params = m.each.decode(params.values(m.each))
		}
	}
	return own
}
