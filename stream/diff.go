package stream

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"weld/format"
	"weld/stream/fuse"
	"weld/stream/recipe"
)

// Diff is what differs between two checkpoints.
type Diff struct {
	A       string       `json:"a"`
	B       string       `json:"b"`
	Tensors []TensorDiff `json:"tensors"` // that differ, worst first
	Equal   int          `json:"equal"`   // tensors that do not
	OnlyA   []string     `json:"only_a"`
	OnlyB   []string     `json:"only_b"`
	Notes   []string     `json:"notes,omitempty"`
}

// TensorDiff is how one tensor differs.
type TensorDiff struct {
	Name      string  `json:"name"`
	Note      string  `json:"note,omitempty"` // where the values could not be compared, or types differ
	Elements  int64   `json:"elements"`
	Different int64   `json:"different"`
	Nonfinite int64   `json:"nonfinite,omitempty"`
	Max       float64 `json:"max_abs"`
	Mean      float64 `json:"mean_abs"`
	Relative  float64 `json:"relative"` // ‖b − a‖ / ‖a‖; −1 where a is 0 and b is not
	Cosine    float64 `json:"cosine"`
}

// Same reports whether the checkpoints hold the same tensors with the same values.
func (d *Diff) Same() bool { return len(d.Tensors) == 0 && len(d.OnlyA) == 0 && len(d.OnlyB) == 0 }

// CompareCheckpoints reads two checkpoints and reports what differs, in float64.
func CompareCheckpoints(ctx context.Context, a, b string, o Options) (*Diff, error) {
	method := &comparison{}
	p := &Plan{
		Recipe:  &recipe.Recipe{Method: &recipe.Method{Name: "diff"}, Models: []recipe.Model{{Path: a}, {Path: b}}},
		Options: o.withDefaults(),
		method:  method,
	}
	defer p.Close()
	if problems := p.open(); len(problems) > 0 {
		return nil, &InputError{problems}
	}
	if problems := p.recognise(); len(problems) > 0 {
		return nil, &InputError{problems}
	}
	d := &Diff{A: a, B: b, Tensors: []TensorDiff{}, OnlyA: []string{}, OnlyB: []string{}, Notes: p.codeNotes()} // no null in JSON
	if err := p.meetOther(d); err != nil {
		return nil, err
	}
	p.pair(d)
	for range p.jobs {
		method.stages = append(method.stages, fuse.NewDiffStage())
	}
	if err := p.divide(make([]fuse.Job, len(p.jobs))); err != nil {
		return nil, err
	}
	comparing := &walk{plan: p, name: "compare", reads: fuse.Reads{Models: true}, chain: method.Fuse}
	comparing.announce(0, 1)
	if err := comparing.run(ctx); err != nil {
		return nil, err
	}
	if err := p.unchanged(); err != nil {
		return nil, err
	}
	for job, st := range method.stages {
		d.add(p.models, p.Tensors[p.jobs[job]], st.Result)
	}
	slices.SortStableFunc(d.Tensors, func(a, b TensorDiff) int {
		return cmp.Or(cmp.Compare(b.severity(), a.severity()), cmp.Compare(a.Name, b.Name))
	})
	d.Notes = append(d.Notes, p.Notes...)
	return d, nil
}

// severity orders differences: what cannot be compared, what is not finite, then by
// the relative difference.
func (t TensorDiff) severity() float64 {
	switch {
	case t.Elements == 0:
		return math.Inf(1)
	case t.Nonfinite > 0:
		return math.MaxFloat64
	case t.Relative < 0:
		return math.MaxFloat64 / 2
	case t.Relative == 0: // bytes, or zeros of other sign
		return float64(t.Different) / float64(t.Elements)
	}
	return t.Relative
}

// pair plans the comparison of every tensor that both checkpoints have.
func (p *Plan) pair(d *Diff) {
	a, b := p.models[0], p.models[1]
	for i, t := range a.Tensors() {
		j, ok := b.Find(t.Name)
		if !ok {
			d.OnlyA = append(d.OnlyA, t.Name)
			continue
		}
		other := b.Tensors()[j]
		comparable := t.DType == other.DType || t.DType.Computable() && other.DType.Computable()
		if !comparable || !slices.Equal(t.Shape, other.Shape) {
			d.Tensors = append(d.Tensors, TensorDiff{Name: t.Name, Note: fmt.Sprintf("%v %v against %v %v", t.DType, t.Shape, other.DType, other.Shape)})
			continue
		}
		p.jobs = append(p.jobs, len(p.Tensors))
		p.Tensors = append(p.Tensors, Output{Tensor: t, base: -1, parts: []part{{0, i, -1, nil}, {1, j, -1, nil}}})
	}
	for _, t := range b.Tensors() {
		if _, ok := a.Find(t.Name); !ok {
			d.OnlyB = append(d.OnlyB, t.Name)
		}
	}
}

// add files the result of one tensor.
func (d *Diff) add(models []*Source, t Output, r fuse.Difference) {
	diff := TensorDiff{Name: t.Name, Elements: r.Elements, Different: r.Different, Nonfinite: r.Nonfinite, Max: r.Max, Cosine: r.Cosine(), Relative: r.Relative()}
	if r.Elements > 0 {
		diff.Mean = r.Sum / float64(r.Elements)
	}
	// Norms of float64 values beyond 1e154 overflow, and JSON has no infinity.
	diff.Mean, diff.Relative = min(diff.Mean, math.MaxFloat64), min(diff.Relative, math.MaxFloat64)
	if math.IsNaN(diff.Relative) || math.IsNaN(diff.Cosine) {
		diff.Relative, diff.Cosine = math.MaxFloat64, 0
	}
	dtypes := [2]format.DType{models[0].Tensors()[t.parts[0].index].DType, models[1].Tensors()[t.parts[1].index].DType}
	if dtypes[0] != dtypes[1] {
		diff.Note = fmt.Sprintf("%v against %v", dtypes[0], dtypes[1])
	}
	if diff.Different == 0 && diff.Note == "" {
		d.Equal++
		return
	}
	d.Tensors = append(d.Tensors, diff)
}

// comparison is the method of a diff: one stage for each tensor, nothing to write.
type comparison struct{ stages []*fuse.DiffStage }

func (c *comparison) Next() *fuse.Pass          { return nil }
func (c *comparison) Reads() fuse.Reads         { return fuse.Reads{Models: true} }
func (c *comparison) Expected() int             { return 0 }
func (c *comparison) Fuse(job int) []fuse.Stage { return []fuse.Stage{c.stages[job]} }
func (c *comparison) Results() []fuse.Result    { return nil }
func (c *comparison) Cost() fuse.Cost {
	return fuse.Cost{Scratch: 2 * fuse.TileElements * 8, Job: func(int) int64 { return 1 << 10 }}
}
