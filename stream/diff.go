package stream

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sync"

	"weld/format"
	"weld/format/model"
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
	// Tensors that are equal, and have values that are not finite.
	EqualNonfinite []string `json:"equal_nonfinite,omitempty"`
}

// TensorDiff is how one tensor differs. Figures that could not be computed are not there.
type TensorDiff struct {
	Name       string `json:"name"`
	Note       string `json:"note,omitempty"` // where the values could not be compared, or types differ
	Compared   string `json:"compared"`       // "values", "elements" or "bytes", which are equal or not, or "nothing"
	Elements   int64  `json:"elements"`       // that were compared, or bytes
	Different  int64  `json:"different"`
	Nonfinite  int64  `json:"nonfinite"`   // of these, where a value is infinite or no number
	NonfiniteA int64  `json:"nonfinite_a"` // values of a that are, in all elements
	NonfiniteB int64  `json:"nonfinite_b"`
	*Distance
}

// Distance is how far values are apart, over the elements that are finite on both sides. There is none where these
// do not differ, and others do.
type Distance struct {
	Max      float64  `json:"max_abs"`
	Mean     float64  `json:"mean_abs"`
	Relative *float64 `json:"relative,omitempty"` // ‖b − a‖ / ‖a‖; −1 where a is 0 and b is not
	Cosine   *float64 `json:"cosine,omitempty"`   // of the angle, where neither is 0
}

// Same reports whether the checkpoints hold the same tensors with the same values.
func (d *Diff) Same() bool { return len(d.Tensors) == 0 && len(d.OnlyA) == 0 && len(d.OnlyB) == 0 }

