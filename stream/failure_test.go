package stream

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"weld/format/safetensors"
	"weld/mmapio"
)

var errInjected = errors.New("injected")

// injector fails the n-th operation, counted from 1, and remembers what it was.
type injector struct {
	n     int64
	final string
	count atomic.Int64

	mu        sync.Mutex
	failed    string // the operation that was failed, "" if there was none
	published bool   // the output was under its final name by then
}

func (in *injector) hook(op, path string) error {
	if in.count.Add(1) != in.n {
		return nil
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	_, err := os.Lstat(in.final)
	in.failed, in.published = op, err == nil
	return errInjected
}

// outputs are the containers, each with a path in a fresh directory.
var outputs = []string{"dir", "one.safetensors", "one.safetensors.zst"}

// The n-th operation fails, for every n until a run gets through: each failure
// surfaces, and leaves nothing under the output's name, no stage, no goroutine and no
// open file. What fails after the output was put in place is reported as well; the
// output is then complete.
func TestEveryFailureSurfaces(t *testing.T) {
	p := newFamily(2, small()...).save(t)
	write(t, filepath.Join(p.base, "config.json"), []byte(`{"torch_dtype":"float32"}`))
	for _, name := range outputs {
		t.Run(name, func(t *testing.T) {
			q := ask("sta", "dtype=bfloat16")
			o := Options{Threads: 3, ShardSize: 20 << 10}
			want := filepath.Join(t.TempDir(), name)
			p.must(t, q, want, o)
			o.Memory = leastMemory(t, p, q, filepath.Join(t.TempDir(), name), o)
			seen := map[string]int{}
			for n := int64(1); ; n++ {
				out := filepath.Join(t.TempDir(), name)
				in := &injector{n: n, final: out}
				o.FS = hooked(in.hook)
				check := noLeak(t)
				var err error
				within(t, func() { _, err = p.merge(t, context.Background(), q, out, o) })
				check()
				if in.failed == "" {
					if err != nil {
						t.Fatalf("nothing failed, but the merge: %v", err)
					}
					break
				}
				seen[in.failed]++
				if !errors.Is(err, errInjected) {
					t.Errorf("operation %d, %s: %v", n, in.failed, err)
				}
				switch {
				case in.published:
					if !maps.Equal(tree(t, out), tree(t, want)) {
						t.Errorf("operation %d, %s: the output is in place, but not complete", n, in.failed)
					}
				case in.failed == "remove":
					if _, err := os.Lstat(out); err == nil {
						t.Errorf("operation %d: an output is there", n)
					}
				default:
					nothingAt(t, out)
				}
				if t.Failed() {
					t.FailNow()
				}
			}
			for _, op := range []string{"lock", "read", "mkdir", "create", "stat", "sync", "close", "identify", "syncdir", "rename", "unlock"} {
				if seen[op] == 0 {
					t.Errorf("%s was never failed: %v", op, seen)
				}
			}
			if writes := seen["write"] + seen["writeat"]; writes < 2 || (name != outputs[2]) != (seen["truncate"] > 0) {
				t.Errorf("failed %v", seen)
			}
		})
	}
}

// While an output is replaced the name holds the old checkpoint or the new one,
// complete, and no file of the user's is lost.
func TestFailuresWhileReplacing(t *testing.T) {
	p := newFamily(1, small()...).save(t)
	q := ask("task_arithmetic")
	want := filepath.Join(t.TempDir(), "dir")
	p.must(t, q, want, Options{})
	fresh := read(t, filepath.Join(want, safetensors.SingleName))
	old := newFamily(1, small()[:1]...).base.file(nil)
	for n := int64(1); ; n++ {
		parent := t.TempDir()
		out := filepath.Join(parent, "dir")
		write(t, filepath.Join(out, safetensors.SingleName), old)
		write(t, filepath.Join(out, "notes.txt"), []byte("mine"))
		in := &injector{n: n, final: out}
		_, err := p.merge(t, context.Background(), q, out, Options{Force: true, Threads: 2, FS: hooked(in.hook)})
		if in.failed != "" && !errors.Is(err, errInjected) {
			t.Errorf("operation %d, %s: %v", n, in.failed, err)
		}
		if got := read(t, filepath.Join(out, safetensors.SingleName)); !bytes.Equal(got, old) && !bytes.Equal(got, fresh) {
			t.Errorf("operation %d, %s: neither old nor new", n, in.failed)
		}
		if notes, _ := filepath.Glob(filepath.Join(parent, "*", "notes.txt")); len(notes) != 1 {
			t.Errorf("operation %d, %s: notes at %v", n, in.failed, notes)
		}
		if in.failed == "" {
			if err != nil || !bytes.Equal(read(t, filepath.Join(out, safetensors.SingleName)), fresh) {
				t.Errorf("not replaced: %v", err)
			}
			break
		}
	}
}

// A write of a compressed output fails when the other workers have filled the window
// and wait for it.
func TestFailureWakesWaitingWorkers(t *testing.T) {
	p := long().save(t)
	for _, threads := range []int{1, 2, 8} {
		for _, at := range []int64{1, 2, 5} {
			out := p.out("x.safetensors.zst")
			check := noLeak(t)
			var err error
			synctest.Test(t, func(t *testing.T) {
				var writes atomic.Int64
				hook := func(op, _ string) error {
					if op == "write" && writes.Add(1) == at {
						synctest.Wait() // until the others wait for the window
						return errInjected
					}
					return nil
				}
				_, err = p.merge(t, context.Background(), ask("task_arithmetic"), out, Options{Threads: threads, FS: hooked(hook)})
			})
			check()
			if !errors.Is(err, errInjected) || !strings.Contains(err.Error(), out) {
				t.Errorf("%d threads, write %d: %v", threads, at, err)
			}
			nothingAt(t, out)
		}
	}
}

// A value that stops the run stops workers that wait for the window, too.
func TestBadValueWakesWaitingWorkers(t *testing.T) {
	f := long().first(12)
	x := f.models[0].find("w.3")
	x.data = slices.Clone(x.data)
	copy(x.data[1000:], []byte{0x80, 0x7f}) // +Inf
	p := f.save(t)
	out := p.out("x.safetensors.zst")
	check := noLeak(t)
	var err error
	within(t, func() {
		_, err = p.merge(t, context.Background(), ask("task_arithmetic"), out, Options{Threads: 8})
	})
	check()
	if err == nil || !strings.Contains(err.Error(), `"w.3", element 500`) || !strings.Contains(err.Error(), p.models[0]) {
		t.Error(err)
	}
	nothingAt(t, out)
}

// A stage that a dead process left behind is cleared away; the one of a living
// process is left alone.
func TestStageOfOthers(t *testing.T) {
	p := newFamily(1, small()...).save(t)
	q := ask("task_arithmetic")
	out := p.out("dir")
	write(t, filepath.Join(mmapio.StagingPath(out), "sub", "left"), []byte("x"))
	p.must(t, q, out, Options{})
	if files := tree(t, out); len(files) != 2 {
		t.Errorf("%d files", len(files))
	}

	out = p.out("other")
	stage, err := mmapio.NewStaging(mmapio.OS, out, mmapio.Directory)
	if err != nil {
		t.Fatal(err)
	}
	defer stage.Discard()
	if _, err := p.merge(t, context.Background(), q, out, Options{}); !errors.Is(err, mmapio.ErrLocked) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(mmapio.StagingPath(out)); err != nil {
		t.Error(err)
	}
}

// An output that appears while the merge runs is not replaced.
func TestOutputAppears(t *testing.T) {
	p := newFamily(1, small()...).save(t)
	for _, name := range outputs {
		out := p.out(name)
		var once sync.Once
		hook := func(op, _ string) error {
			if op == "sync" {
				once.Do(func() { write(t, filepath.Join(out, "x"), nil) })
			}
			return nil
		}
		_, err := p.merge(t, context.Background(), ask("task_arithmetic"), out, Options{FS: hooked(hook)})
		if !errors.Is(err, mmapio.ErrExists) {
			t.Errorf("%s: %v", name, err)
		}
		if files := tree(t, out); len(files) != 1 {
			t.Errorf("%s: %d files", name, len(files))
		}
		if _, err := os.Stat(mmapio.StagingPath(out)); err == nil {
			t.Errorf("%s: the stage is left", name)
		}
	}
}
