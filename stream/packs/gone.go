package packs

import (
	"context"

	"weld/format"
	"weld/format/patch"
	"weld/mmapio"
)

// gone are the tensors of a base that the result of a patch does not have, of those names.
type gone struct {
	base   format.Checkpoint
	stays  []bool // by tensor of the base: it is there, or has another name there
	byKind map[string]*alikeGone
	buffer []byte
}

// alikeGone are those of one type and shape.
type alikeGone struct {
	tensors  []int // of the base, in order
	digested int   // how many of them were
	byDigest map[patch.TreeDigest][]int
}

func newGone(base format.Checkpoint) *gone {
	return &gone{base: base, stays: make([]bool, len(base.Tensors()))}
}

// there notes that the result has the i-th tensor of the base.
func (g *gone) there(i int) { g.stays[i] = true }

// sort sorts what is gone by type and shape.
func (g *gone) sort() {
	g.byKind = make(map[string]*alikeGone)
	for i, t := range g.base.Tensors() {
		if g.stays[i] {
			continue
		}
		g.buffer = appendKind(g.buffer[:0], t)
		a := g.byKind[string(g.buffer)]
		if a == nil {
			a = &alikeGone{byDigest: make(map[patch.TreeDigest][]int)}
			g.byKind[string(g.buffer)] = a
		}
		a.tensors = append(a.tensors, i)
	}
}

// take finds the first tensor that is gone and holds what a new one does, and is taken by no other; −1 for none. No
// more are read than until it is found, and each once.
func (g *gone) take(ctx context.Context, t format.Tensor, view func(off, n int64) (mmapio.View, error)) (int, error) {
	g.buffer = appendKind(g.buffer[:0], t)
	a := g.byKind[string(g.buffer)]
	if a == nil || t.Bytes() == 0 {
		return -1, nil
	}
	own, err := patch.DigestOf(ctx, t.Bytes(), view)
	if err != nil {
		return -1, err
	}
	for len(a.byDigest[own]) == 0 {
		if a.digested == len(a.tensors) {
			return -1, nil
		}
		i := a.tensors[a.digested]
		d, err := patch.DigestOf(ctx, t.Bytes(), func(off, n int64) (mmapio.View, error) { return g.base.View(i, off, n) })
		if err != nil {
			return -1, err
		}
		a.byDigest[d] = append(a.byDigest[d], i)
		a.digested++
	}
	i := a.byDigest[own][0]
	a.byDigest[own] = a.byDigest[own][1:]
	g.stays[i] = true
	return i, nil
}

// names are those of the tensors that nobody took.
func (g *gone) names() (names []string) {
	for i, t := range g.base.Tensors() {
		if !g.stays[i] {
			names = append(names, t.Name)
		}
	}
	return names
}
