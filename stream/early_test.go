package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"weld/format"
)

// sampled is large enough for the scores of a model to be sampled.
func sampled(t testing.TB) savedFamily {
	return newFamily(2, describe("a", format.BF16, 2300, 2048), describe("b", format.F32, 90, 100), describe("ids", format.I64, 50), describe("c", format.BF16, 20, 30)).save(t)
}

// one reads an output's only file with tensors.
func one(t testing.TB, out string) []byte {
	t.Helper()
	if info, err := os.Stat(out); err == nil && info.IsDir() {
		out = filepath.Join(out, "model.safetensors")
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// What is fused in the walk that finds the thresholds is what is fused after it, to the byte, in its report too, and little of it is written twice.
func TestOneWalkEqualsTwo(t *testing.T) {
	p := sampled(t)
	for _, q := range []request{
		ask("sta", "preset=paper"), ask("sta"), ask("sta", "preset=paper", "consensus=ties", "lambda=0.7"), ask("sta", "density=0.05", "combine=mean", "rescale=density"),
		ask("sta", "score=magnitude"), ask("sta", "preset=paper", "normalize_scores=max"), ask("sta", "preset=paper", "normalize_scores=none", "dtype=float32"),
		ask("ota", "density=0.3", "statistic=mean_sq_grad"),
	} {
		name := strings.Join(append([]string{q.method}, q.settings...), " ")
		for _, out := range []string{"dir", "file.safetensors"} {
			out = filepath.Join(t.TempDir(), out)
			two := p.must(t, q, out, Options{Passes: PassesTwo})
			want := one(t, out)
			r := p.must(t, q, out, Options{Passes: PassesOne, Force: true, Threads: 3, Memory: 64 << 20})
			if !bytes.Equal(one(t, out), want) {
				t.Errorf("%s, %s: other bytes", name, filepath.Base(out))
			}
			if r.Passes != two.Passes-1 || r.Left == 0 || r.Left > 1<<20 || two.Left != 0 {
				t.Errorf("%s: %d passes after %d, %d elements decided last, %d before", name, r.Passes, two.Passes, r.Left, two.Left)
			}
			for i := range r.Tensors {
				if a, b := r.Tensors[i], two.Tensors[i]; a.Name != b.Name || !slices.Equal(a.Models, b.Models) {
					t.Errorf("%s: %+v, want %+v", name, a, b)
				}
			}
		}
	}
}

// A plan says in how many walks, and that most of so small an output is written again.
func TestPlanOfOneWalk(t *testing.T) {
	p := sampled(t)
	out := filepath.Join(t.TempDir(), "out")
	for passes, walks := range map[Passes]int{PassesOne: 2, PassesTwo: 3, PassesAuto: 3} {
		plan := p.plan(t, ask("sta"), out, Options{Passes: passes})
		s := plan.Summary()
		size := plan.Output.Size
		if one := passes == PassesOne; s.OneWalk != one || s.Passes != walks || (s.Rewritten > size/2) != one || s.Rewritten > size || s.DiskWritten < size+s.Rewritten {
			t.Errorf("%s: %+v", PassesChoices[passes], s)
		}
		plan.Close()
	}
	for why, q := range map[string]request{"contrast": ask("sta", "contrast=true"), "rows": ask("sta", "granularity=row"), "l1": ask("sta", "rescale=l1"), "rank_one": ask("ota", "density=0.3", "rank_one=true", "statistic=mean_sq_grad")} {
		plan := p.plan(t, q, out, Options{Passes: PassesOne})
		if notes := strings.Join(plan.Notes, "\n"); !strings.Contains(notes, "the inputs read more than once: ") || !strings.Contains(notes, why) || plan.Early {
			t.Errorf("%s: notes %q", why, notes)
		}
		plan.Close()
	}
}

// Outputs whose bytes are coded are written after the thresholds are known, whatever is asked for.
func TestTwoWalksWhereBytesAreCoded(t *testing.T) {
	p := sampled(t)
	for _, out := range []string{"file.safetensors.zst", "pack.weld"} {
		q := ask("sta", "preset=paper")
		out = filepath.Join(t.TempDir(), out)
		two := p.must(t, q, out, Options{Passes: PassesTwo})
		want := one(t, out)
		r := p.must(t, q, out, Options{Passes: PassesOne, Force: true})
		if r.Passes != two.Passes || r.Left != 0 || !bytes.Equal(one(t, out), want) {
			t.Errorf("%s: %d passes, %d decided last", out, r.Passes, r.Left)
		}
	}
}

// Where there is no room for what is left, thresholds are found first: nothing is lost but time. What cannot be read back fails the run, and
// leaves nothing.
func TestNoRoomForWhatIsLeft(t *testing.T) {
	p, q := sampled(t), ask("sta", "preset=paper")
	out := filepath.Join(t.TempDir(), "out")
	two := p.must(t, q, out, Options{Passes: PassesTwo})
	want := one(t, out)
	for _, c := range []struct {
		op    string
		after int64 // operations of the kind that work
		fails bool
	}{
		{"create", 0, false}, {"writeat", 0, false}, {"writeat", 1, false}, {"readat", 0, true}, {"readat", 1, true}, {"close", 0, true},
	} {
		var count atomic.Int64
		o := Options{Passes: PassesOne, Force: true, FS: hooked(func(op, path string) error {
			if op == c.op && strings.Contains(path, ".scratch-") && count.Add(1) > c.after {
				return errInjected
			}
			return nil
		})}
		r, err := p.merge(t, context.Background(), q, out, o)
		if c.fails {
			if !errors.Is(err, errInjected) {
				t.Errorf("%s %d: %v", c.op, c.after, err)
			}
		} else if err != nil || r.Passes <= two.Passes || r.Left != 0 {
			t.Errorf("%s %d: %v, %+v", c.op, c.after, err, r)
		}
		if !bytes.Equal(one(t, out), want) {
			t.Errorf("%s %d: other bytes", c.op, c.after)
		}
		if entries, err := os.ReadDir(filepath.Dir(out)); err != nil || len(entries) != 1 {
			t.Errorf("%s %d: %v beside the output, %v", c.op, c.after, entries, err)
		}
	}
}

// An interrupt is heeded while what was left is decided.
func TestInterruptWhileDeciding(t *testing.T) {
	p := sampled(t)
	ctx, stop := context.WithCancel(context.Background())
	out := filepath.Join(t.TempDir(), "out")
	o := Options{Passes: PassesOne, FS: hooked(func(op, path string) error {
		if op == "readat" && strings.Contains(path, ".scratch-") {
			stop()
		}
		return nil
	})}
	if _, err := p.merge(t, ctx, ask("sta", "preset=paper"), out, o); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	nothingAt(t, out)
}

// A guess that the output's type cannot hold is not judged: what is not finite is counted once, and stops the run with the words of two walks.
func TestOneWalkJudgesWhatIsDecided(t *testing.T) {
	p := newFamily(1, describe("a", format.F16, 2300, 2048)).save(t)
	for _, policy := range []string{"base", "propagate"} {
		q := ask("sta", "preset=paper", "lambda=1e6", "nonfinite="+policy)
		out := filepath.Join(t.TempDir(), "out")
		two := p.must(t, q, out, Options{Passes: PassesTwo})
		want := one(t, out)
		r := p.must(t, q, out, Options{Passes: PassesOne, Force: true})
		if r.Nonfinite != two.Nonfinite || two.Nonfinite == 0 || r.Left == 0 || !bytes.Equal(one(t, out), want) {
			t.Errorf("%s: %d not finite, want %d; %d decided last", policy, r.Nonfinite, two.Nonfinite, r.Left)
		}
	}
	_, err := p.merge(t, context.Background(), ask("sta", "preset=paper", "lambda=1e6"), filepath.Join(t.TempDir(), "out"), Options{Passes: PassesOne})
	if err == nil || !strings.HasPrefix(err.Error(), "the output: ") || !strings.HasSuffix(err.Error(), "nonfinite base takes the base's") {
		t.Errorf("got %v", err)
	}
}

// A full disk is none where what is left fills it: the output comes first.
func TestWhatIsLeftGivesWayToTheOutput(t *testing.T) {
	p, q := sampled(t), ask("sta", "preset=paper")
	out := filepath.Join(t.TempDir(), "out")
	two := p.must(t, q, out, Options{Passes: PassesTwo})
	want := one(t, out)
	// From then on it is in the way: while it is filled, and when it is decided. Then thresholds are known, and one walk is left; a walk that fails is not counted.
	for since, passes := range map[string]int{"create": 1 + two.Passes, "readat": 3} {
		var there, met atomic.Bool
		o := Options{Passes: PassesOne, Force: true, Threads: 1, FS: hooked(func(op, path string) error {
			scratch := strings.Contains(path, ".scratch-")
			switch {
			case scratch && op == since:
				there.Store(true)
			case scratch && op == "close":
				there.Store(false)
			case !scratch && op == "writeat" && there.Load():
				met.Store(true)
				return &os.PathError{Op: "write", Path: path, Err: syscall.ENOSPC}
			}
			return nil
		})}
		r, err := p.merge(t, context.Background(), q, out, o)
		if err != nil || !met.Load() || r.Left != 0 || r.Passes != passes || !bytes.Equal(one(t, out), want) {
			t.Errorf("%s: %v, met %t, %+v", since, err, met.Load(), r)
		}
		if entries, err := os.ReadDir(filepath.Dir(out)); err != nil || len(entries) != 1 {
			t.Errorf("%s: %v beside the output, %v", since, entries, err)
		}
	}
}

// A memory budget that is enough for two walks is no error where it is not for one.
func TestLittleMemoryTakesTwoWalks(t *testing.T) {
	p, q := sampled(t), ask("sta", "preset=paper")
	out := filepath.Join(t.TempDir(), "out")
	two := p.must(t, q, out, Options{Passes: PassesTwo})
	want, fell := one(t, out), false
	for memory := int64(60 << 20); memory > 24<<20; memory -= 1 << 20 {
		enough, err := Prepare(p.recipe(t, q), out, Options{Passes: PassesTwo, Memory: memory, Force: true})
		if err != nil {
			break
		}
		if err := enough.Close(); err != nil {
			t.Error(err)
		}
		plan := p.plan(t, q, out, Options{Passes: PassesOne, Memory: memory, Force: true})
		noted := slices.ContainsFunc(plan.Notes, func(note string) bool { return strings.Contains(note, "the memory budget is too small") })
		if noted == plan.Early {
			t.Errorf("%d bytes: in one walk %t, %q", memory, plan.Early, plan.Notes)
		}
		if noted && !fell {
			fell = true
			if r, err := plan.Merge(context.Background()); err != nil || r.Passes != two.Passes || !bytes.Equal(one(t, out), want) {
				t.Errorf("%d bytes: %v, %+v", memory, err, r)
			}
		}
		if err := plan.Close(); err != nil {
			t.Error(err)
		}
	}
	if !fell {
		t.Error("any memory that is enough for two walks is enough for one")
	}
}

// What a model has no importance of has no divisor that depends on the walk.
func TestOneWalkReportsDivisorsOfTwo(t *testing.T) {
	var tensors []format.Tensor
	for i := range 9 { // too small to be counted while they are summed up
		tensors = append(tensors, describe(fmt.Sprint("t", i), format.BF16, 512, 1000))
	}
	f := newFamily(1, append(tensors, describe("without", format.BF16, 20, 30))...)
	f.importance[0] = f.importance[0][:9]
	p, q := f.save(t), ask("sta", "missing_importance=drop")
	two := p.must(t, q, filepath.Join(t.TempDir(), "out"), Options{Passes: PassesTwo})
	r := p.must(t, q, filepath.Join(t.TempDir(), "out"), Options{Passes: PassesOne})
	if r.Left == 0 {
		t.Error("not in one walk")
	}
	for i := range two.Tensors {
		if a, b := r.Tensors[i], two.Tensors[i]; !slices.Equal(a.Models, b.Models) {
			t.Errorf("%s: %+v, want %+v", a.Name, a.Models, b.Models)
		}
	}
}
