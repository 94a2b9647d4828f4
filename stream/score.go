package stream

import (
	"context"
	"fmt"
	"time"

	"weld/stream/fuse"
	"weld/stream/run"
)

// Score runs the measuring passes and counts what each threshold keeps. It writes
// nothing.
func (p *Prepared) Score(ctx context.Context) (*Report, error) {
	start := time.Now()
	method := p.NewMethod(p.Options.tableBytes())
	scored, ok := method.(interface{ Survey() *fuse.Pass })
	if !ok {
		return nil, fmt.Errorf("%s has no scores", p.Recipe.Method.Name)
	}
	runner := run.New(config(p.Plan, method, 1, p.Budget, p.Options))
	if err := runner.Measure(ctx); err != nil {
		return nil, p.Explain(err)
	}
	result, err := runner.Survey(ctx, scored.Survey())
	if err != nil {
		return nil, p.Explain(err)
	}
	if err := p.Unchanged(); err != nil {
		return nil, err
	}
	return report(p.Plan, result.Passes, result.Tensors, time.Since(start)), nil
}
