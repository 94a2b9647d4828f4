package selective

import (
	"weld/internal/vec"
	"weld/stream/fuse"
)

// candidate is one model's masked and rescaled task vector in one tile.
type candidate[T vec.Float] struct {
	weight T
	tau    []T
	scores []T // normalised, for ByImportance; w·a·m, for ByCurvature
}

// combination sums up candidates in recipe order.
type combination[T vec.Float] struct {
	how Combine
	num []T
	den []T // models that keep an element, their scores, or their w·a; not for Sum
}

func newCombination[T vec.Float](how Combine, s *fuse.Scratch, n int) combination[T] {
	c := combination[T]{how: how, num: fuse.Take[T](s, n)}
	vec.Fill(c.num, 0)
	if how != Sum {
		c.den = fuse.Take[T](s, n)
		vec.Fill(c.den, 0)
	}
	return c
}

func (c *combination[T]) add(x candidate[T]) {
	switch c.how {
	case Sum:
		vec.Axpy(c.num, x.weight, x.tau)
	case Mean:
		vec.Axpy(c.num, x.weight, x.tau)
		vec.CountNonZero(c.den, x.tau)
	case ByImportance:
		vec.MulAxpy(c.num, x.weight, x.scores, x.tau)
		vec.AddWhereNonZero(c.den, x.scores, x.tau)
	case ByCurvature:
		vec.MulAxpy(c.num, 1, x.scores, x.tau)
		vec.Add(c.den, x.scores)
	}
}

// result divides, giving 0 where no model keeps the element.
func (c *combination[T]) result() []T {
	if c.how != Sum {
		vec.DivBy(c.num, c.num, c.den)
	}
	return c.num
}

// election is the sign election of TIES (arXiv 2306.01708): an element of a task
// vector stays where its weighted sign is that of the sum over all models.
type election[T vec.Float] struct {
	sum        []T
	candidates []candidate[T]
	votes      [][]T // weighted task vectors
}

// open begins the election of a tile.
func (e *election[T]) open(s *fuse.Scratch, n int) {
	e.candidates, e.votes = e.candidates[:0], e.votes[:0]
	e.sum = fuse.Take[T](s, n)
	vec.Fill(e.sum, 0)
}

func (e *election[T]) cast(s *fuse.Scratch, c candidate[T]) {
	vote := fuse.Take[T](s, len(c.tau))
	vec.Scale(vote, c.tau, c.weight)
	vec.SignSum(e.sum, vote)
	e.votes = append(e.votes, vote)
	e.candidates = append(e.candidates, c)
}

// elect zeroes the elements that lost, and returns the candidates.
func (e *election[T]) elect() []candidate[T] {
	for i, c := range e.candidates {
		vec.KeepSign(c.tau, e.votes[i], e.sum)
	}
	return e.candidates
}
