package stream

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"reflect"
	"sync"
	"testing"

	"weld/mmapio"
	"weld/stream/fuse"
	"weld/stream/run"
)

// measuredSink is a sink that sees some tensors first.
type measuredSink struct {
	first func(tensor int) bool

	mu             sync.Mutex
	shown, written map[int][]byte
	taken          map[int]int // bytes of either
	wrong          string
}

func newMeasuredSink(first func(int) bool) *measuredSink {
	return &measuredSink{first: first, shown: make(map[int][]byte), written: make(map[int][]byte), taken: make(map[int]int)}
}

// take notes bytes.
func (s *measuredSink) take(in map[int][]byte, tensor int, off int64, p []byte) {
	if n := off + int64(len(p)); int64(len(in[tensor])) < n {
		in[tensor] = append(in[tensor], make([]byte, n-int64(len(in[tensor])))...)
	}
	copy(in[tensor][off:], p)
	s.taken[tensor] += len(p)
}

func (s *measuredSink) Measures(tensor int) bool { return s.first(tensor) }

func (s *measuredSink) Measure(tensor int, off int64, p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.first(tensor) || s.written[tensor] != nil {
		s.wrong = fmt.Sprintf("tensor %d is shown, and need not be, or too late", tensor)
	}
	s.take(s.shown, tensor, off, p)
	return nil
}

func (s *measuredSink) WriteAt(tensor int, off int64, p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.written[tensor] == nil && s.first(tensor) && s.taken[tensor] != len(s.shown[tensor]) {
		s.wrong = fmt.Sprintf("tensor %d is not shown once", tensor)
	}
	s.take(s.written, tensor, off, p)
	return nil
}

func (s *measuredSink) CopyAt(tensor int, off int64, src *mmapio.File, from, n int64) error {
	p := make([]byte, n)
	if _, err := src.ReadAt(p, from); err != nil {
		return err
	}
	return s.WriteAt(tensor, off, p)
}

func (s *measuredSink) Abort(error) {}

// rehearsed merges into sinks, and returns what the method found out.
func rehearsed(t *testing.T, plans []*Prepared, sinks ...*measuredSink) (found [][]fuse.Result) {
	t.Helper()
	lead := plans[0]
	var methods []fuse.Method
	for _, p := range plans {
		methods = append(methods, p.NewMethod(p.Options.tableBytes()))
	}
	method := methods[0]
	if len(methods) > 1 {
		method = fuse.Joint(methods)
	}
	lead.Options.Progress = new(run.Progress)
	c := config(lead.Plan, method, len(methods), lead.Budget, lead.Options)
	c.ReadBytes = 0 // the plan knows nothing of these sinks
	runner := run.New(c)
	if err := runner.Measure(context.Background()); err != nil {
		t.Fatal(err)
	}
	var to []run.Sink
	for _, s := range sinks {
		to = append(to, s)
	}
	if _, err := runner.Fuse(context.Background(), to); err != nil {
		t.Fatal(err)
	}
	for _, m := range methods {
		found = append(found, m.Results())
	}
	if step, done := lead.Options.Progress.Now(); len(plans) == 1 && step.Bytes != done {
		t.Errorf("%s: %d bytes announced, %d read", lead.Recipe.Method.Name, step.Bytes, done)
	}
	return found
}

// A sink that sees tensors first is shown what it is given then, for every method, and nothing is counted twice.
func TestRehearsals(t *testing.T) {
	f := newFamily(2, mixed()...)
	theta := f.models[0].find("wide").values()
	theta[3], theta[30000] = math.Inf(1), math.NaN()
	*f.models[0].find("wide") = floats("wide", f.base.find("wide").DType, theta, 2, 20000)
	p := f.save(t)
	odd := func(tensor int) bool { return tensor%2 == 1 || tensor < 4 }
	for _, q := range append(everyMethod(), ask("sta", "score=magnitude"), ask("sta", "scope=tensor", "granularity=row"), ask("sce", "select_topk=0.5"), ask("passthrough", "scale=-1")) {
		for _, threads := range []int{1, 4} {
			plan := p.plan(t, q.with("nonfinite=propagate"), p.out("x.safetensors"), Options{Force: true, Threads: threads})
			if threads > 1 { // many items of a tile each, and memory for the results of some
				plan.Budget.Span, plan.Budget.Views = 1, 100_000
			}
			once, twice := newMeasuredSink(func(int) bool { return false }), newMeasuredSink(odd)
			want := rehearsed(t, []*Prepared{plan}, once)
			got := rehearsed(t, []*Prepared{plan}, twice)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: results differ where tensors are gone through twice", q.method)
			}
			if once.wrong+twice.wrong != "" {
				t.Errorf("%s: %s%s", q.method, once.wrong, twice.wrong)
			}
			shown := 0
			for i, x := range plan.Tensors {
				if !bytes.Equal(once.written[i], twice.written[i]) {
					t.Errorf("%s: %s is another if it is shown first", q.method, x.Name)
				}
				if _, fused := (tensors{plan.Plan}).Job(i); fused && odd(i) && x.Bytes() > 0 {
					shown++
					if !bytes.Equal(twice.shown[i], twice.written[i]) {
						t.Errorf("%s: %s: %d bytes are shown, %d written, or others", q.method, x.Name, len(twice.shown[i]), len(twice.written[i]))
					}
				} else if twice.shown[i] != nil {
					t.Errorf("%s: %s is shown", q.method, x.Name)
				}
			}
			if shown < 20 && plan.Copied() == 0 {
				t.Errorf("%s: %d tensors are shown", q.method, shown)
			}
			plan.Close()
		}
	}
}

// Of several outputs, each is shown its own values, and only those that ask for them.
func TestRehearsalsOfSweeps(t *testing.T) {
	p := newFamily(2, mixed()...).save(t)
	for _, method := range []string{"sta", "ties", "linear"} {
		sweep := func(set ...func(int) bool) []*measuredSink {
			s, err := NewSweep([]Variant{{p.recipe(t, ask(method, "weights=0.5,0.5")), p.out("a")}, {p.recipe(t, ask(method, "weights=0.25,0.5")), p.out("b")}}, Options{Threads: 3})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			sinks := []*measuredSink{newMeasuredSink(set[0]), newMeasuredSink(set[1])}
			rehearsed(t, s.Plans, sinks...)
			return sinks
		}
		none := func(int) bool { return false }
		plain, shown := sweep(none, none), sweep(none, func(i int) bool { return i < 5 })
		for v := range plain {
			if !reflect.DeepEqual(plain[v].written, shown[v].written) || shown[v].wrong != "" {
				t.Errorf("%s: output %d is another: %s", method, v, shown[v].wrong)
			}
		}
		if len(shown[0].shown) != 0 || len(shown[1].shown) == 0 {
			t.Errorf("%s: %d and %d tensors are shown", method, len(shown[0].shown), len(shown[1].shown))
		}
		for i, data := range shown[1].shown {
			if !bytes.Equal(data, shown[1].written[i]) {
				t.Errorf("%s: tensor %d is shown other values", method, i)
			}
		}
	}
}
