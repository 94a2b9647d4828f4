package stream

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"weld/format"
	"weld/stream/fuse"
	"weld/stream/plan"
	"weld/stream/run"
)

// newComparison lists the tensors that both checkpoints have, and files what can be said without reading them.
func newComparison(p *plan.Pair, d *Diff) *comparison {
	c := &comparison{a: p.Models[0].Checkpoint, b: p.Models[1].Checkpoint, found: d}
	c.pairs = make([]pairOfTensors, 0, len(c.a.Tensors()))
	for i, t := range c.a.Tensors() {
		j, ok := c.b.Find(t.Name)
		if !ok {
			d.OnlyA = append(d.OnlyA, t.Name)
			continue
		}
		other := c.b.Tensors()[j]
		comparable := t.DType == other.DType || t.DType.Computable() && other.DType.Computable()
		if !comparable || !slices.Equal(t.Shape, other.Shape) {
			d.Tensors = append(d.Tensors, TensorDiff{Name: t.Name, Compared: comparedNothing, Note: fmt.Sprintf("%v %v against %v %v", t.DType, t.Shape, other.DType, other.Shape)})
			continue
		}
		c.pairs = append(c.pairs, pairOfTensors{int32(i), int32(j)})
	}
	for _, t := range c.b.Tensors() {
		if _, ok := c.a.Find(t.Name); !ok {
			d.OnlyB = append(d.OnlyB, t.Name)
		}
	}
	c.filed = make([]bool, len(c.pairs))
	d.Tensors = slices.Grow(d.Tensors, len(c.pairs)) // a list that grows is there twice, at times
	return c
}

// foundBytes is what a diff holds of a tensor that differs, while its list grows.
const foundBytes = 250

// comparison is the method of a diff, and its tensors: one stage for each, which is there while its tensor is read;
// nothing to write.
type comparison struct {
	a, b  format.Checkpoint
	pairs []pairOfTensors

	mu        sync.Mutex
	found     *Diff
	filed     []bool  // by pair: it is in found
	nonfinite []int32 // pairs of tensors that are equal, and not finite
}

// pairOfTensors are the indexes of the tensors that have one name.
type pairOfTensors struct{ a, b int32 }

// Len implements [run.Tensors].
func (c *comparison) Len() int { return len(c.pairs) }

// Job implements [run.Tensors].
func (c *comparison) Job(i int) (job int, fused bool) { return i, true }

// Describe implements [run.Tensors].
func (c *comparison) Describe(i int, to *run.Tensor) {
	at := c.pairs[i]
	t := c.a.Tensors()[at.a]
	*to = run.Tensor{
		DType: t.DType, Elements: t.Elements(), RowLen: t.RowLen(), Bytes: t.Bytes(),
		Models:     append(to.Models[:0], run.Stored{From: c.a, Index: int(at.a)}, run.Stored{From: c.b, Index: int(at.b)}),
		Importance: append(to.Importance[:0], run.Stored{}, run.Stored{}),
	}
}

// dtypes are the types of the two tensors that are compared.
func (c *comparison) dtypes(i int) (a, b format.DType) {
	return c.a.Tensors()[c.pairs[i].a].DType, c.b.Tensors()[c.pairs[i].b].DType
}

// name is what both of them are called.
func (c *comparison) name(i int) string { return c.a.Tensors()[c.pairs[i].a].Name }

// pass is the walk that compares.
func (c *comparison) pass() *fuse.Pass {
	return &fuse.Pass{Name: "compare", Reads: c.Reads(), Chain: c.Fuse}
}

// compared is the stage of one pair, which ends with what was found.
type compared struct {
	*fuse.DiffStage
	of   *comparison
	pair int
}

// End implements [fuse.Stage].
func (c compared) End() error {
	c.of.add(c.pair, c.Result)
	return c.DiffStage.End()
}

// Fuse implements [fuse.Method].
func (c *comparison) Fuse(pair int) []fuse.Stage {
	a, b := c.dtypes(pair)
	if a != b {
		a = format.Invalid
	}
	return []fuse.Stage{compared{fuse.NewDiffStage(a), c, pair}}
}

// add files what was found of a pair.
func (c *comparison) add(pair int, r fuse.Difference) {
	a, b := c.dtypes(pair)
	diff := TensorDiff{Name: c.name(pair), Compared: fuse.Compared(a), Elements: r.Elements, Different: r.Different,
		Nonfinite: r.Nonfinite, NonfiniteA: r.NonfiniteA, NonfiniteB: r.NonfiniteB, Distance: distanceOf(r)}
	if a != b {
		diff.Note = fmt.Sprintf("%v against %v", a, b)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.filed[pair] = true
	if diff.Different > 0 || diff.Note != "" {
		c.found.Tensors = append(c.found.Tensors, diff)
		return
	}
	c.found.Equal++
	if r.NonfiniteA > 0 {
		c.nonfinite = append(c.nonfinite, int32(pair))
	}
}

// finish files the tensors without elements, names those that are not finite in the order of the checkpoint, and
// puts the worst first.
func (c *comparison) finish() *Diff {
	for pair, filed := range c.filed {
		if !filed {
			c.add(pair, fuse.Difference{})
		}
	}
	slices.Sort(c.nonfinite)
	for _, pair := range c.nonfinite {
		c.found.EqualNonfinite = append(c.found.EqualNonfinite, c.name(int(pair)))
	}
	slices.SortFunc(c.found.Tensors, func(a, b TensorDiff) int {
		if c := cmp.Or(cmp.Compare(b.severity(), a.severity()), cmp.Compare(b.Nonfinite, a.Nonfinite)); c != 0 {
			return c // names are compared where nothing else tells: they lie anywhere in memory
		}
		return cmp.Compare(a.Name, b.Name)
	})
	return c.found
}

// Next implements [fuse.Method].
func (c *comparison) Next() *fuse.Pass { return nil }

// Reads implements [fuse.Method].
func (c *comparison) Reads() fuse.Reads { return fuse.Reads{Models: true} }

// Expected implements [fuse.Method].
func (c *comparison) Expected() int { return 0 }

// Results implements [fuse.Method].
func (c *comparison) Results() []fuse.Result { return nil }

// Cost implements [fuse.Method].
func (c *comparison) Cost() fuse.Cost {
	return fuse.Cost{Scratch: 2 * fuse.TileElements * 8, Job: func(int) int64 { return 1 << 10 }}
}
