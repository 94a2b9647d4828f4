package plan

import (
	"weld/format"
	"weld/scoring"
	"weld/stream/fuse"
	"weld/stream/fuse/methods"
	"weld/stream/layers"
)

// NewMethod begins the merge by the recipe's method. It may take so many bytes for tables that save walks.
func (p *Plan) NewMethod(tableBytes int64) fuse.Method {
	m := p.method()
	setup := methods.Setup{Jobs: &jobs{p, m.Decoder()}, Shared: p.Recipe.Params, TableBytes: tableBytes, Early: p.Early}
	for t, model := range p.Recipe.Models {
		setup.Models = append(setup.Models, model.Params)
		setup.Statistics = append(setup.Statistics, p.statistic(t))
	}
	return m.New(setup)
}

// method is the one that the recipe asks for: its schema has no other methods.
func (p *Plan) method() *methods.Method {
	m, _ := methods.Find(p.Recipe.Method.Name)
	return m
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
	params *methods.ParamDecoder
}

// Len implements [fuse.Jobs].
func (p *jobs) Len() int { return p.Fused() }

// Job implements [fuse.Jobs].
func (p *jobs) Job(i int) fuse.Job {
	t := p.Made(i)
	values := t.Values()
	j := fuse.Job{
		Name: t.Name, Layer: layerOf(t.Name), Shape: values.Shape, DType: values.DType,
		Tiling: fuse.NewTiling(values.Elements(), values.RowLen()),
		Wide:   t.Base >= 0 && t.Reference.Tensors()[t.Base].DType == format.F64,
		Based:  t.Base >= 0, Unasked: t.unknown, Params: p.params.All(t.Shared),
	}
	j.Models = make([]fuse.Contribution, 0, len(t.Models))
	for k, c := range t.Models {
		s, i := p.Model(t, k)
		j.Wide = j.Wide || i >= 0 && s.Tensors()[i].DType == format.F64
		j.Models = append(j.Models, fuse.Contribution{
			Params: p.params.Each(c.Params), Absent: i < 0, Importance: c.Importance >= 0, Statistic: p.statistic(c.Model),
		})
	}
	return j
}

// layerOf is a tensor's name up to the number of its layer; "" where it is in none.
func layerOf(name string) string {
	_, index, suffix := layers.Split(name)
	if index < 0 {
		return ""
	}
	return name[:len(name)-len(suffix)]
}
