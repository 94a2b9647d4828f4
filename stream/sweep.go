package stream

import (
	"context"
	"errors"
	"time"

	"weld/stream/fuse"
	"weld/stream/plan"
	"weld/stream/recipe"
	"weld/stream/run"
)

// Sweep is a merge in several variants, which differ in numbers alone: each has an output of its
// own, and every pass reads the inputs once for all of them.
type Sweep struct {
	Plans []*Prepared // which share the inputs, and the budget
}

// Variant is one of them.
type Variant struct {
	Recipe *recipe.Recipe
	Out    string
}

// NewSweep plans variants of one merge. The error is that of [Prepare]. The sweep must be
// closed.
func NewSweep(variants []Variant, o Options) (*Sweep, error) {
	o = o.withDefaults()
	s := new(Sweep)
	began := transfers()
	for _, v := range variants {
		p, err := s.variant(v, o)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.Plans = append(s.Plans, &Prepared{Plan: p, Options: o, began: began})
	}
	budget, err := divide(s.Plans[0].Plan, fuse.Joint(s.methods()), len(variants), o)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	for _, v := range s.Plans {
		v.Budget = budget
	}
	return s, nil
}

// variant plans one more; the first one opens the inputs.
func (s *Sweep) variant(v Variant, o Options) (*plan.Plan, error) {
	if err := o.resume(v.Out); err != nil {
		return nil, &plan.InputError{Problems: []error{err}}
	}
	planning := o.planning()
	planning.Varied = true
	if len(s.Plans) == 0 {
		return plan.New(v.Recipe, v.Out, planning)
	}
	return s.Plans[0].Variant(v.Recipe, v.Out, planning)
}

// Close closes the inputs.
func (s *Sweep) Close() error {
	if len(s.Plans) == 0 {
		return nil
	}
	return s.Plans[0].Close()
}

// methods begin all variants.
func (s *Sweep) methods() (list []fuse.Method) {
	for _, v := range s.Plans {
		list = append(list, v.NewMethod(v.Options.tableBytes()))
	}
	return list
}

// Merge runs all variants; see [Prepared.Merge]. Outputs are committed one after the other, in
// order.
func (s *Sweep) Merge(ctx context.Context) ([]*Report, error) {
	start := time.Now()
	lead, methods := s.Plans[0], s.methods()
	runner := run.New(config(lead.Plan, fuse.Joint(methods), len(methods), lead.Budget, lead.Options))
	if err := runner.Measure(ctx); err != nil {
		return nil, lead.Explain(err)
	}
	outs, sinks, err := s.create()
	if err != nil {
		return nil, errors.Join(err, discard(outs, err))
	}
	result, err := runner.Fuse(ctx, sinks)
	if err != nil {
		return nil, errors.Join(lead.Explain(err), discard(outs, err))
	}
	if err := lead.Unchanged(); err != nil {
		return nil, errors.Join(err, discard(outs, err))
	}
	var reports []*Report
	for i, out := range outs {
		if err := out.commit(ctx); err != nil {
			return nil, errors.Join(err, discard(outs[i+1:], err))
		}
		reports = append(reports, s.Plans[i].transferred(report(s.Plans[i].Plan, result.Passes, methods[i].Results(), time.Since(start))))
	}
	return reports, nil
}

// create begins the outputs of all variants; some of them have begun even if it fails.
func (s *Sweep) create() (outs []*writer, sinks []run.Sink, err error) {
	for _, v := range s.Plans {
		out, err := create(v.Plan, v.Budget, v.Options)
		if err != nil {
			return outs, nil, err
		}
		outs, sinks = append(outs, out), append(sinks, out)
	}
	return outs, sinks, nil
}

// discard gives outputs up.
func discard(outs []*writer, cause error) error {
	var errs []error
	for _, out := range outs {
		errs = append(errs, out.discard(cause))
	}
	return errors.Join(errs...)
}
