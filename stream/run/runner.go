package run

import (
	"context"

	"weld/stream/fuse"
)

// Runner takes one merge through its passes. The memory of its workers serves all of them.
type Runner struct {
	config  Config
	cost    fuse.Cost
	workers []*worker
	passes  int   // that were walked
	left    int64 // elements that an early pass left, and that were decided
}

// Result is what a run found out.
type Result struct {
	Passes  int   // walks over the inputs, the last one included
	Left    int64 // elements that waited for thresholds, and were written twice
	Tensors []fuse.Result
}

// New prepares a run.
func New(c Config) *Runner {
	if c.Progress == nil {
		c.Progress = new(Progress)
	}
	r := &Runner{config: c, cost: c.Method.Cost()}
	for range c.Budget.Workers {
		r.workers = append(r.workers, new(worker))
	}
	return r
}

// Measure walks the inputs until the method knows everything that it has to know before anything is fused.
func (r *Runner) Measure(ctx context.Context) error {
	count := r.config.Method.Expected() + 1
	for pass := r.config.Method.Next(); pass != nil; pass = r.config.Method.Next() {
		if err := r.pass(ctx, &walk{name: pass.Name, reads: pass.Reads, chain: pass.Chain}, count); err != nil {
			return err
		}
		if pass.End != nil {
			if err := pass.End(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Fuse walks the inputs once more and fills the sinks; without sinks, the stages find out what they find out.
// It follows Measure. Where the method can, the walk is the one that finds out the last of what has to be known.
func (r *Runner) Fuse(ctx context.Context, sinks []Sink) (Result, error) {
	for p := r.early(); p != nil; p = r.early() {
		if done, err := r.fuseEarly(ctx, p, sinks); err != nil || done {
			return r.result(), err
		}
		if err := r.Measure(ctx); err != nil {
			return Result{}, err
		}
	}
	return r.last(ctx, &walk{name: "fuse", reads: r.config.Method.Reads(), chain: r.config.Method.Fuse, sinks: sinks, total: r.config.ReadBytes})
}

// Survey walks the inputs for a pass that takes the place of the one that fuses. It follows Measure.
func (r *Runner) Survey(ctx context.Context, pass *fuse.Pass) (Result, error) {
	return r.last(ctx, &walk{name: pass.Name, reads: pass.Reads, chain: pass.Chain})
}

// last walks the inputs for the last time.
func (r *Runner) last(ctx context.Context, w *walk) (Result, error) {
	w.final = true
	if err := r.pass(ctx, w, r.passes+1); err != nil {
		return Result{}, err
	}
	return r.result(), nil
}

// result is what was found out.
func (r *Runner) result() Result {
	return Result{Passes: r.passes, Left: r.left, Tensors: r.config.Method.Results()}
}

// pass does one of count walks.
func (r *Runner) pass(ctx context.Context, w *walk, count int) error {
	w.Runner = r
	if w.total == 0 {
		w.total = w.bytes()
	}
	r.config.Progress.Begin(Phase{Name: w.name, Index: r.passes + 1, Count: max(count, r.passes+1), Bytes: w.total})
	if err := w.run(ctx); err != nil {
		return err
	}
	r.passes++
	return nil
}
