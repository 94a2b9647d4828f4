package stream

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"weld/mmapio"
	"weld/stream/run"
)

// changes are what can happen to a file behind weld's back.
var changes = map[string]func(t *testing.T, path string){
	"touched": func(t *testing.T, path string) {
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
	},
	"longer": func(t *testing.T, path string) { write(t, path, append(read(t, path), 0)) },
	"shorter": func(t *testing.T, path string) {
		if err := os.Truncate(path, 5000); err != nil {
			t.Fatal(err)
		}
	},
	"empty": func(t *testing.T, path string) {
		if err := os.Truncate(path, 0); err != nil {
			t.Fatal(err)
		}
	},
	"replaced": func(t *testing.T, path string) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		write(t, path+".new", read(t, path))
		if err := errors.Join(os.Chtimes(path+".new", time.Time{}, info.ModTime()), os.Rename(path+".new", path)); err != nil {
			t.Fatal(err)
		}
	},
	"gone": func(t *testing.T, path string) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	},
}

// blamesInput demands an error that says which input is not what it was.
func blamesInput(t *testing.T, what, path string, err error) {
	t.Helper()
	var changed *mmapio.ChangedError
	var fault *mmapio.FaultError
	if !errors.As(err, &changed) && !errors.As(err, &fault) || !strings.Contains(err.Error(), path) {
		t.Errorf("%s: %v", what, err)
	}
}

// An input that changed after it was planned is found before the output appears.
func TestInputChangesAfterThePlan(t *testing.T) {
	for what, change := range changes {
		for _, role := range []string{"base", "model", "importance"} {
			p := newFamily(2, small()...).save(t)
			path := map[string]string{"base": filepath.Join(p.base, "model.safetensors"), "model": p.models[1], "importance": p.importance[0]}[role]
			for _, name := range outputs {
				out := p.out(name)
				plan := p.plan(t, ask("sta"), out, Options{})
				good := read(t, path)
				change(t, path)
				_, err := plan.Merge(context.Background())
				plan.Close()
				blamesInput(t, what+" "+role, path, err)
				nothingAt(t, out)
				write(t, path, good)
			}
		}
	}
}

// An input that changes when all of it was read is found as well.
func TestInputChangesBeforeTheCommit(t *testing.T) {
	for what, change := range changes {
		p := newFamily(1, small()...).save(t)
		out := p.out("dir")
		var last sync.Once
		progress := new(run.Progress)
		hook := func(op, _ string) error {
			if step, done := progress.Now(); op == "writeat" && done == step.Bytes && step.Bytes > 0 {
				last.Do(func() { change(t, p.models[0]) })
			}
			return nil
		}
		_, err := p.merge(t, context.Background(), ask("task_arithmetic"), out, Options{Threads: 1, Progress: progress, FS: hooked(hook)})
		var changed *mmapio.ChangedError
		if !errors.As(err, &changed) || changed.Path != p.models[0] {
			t.Errorf("%s: %v", what, err)
		}
		nothingAt(t, out)
	}
}

// An input that is cut short while it is read is an error with its path, never a
// crash: in kernels, in the copy of a tensor's bytes, in a compressor.
func TestInputShrinksWhileRead(t *testing.T) {
	p := long().first(4).save(t)
	victim := p.models[0]
	good := read(t, victim)
	for _, q := range []request{ask("passthrough"), ask("task_arithmetic"), ask("sta", "scope=tensor", "score=magnitude")} {
		for _, name := range outputs {
			for _, size := range []int64{3 << 20, 100} {
				for _, at := range []int{2, 4} { // the first write is the header
					write(t, victim, good)
					out := p.out(name)
					var mu sync.Mutex
					writes := 0
					hook := func(op, _ string) error {
						mu.Lock()
						defer mu.Unlock()
						if op == "write" || op == "writeat" {
							if writes++; writes == at {
								return os.Truncate(victim, size)
							}
						}
						return nil
					}
					o := Options{Threads: 2, FS: hooked(hook)}
					o.Memory = leastMemory(t, p, q, out, o)
					check := noLeak(t)
					var err error
					within(t, func() { _, err = p.merge(t, context.Background(), q, out, o) })
					check()
					blamesInput(t, fmt.Sprintf("%s to %s, cut to %d before write %d", q.method, name, size, at), victim, err)
					nothingAt(t, out)
				}
			}
		}
	}
}

// So it is in every measuring pass, whichever input it is.
func TestInputShrinksWhileMeasured(t *testing.T) {
	for _, pass := range []string{"score statistics", "score histogram", "score histogram, fine"} {
		for _, role := range []string{"base", "model", "importance"} {
			p := long().first(2).save(t)
			victim := map[string]string{"base": filepath.Join(p.base, "model.safetensors"), "model": p.models[0], "importance": p.importance[0]}[role]
			plan := p.plan(t, ask("sta", "score=delta"), p.out("dir"), Options{Threads: 2})
			watch(plan, func(name string) {
				if name == pass {
					if err := os.Truncate(victim, 1<<20); err != nil {
						t.Error(err)
					}
				}
			})
			_, err := plan.Merge(context.Background())
			blamesInput(t, pass+", "+role, victim, err)
			nothingAt(t, p.out("dir"))
			plan.Close()
		}
	}
}
