package stream

import (
	"context"
	"fmt"
	"time"

	"weld/stream/fuse"
	"weld/stream/fuse/methods"
	"weld/stream/run"
)

// scored is a method that ranks elements by scores, and can count what it keeps.
type scored interface{ Survey() *fuse.Pass }

// Scored lists the methods that have scores.
func Scored() (names []string) {
	for _, m := range methods.All() {
		if _, ok := m.New(methods.Setup{Jobs: fuse.List{}}).(scored); ok {
			names = append(names, m.Name)
		}
	}
	return names
}

// Score runs the measuring passes and counts what each threshold keeps. It writes
// nothing.
func (p *Prepared) Score(ctx context.Context) (*Report, error) {
	start := time.Now()
	method := p.NewMethod(p.Options.tableBytes())
	ranking, ok := method.(scored)
	if !ok {
		return nil, fmt.Errorf("%s has no scores", p.Recipe.Method.Name)
	}
	runner := run.New(config(p.Plan, method, 1, p.Budget, p.Options))
	if err := runner.Measure(ctx); err != nil {
		return nil, p.Explain(err)
	}
	result, err := runner.Survey(ctx, ranking.Survey())
	if err != nil {
		return nil, p.Explain(err)
	}
	if err := p.Unchanged(); err != nil {
		return nil, err
	}
	return p.transferred(report(p.Plan, result.Passes, result.Tensors, time.Since(start))), nil
}