// CompareCheckpoints reads two checkpoints and reports what differs, in float64.
func CompareCheckpoints(ctx context.Context, a, b string, o Options) (*Diff, error) {
	method := &comparison{}
	p := &Plan{
		results: foundBytes,
		Recipe:  &recipe.Recipe{Method: &recipe.Method{Name: "diff"}, Models: []recipe.Model{named(a), named(b)}},
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
	method.plan, method.found, method.told = p, d, make([]bool, len(p.jobs))
	if err := p.divide(); err != nil {
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
	method.finish()
	slices.SortFunc(d.Tensors, func(a, b TensorDiff) int {
		if c := cmp.Or(cmp.Compare(b.severity(), a.severity()), cmp.Compare(b.Nonfinite, a.Nonfinite)); c != 0 {
			return c // names are compared where nothing else tells: they lie anywhere in memory
		}
		return cmp.Compare(a.Name, b.Name)
	})
	d.Notes = append(d.Notes, p.Notes...)
	return d, nil
}

// named is the model that one word names: path+adapter+….
func named(name string) recipe.Model {
	path, adapters := model.Split(name)
	return recipe.Model{Path: path, Lora: adapters}
}

// severity orders differences: what cannot be compared, what is not finite, then by
// the relative difference; equal or not counts by its share.
func (t TensorDiff) severity() float64 {
	share := float64(t.Different) / float64(max(1, t.Elements))
	switch {
	case t.Compared == comparedNothing:
		return math.Inf(1)
	case t.Nonfinite > 0:
		return math.MaxFloat64
	case t.Distance == nil:
		return share
	case t.Relative == nil || *t.Relative < 0:
		return math.MaxFloat64 / 2
	case *t.Relative == 0: // zeros of other sign
		return share
	}
	return *t.Relative
}

// comparedNothing is what was compared of tensors of different shapes, or of types that have nothing in common.
const comparedNothing = "nothing"

// pair plans the comparison of every tensor that both checkpoints have.
func (p *Plan) pair(d *Diff) {
	a, b := p.models[0], p.models[1]
	sides, same := [2]*share{{model: 0}, {model: 1}}, new(origins)
	p.Tensors, p.jobs = make([]Output, 0, len(a.Tensors())), make([]int32, 0, len(a.Tensors()))
	parts := make([]part, 0, 2*len(a.Tensors()))
	for i, t := range a.Tensors() {
		j, ok := b.Find(t.Name)
		if !ok {
			d.OnlyA = append(d.OnlyA, t.Name)
			continue
		}
		other := b.Tensors()[j]
		comparable := t.DType == other.DType || t.DType.Computable() && other.DType.Computable()
		if !comparable || !slices.Equal(t.Shape, other.Shape) {
			d.Tensors = append(d.Tensors, TensorDiff{Name: t.Name, Compared: comparedNothing, Note: fmt.Sprintf("%v %v against %v %v", t.DType, t.Shape, other.DType, other.Shape)})
			continue
		}
		p.jobs = append(p.jobs, int32(len(p.Tensors)))
		parts = append(parts, part{sides[0], int32(i), -1}, part{sides[1], int32(j), -1})
		p.Tensors = append(p.Tensors, Output{Tensor: t, origins: same, base: -1, parts: parts[len(parts)-2 : len(parts) : len(parts)]})
	}
	for _, t := range b.Tensors() {
		if _, ok := a.Find(t.Name); !ok {
			d.OnlyB = append(d.OnlyB, t.Name)
		}
	}
}

// dtypes are the types of the two tensors that are compared.
func (p *Plan) dtypes(t Output) (a, b format.DType) {
	return p.models[0].Tensors()[t.parts[0].index].DType, p.models[1].Tensors()[t.parts[1].index].DType
}

// add files the result of one tensor.
func (d *Diff) add(p *Plan, t Output, r fuse.Difference) {
	a, b := p.dtypes(t)
	diff := TensorDiff{Name: t.Name, Compared: fuse.Compared(a), Elements: r.Elements, Different: r.Different,
		Nonfinite: r.Nonfinite, NonfiniteA: r.NonfiniteA, NonfiniteB: r.NonfiniteB, Distance: distanceOf(r)}
	if a != b {
		diff.Note = fmt.Sprintf("%v against %v", a, b)
	}
	if diff.Different > 0 || diff.Note != "" {
		d.Tensors = append(d.Tensors, diff)
		return
	}
	d.Equal++
}

// distanceOf is nil where no values are compared, and where only those differ that are not finite: a distance of 0
// would be read as one of all elements.
func distanceOf(r fuse.Difference) *Distance {
	mean, known := r.Mean()
	if !known || r.Nonfinite > 0 && r.Max == 0 {
		return nil
	}
	d := new(struct { // one piece of memory
		Distance
		relative, cosine float64
	})
	d.Max, d.Mean = r.Max, mean
	if d.relative, known = r.Relative(); known {
		d.Relative = &d.relative
	}
	if d.cosine, known = r.Cosine(); known {
		d.Cosine = &d.cosine
	}
	return &d.Distance
}

// foundBytes is what a diff holds of a tensor that differs, while its list grows.
const foundBytes = 250

// comparison is the method of a diff: one stage for each tensor, which is there while its tensor is read; nothing to
// write.
type comparison struct {
	plan *Plan

	mu        sync.Mutex
	found     *Diff
	told      []bool  // by job: it is in found
	nonfinite []int32 // jobs of tensors that are equal, and not finite
}

// compared is the stage of one tensor, which ends with what was found.
type compared struct {
	*fuse.DiffStage
	of  *comparison
	job int
}

// End implements [fuse.Stage].
func (c compared) End() error {
	c.of.add(c.job, c.Result)
	return c.DiffStage.End()
}

func (c *comparison) Fuse(job int) []fuse.Stage {
	a, b := c.plan.dtypes(c.plan.Tensors[c.plan.jobs[job]])
	if a != b {
		a = format.Invalid
	}
	return []fuse.Stage{compared{fuse.NewDiffStage(a), c, job}}
}

// add files what was found of a tensor.
func (c *comparison) add(job int, r fuse.Difference) {
	c.mu.Lock()
	defer c.mu.Unlock()
	equal := c.found.Equal
	c.found.add(c.plan, c.plan.Tensors[c.plan.jobs[job]], r)
	if c.found.Equal > equal && r.NonfiniteA > 0 {
		c.nonfinite = append(c.nonfinite, int32(job))
	}
	c.told[job] = true
}

// finish files the tensors without elements, and names those that are not finite in the order of the checkpoint.
func (c *comparison) finish() {
	for job, told := range c.told {
		if !told {
			c.add(job, fuse.Difference{})
		}
	}
	slices.Sort(c.nonfinite)
	for _, job := range c.nonfinite {
		c.found.EqualNonfinite = append(c.found.EqualNonfinite, c.plan.Tensors[c.plan.jobs[job]].Name)
	}
}

func (c *comparison) Next() *fuse.Pass       { return nil }
func (c *comparison) Reads() fuse.Reads      { return fuse.Reads{Models: true} }
func (c *comparison) Expected() int          { return 0 }
func (c *comparison) Results() []fuse.Result { return nil }
func (c *comparison) Cost() fuse.Cost {
	return fuse.Cost{Scratch: 2 * fuse.TileElements * 8, Job: func(int) int64 { return 1 << 10 }}
}
