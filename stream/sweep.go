package stream

import (
	"context"
	"errors"
	"time"

	"weld/stream/fuse"
	"weld/stream/recipe"
)

// Sweep is a merge in several variants, which differ in numbers alone: each has an output of its
// own, and every pass reads the inputs once for all of them.
type Sweep struct{ Plans []*Plan }

// Variant is one of them.
type Variant struct {
	Recipe *recipe.Recipe
	Out    string
}

// NewSweep plans variants of one merge. The error is that of [NewPlan]. The sweep must be
// closed.
func NewSweep(variants []Variant, o Options) (*Sweep, error) {
	lead, err := NewPlan(variants[0].Recipe, variants[0].Out, o)
	if err != nil {
		return nil, err
	}
	s := &Sweep{Plans: []*Plan{lead}}
	for _, v := range variants[1:] {
		p, err := lead.variant(v)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.Plans = append(s.Plans, p)
	}
	lead.variants = len(s.Plans)
	return s, s.together(func() error { return lead.divide() })
}

// Close closes the inputs, which the variants share.
func (s *Sweep) Close() error { return s.Plans[0].Close() }

// variant plans another merge of the same inputs.
func (p *Plan) variant(v Variant) (*Plan, error) {
	q := &Plan{
		Recipe: v.Recipe, Out: v.Out, Options: p.Options, Sources: p.Sources,
		base: p.base, models: p.models, importance: p.importance, statistics: p.statistics, files: p.files, rows: p.rows,
	}
	problems := q.match()
	if err := q.checkPlace(); err != nil {
		problems = append(problems, err)
	}
	if len(problems) == 0 {
		problems = q.prepare()
	}
	if len(problems) > 0 {
		return nil, &InputError{problems}
	}
	return q, nil
}

// together has the first plan work for all of them while f runs.
func (s *Sweep) together(f func() error) error {
	lead := s.Plans[0]
	if len(s.Plans) > 1 {
		own := lead.method
		defer func() { lead.method = own }()
		var methods []fuse.Method
		for _, p := range s.Plans {
			methods = append(methods, p.method)
		}
		lead.method = fuse.Together(methods)
	}
	return f()
}

// Merge runs all variants; see [Plan.Merge]. Outputs are committed one after the other, in
// order.
func (s *Sweep) Merge(ctx context.Context) ([]*Report, error) {
	start := time.Now()
	passes := 0
	var outs []*output
	err := s.together(func() (err error) {
		passes, outs, err = s.fuse(ctx)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, discard(outs, err))
	}
	if err := s.Plans[0].unchanged(); err != nil {
		return nil, errors.Join(err, discard(outs, err))
	}
	var reports []*Report
	for i, out := range outs {
		if err := out.commit(ctx); err != nil {
			return nil, errors.Join(err, discard(outs[i+1:], err))
		}
		reports = append(reports, s.Plans[i].report(passes+1, time.Since(start)))
	}
	return reports, nil
}

// fuse measures and fills the outputs, which it has begun even if it fails.
func (s *Sweep) fuse(ctx context.Context) (passes int, outs []*output, err error) {
	lead := s.Plans[0]
	if passes, err = lead.measure(ctx); err != nil {
		return passes, nil, err
	}
	for _, p := range s.Plans {
		out, err := p.create()
		if err != nil {
			return passes, outs, err
		}
		outs = append(outs, out)
	}
	fusing := &walk{plan: lead, name: "fuse", reads: lead.method.Reads(), chain: lead.method.Fuse, outs: outs}
	fusing.announce(passes, passes+1)
	return passes, outs, fusing.run(ctx)
}

// discard gives outputs up.
func discard(outs []*output, cause error) error {
	var errs []error
	for _, out := range outs {
		errs = append(errs, out.discard(cause))
	}
	return errors.Join(errs...)
}
