package stream

import (
	"context"
	"errors"
	"time"

	"weld/stream/run"
)

// Merge runs the plan: measuring passes until every threshold is known, the pass
// that fuses and writes, and the commit. When it fails or ctx ends, nothing stands
// under the output's name that was not there before.
func (p *Prepared) Merge(ctx context.Context) (*Report, error) {
	start := time.Now()
	runner := run.New(config(p.Plan, p.NewMethod(p.Options.tableBytes()), 1, p.Budget, p.Options))
	if err := runner.Measure(ctx); err != nil {
		return nil, p.Explain(err)
	}
	out, err := create(p.Plan, p.Budget, p.Options)
	if err != nil {
		return nil, err
	}
	result, err := runner.Fuse(ctx, []run.Sink{out})
	if err != nil {
		return nil, errors.Join(p.Explain(err), out.discard(err))
	}
	if err := p.Unchanged(); err != nil {
		return nil, errors.Join(err, out.discard(err))
	}
	if err := out.commit(ctx); err != nil {
		return nil, err
	}
	r := p.transferred(report(p.Plan, result.Passes, result.Tensors, time.Since(start)))
	r.Left = result.Left
	return r, nil
}
