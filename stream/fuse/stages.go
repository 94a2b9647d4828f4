package fuse

import "weld/internal/vec"

// Measure is a stage that takes figures of every tile and folds them in the order of the
// tiles, so that sums do not depend on how spans were cut. end is called when all are folded;
// it may be nil.
func Measure[T vec.Float, F any](f *Fusion, reads Reads, tile func(in Operands[T]) F, fold func(F), end func() error) Stage {
	return &measureStage[T, F]{Fusion: f, reads: reads, tile: tile, end: end, order: InOrder[F]{Fold: fold}}
}

type measureStage[T vec.Float, F any] struct {
	*Fusion
	reads Reads
	tile  func(in Operands[T]) F
	end   func() error
	order InOrder[F]
}

func (st *measureStage[T, F]) Reads() Reads { return st.reads }

func (st *measureStage[T, F]) Span(s *Scratch, sp *Span) error {
	figures := make([]F, 0, sp.Last-sp.First)
	for t := range sp.Tiles {
		s.Reset()
		figures = append(figures, st.tile(Operands[T]{st.Fusion, s, sp, t}))
	}
	st.order.Add(sp.First, figures)
	return nil
}

func (st *measureStage[T, F]) End() error {
	if st.end == nil {
		return nil
	}
	return st.end()
}

// Produce is the last stage: tile returns the merged elements, which are rounded to the
// output's type.
func Produce[T vec.Float](f *Fusion, tile func(in Operands[T]) []T) Stage {
	return &produceStage[T]{Fusion: f, tile: tile}
}

type produceStage[T vec.Float] struct {
	*Fusion
	tile func(in Operands[T]) []T
}

func (st *produceStage[T]) Reads() Reads { return st.reads }
func (st *produceStage[T]) End() error   { return nil }

func (st *produceStage[T]) Span(s *Scratch, sp *Span) error {
	for t := range sp.Tiles {
		s.Reset()
		n, err := Encode(st.finisher, sp, t, st.tile(Operands[T]{st.Fusion, s, sp, t}))
		if err != nil {
			return err
		}
		if !sp.Again {
			st.nonfinite.Add(n)
		}
	}
	return nil
}

// Fails is a stage that ends the run, for a tensor that a method cannot merge.
func Fails(err error) []Stage { return []Stage{failure{err}} }

type failure struct{ err error }

func (failure) Reads() Reads                 { return Reads{} }
func (f failure) Span(*Scratch, *Span) error { return f.err }
func (failure) End() error                   { return nil }
