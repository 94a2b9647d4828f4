package stream

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weld/stream/run"
)

func TestCancelledBefore(t *testing.T) {
	p := newFamily(1, small()...).save(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, q := range []request{ask("sta"), ask("linear")} {
		for _, name := range outputs {
			check := noLeak(t)
			_, err := p.merge(t, ctx, q, p.out(name), Options{Threads: 2})
			check()
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s to %s: %v", q.method, name, err)
			}
			nothingAt(t, p.out(name))
		}
	}
}

// Cancelled at any operation on the output, a merge stops with nothing left, or was
// complete already.
func TestCancelledAtAnyOperation(t *testing.T) {
	p := newFamily(2, small()...).save(t)
	for _, name := range outputs {
		q := ask("sta", "score=magnitude")
		want := filepath.Join(t.TempDir(), name)
		p.must(t, q, want, Options{})
		for n := int64(1); ; n++ {
			out := filepath.Join(t.TempDir(), name)
			ctx, cancel := context.WithCancel(context.Background())
			var count atomic.Int64
			o := Options{Threads: 3, FS: hooked(func(string, string) error {
				if count.Add(1) == n {
					cancel()
				}
				return nil
			})}
			check := noLeak(t)
			var err error
			within(t, func() { _, err = p.merge(t, ctx, q, out, o) })
			cancel()
			check()
			switch {
			case err == nil:
				if !maps.Equal(tree(t, out), tree(t, want)) {
					t.Errorf("%s, operation %d: not complete", name, n)
				}
			case errors.Is(err, context.Canceled):
				nothingAt(t, out)
			default:
				t.Errorf("%s, operation %d: %v", name, n, err)
			}
			if count.Load() < n {
				break
			}
		}
	}
}

// A cancelled measuring pass ends the run before an output is begun.
func TestCancelledWhileMeasuring(t *testing.T) {
	p := newFamily(2, mixed()...).save(t)
	for _, pass := range []string{"score statistics", "score histogram", "score histogram, fine"} {
		progress := new(run.Progress)
		plan := p.plan(t, ask("sta"), p.out("x.safetensors"), Options{Threads: 2, Progress: progress,
			FS: hooked(func(op, _ string) error { t.Errorf("%s during %s", op, pass); return nil })})
		ctx, cancel := context.WithCancel(context.Background())
		watch(plan, func(name string) {
			if name == pass {
				cancel()
			}
		})
		check := noLeak(t)
		var err error
		within(t, func() { _, err = plan.Merge(ctx) })
		check()
		if step, _ := progress.Now(); !errors.Is(err, context.Canceled) || step.Name != pass {
			t.Errorf("%s: %v in %q", pass, err, step.Name)
		}
		nothingAt(t, p.out("x.safetensors"))
		plan.Close()
		cancel()
	}
}

// Cancelled at any time at all.
func TestCancelledAnytime(t *testing.T) {
	p := long().first(3).save(t)
	out := p.out("x.safetensors.zst")
	q, o := ask("sta", "score=magnitude"), Options{Threads: 4}
	start := time.Now()
	p.must(t, q, out, o)
	took := time.Since(start)
	want := tree(t, out)
	o.Force = true
	cancelled := 0
	for i := range 12 {
		out := filepath.Join(t.TempDir(), "x.safetensors.zst")
		ctx, cancel := context.WithTimeoutCause(context.Background(), took*time.Duration(i)/14, context.Canceled)
		check := noLeak(t)
		var err error
		within(t, func() { _, err = p.merge(t, ctx, q, out, o) })
		cancel()
		check()
		if err == nil {
			if !maps.Equal(tree(t, out), want) {
				t.Error("not complete")
			}
			continue
		}
		cancelled++
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		nothingAt(t, out)
	}
	if cancelled == 0 {
		t.Error("no run was cancelled")
	}
}

// A disk that does not come back from a sync does not hold up the end of the run.
func TestCancelledWhileTheDiskIsStuck(t *testing.T) {
	p := newFamily(1, small()...).save(t)
	for _, name := range outputs {
		out := p.out(name)
		ctx, cancel := context.WithCancel(context.Background())
		stuck := make(chan struct{})
		var once sync.Once
		check := noLeak(t)
		o := Options{FS: hooked(func(op, _ string) error {
			if op == "sync" {
				once.Do(cancel)
				<-stuck
			}
			return nil
		})}
		var err error
		within(t, func() { _, err = p.merge(t, ctx, ask("linear"), out, o) })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		nothingAt(t, out)
		close(stuck)
		check()
		nothingAt(t, out)
	}
}

// Workers that wait for a slot in the window are woken by the end of the context.
func TestCancelledWhileWaitingForTheWindow(t *testing.T) {
	p := long().save(t)
	for _, threads := range []int{2, 8} {
		out := p.out("x.safetensors.zst")
		check := noLeak(t)
		var err error
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			var writes atomic.Int64
			o := Options{Threads: threads, FS: hooked(func(op, _ string) error {
				if op == "write" && writes.Add(1) == 2 {
					synctest.Wait() // until the others wait for the window
					cancel()
				}
				return nil
			})}
			_, err = p.merge(t, ctx, ask("task_arithmetic"), out, o)
		})
		check()
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		nothingAt(t, out)
	}
}
