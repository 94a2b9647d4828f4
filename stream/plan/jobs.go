package plan

import (
	"reflect"
	"slices"

	"weld/format"
	"weld/scoring"
	"weld/stream/fuse"
	"weld/stream/recipe"
)

// NewMethod begins the merge by the recipe's method. It may take so many bytes for tables that save walks.
func (p *Plan) NewMethod(tableBytes int64) fuse.Method {
	r := p.Recipe
	nonfinite := fuse.Nonfinite(slices.Index(nonfiniteNames, r.Params.Text("nonfinite")))
	of := &jobs{Plan: p, params: make(map[paramsKey]fuse.Params)}
	if r.Method.Name == "sta" {
		return newSTA(p, nonfinite, tableBytes).Method(of)
	}
	return fuse.Local(r.Method.Name, of, nonfinite)
}

var nonfiniteNames = []string{"error", "propagate", "base"}

// parsed is a value that the schema has checked already.
func parsed[T any](v T, err error) T {
	if err != nil {
		panic(err) // the schema's choices are the names that the parser knows
	}
	return v
}

func newSTA(p *Plan, nonfinite fuse.Nonfinite, tableBytes int64) fuse.STA {
	params := p.Recipe.Params
	sta := fuse.STA{
		Score:         parsed(scoring.ParseScore(params.Text("score"))),
		Normalization: parsed(scoring.ParseNormalization(params.Text("normalize_scores"))),
		Scope:         parsed(scoring.ParseScope(params.Text("scope"))),
		Granularity:   parsed(scoring.ParseGranularity(params.Text("granularity"))),
		Combine:       fuse.Combine(slices.Index(fuse.CombineNames, params.Text("combine"))),
		Rescale:       fuse.Rescale(slices.Index(fuse.RescaleNames, params.Text("rescale"))),
		Consensus:     params.Text("consensus") == "ties",
		Contrast:      params.Bool("contrast"),
		KeepMissing:   params.Text("missing_importance") == "keep",
		Lambda:        params.Number("lambda"),
		Nonfinite:     nonfinite,
		TableBytes:    tableBytes,
	}
	for t, m := range p.Recipe.Models {
		sta.Models = append(sta.Models, fuse.STAModel{
			Weight:    m.Params.Number("weight"),
			Density:   m.Params.Number("density"),
			Threshold: float32(m.Params.Number("threshold")),
			Fixed:     m.Params.Has("threshold"),
			Statistic: p.statistic(t),
		})
	}
	return sta
}

// statistic is what the importance file of a model holds.
func (p *Plan) statistic(model int) scoring.Statistic {
	if file := p.Importance[model]; file != nil {
		return file.Statistic
	}
	return 0
}

// jobs describe the fused tensors to the method; see [fuse.Jobs].
type jobs struct {
	*Plan
	params map[paramsKey]fuse.Params
}

// Len implements [fuse.Jobs].
func (p *jobs) Len() int { return p.Fused() }

// Job implements [fuse.Jobs].
func (p *jobs) Job(i int) fuse.Job {
	t := p.Made(i)
	j := fuse.Job{
		Name: t.Name, Shape: t.Shape, DType: t.DType,
		Tiling: fuse.NewTiling(t.Elements(), t.RowLen()),
		Wide:   t.Base >= 0 && t.Reference.Tensors()[t.Base].DType == format.F64,
		Params: p.numbers(t.Shared, nil, t.Base >= 0, t.unknown),
	}
	j.Models = make([]fuse.Contribution, 0, len(t.Models))
	for k, c := range t.Models {
		s, i := p.Model(t, k)
		j.Wide = j.Wide || i >= 0 && s.Tensors()[i].DType == format.F64
		j.Models = append(j.Models, fuse.Contribution{Importance: c.Importance >= 0, Absent: i < 0, Params: p.numbers(c.Params, c.Share, t.Base >= 0, false)})
	}
	return j
}

// paramsKey names evaluated parameters that are shared, and the model that they are of; -1 for
// all.
type paramsKey struct {
	values  uintptr
	model   int
	based   bool
	unknown bool
}

// numbers turns evaluated parameters into what methods read, once for those that many tensors
// share. It adds what only the plan knows.
func (p *jobs) numbers(v recipe.Values, of *Share, based, unknown bool) fuse.Params {
	key := paramsKey{reflect.ValueOf(v).Pointer(), -1, based, unknown}
	if of != nil {
		key.model = of.Model
	}
	if known, ok := p.params[key]; ok {
		return known
	}
	n := make(fuse.Params, len(v)+1)
	for name, x := range v {
		n[name] = x.Number
		if x.Bool {
			n[name] = 1
		}
	}
	switch {
	case of != nil:
		n["statistic"] = float64(p.statistic(of.Model))
	case based:
		n["with_base"] = 1
	}
	if v["missing_importance"].Text == "drop" || unknown {
		n["missing_importance"] = 1
	}
	if p.params == nil {
		p.params = make(map[paramsKey]fuse.Params)
	}
	p.params[key] = n
	return n
}
