package stream

import (
	"context"
	"testing"

	"weld/mmapio"
	"weld/stream/fuse"
	"weld/stream/run"
)

// steps runs a plan pass by pass, and looks at the progress after each.
func steps(t *testing.T, p *Prepared) (list []run.Phase) {
	t.Helper()
	progress := p.Options.Progress
	look := func() {
		step, done := progress.Now()
		if done != step.Bytes {
			t.Errorf("%s %s: %d bytes announced, %d read", p.Recipe.Method.Name, step.Name, step.Bytes, done)
		}
		if step.Index != len(list)+1 || step.Index > step.Count || step.Name == "" {
			t.Errorf("step %+v after %d", step, len(list))
		}
		list = append(list, step)
	}
	begun := 0
	method := &between{p.NewMethod(p.Options.tableBytes()), func() {
		if begun++; begun > 1 {
			look()
		}
	}}
	runner := run.New(config(p.Plan, method, 1, p.Budget, p.Options))
	if err := runner.Measure(context.Background()); err != nil {
		t.Fatal(err)
	}
	out, err := create(p.Plan, p.Budget, p.Options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := runner.Fuse(context.Background(), []run.Sink{out}); err != nil {
		t.Fatal(err)
	}
	if err := out.discard(nil); err != nil {
		t.Fatal(err)
	}
	look()
	return list
}

// between reports when the engine asks for the next pass.
type between struct {
	fuse.Method
	ended func()
}

func (b *between) Next() *fuse.Pass {
	b.ended()
	return b.Method.Next()
}

// The bytes that a step announces are the ones that it reads.
func TestProgressEndsWhereItSaid(t *testing.T) {
	p := newFamily(2, mixed()...).save(t)
	for _, q := range []request{
		ask("sta"), ask("sta", "score=delta"), ask("sta", "score=magnitude"), ask("sta", "score=fisher", "granularity=row"), ask("ota", "density=0.3"), ask("ota", "density=0.3", "rank_one=true"),
		ask("sta", "normalize_scores=none", "contrast=true"), ask("sta", "granularity=tensor", "normalize_scores=none"), ask("sta", "scope=tensor", "rescale=l1"),
		ask("sta", "density=1"), ask("sta", "missing_importance=drop"), ask("task_arithmetic"), ask("linear"), ask("linear", "base="+p.base), ask("passthrough"),
	} {
		progress := new(run.Progress)
		plan := p.plan(t, q, p.out("x.safetensors"), Options{Force: true, Threads: 3, Progress: progress})
		announced := plan.Costs.Passes
		list := steps(t, plan)
		plan.Close()
		if len(list) != announced || list[0].Count != announced {
			t.Errorf("%s %v: %d passes, %d announced", q.method, q.settings, len(list), announced)
		}
	}
}

// Watched from another goroutine, progress never runs ahead.
func TestProgressNeverRunsAhead(t *testing.T) {
	p := newFamily(2, mixed()...).save(t)
	progress := new(run.Progress)
	stop := make(chan struct{})
	watched := make(chan int)
	go func() {
		seen := 0
		for {
			select {
			case <-stop:
				watched <- seen
				return
			default:
			}
			before, done := progress.Now()
			if done > before.Bytes {
				t.Errorf("%d of %d bytes in %s", done, before.Bytes, before.Name)
			}
			seen++
		}
	}()
	p.must(t, ask("sta"), p.out("x"), Options{Threads: 3, Progress: progress, FS: mmapio.OS})
	close(stop)
	if <-watched == 0 {
		t.Error("never looked")
	}
}
