package deepspeed

import (
	"slices"
	"strings"
	"testing"

	"weld/format"
	"weld/format/pickle"
)

// divisionOf reads the partitions of a golden, which a test may spoil.
func divisionOf(t *testing.T, name string) (*optimizer, *partitions, []laid) {
	t.Helper()
	dir := format.Directory("testdata/" + name)
	place, err := locate(dir)
	if err != nil {
		t.Fatal(err)
	}
	o := &optimizer{reading: &reading{place: place, open: opener(dir), placed: make(map[string]int)}, steps: make(map[string]float64), betas: make(map[string]float64)}
	t.Cleanup(func() { o.close() })
	f, err := place.list()
	if err != nil {
		t.Fatal(err)
	}
	ms, err := o.models(f)
	if err != nil {
		t.Fatal(err)
	}
	p, err := o.partitions(ms, f)
	if err != nil {
		t.Fatal(err)
	}
	found, err := p.find()
	if err != nil {
		t.Fatal(err)
	}
	return o, p, found
}

// dict is a dictionary of keys and values in turn.
func dict(items ...any) *pickle.Dict {
	d := new(pickle.Dict)
	for i := 0; i < len(items); i += 2 {
		d.Items = append(d.Items, pickle.Item{Key: items[i], Value: items[i+1]})
	}
	return d
}

// keptBy are the states of a rank: at stage 3 behind another key.
func keptBy(t *testing.T, s *shard, stage int64) *pickle.Dict {
	t.Helper()
	key := "base_optimizer_state"
	if stage == 3 {
		key = "optimizer_state_dict"
	}
	v, _ := s.state.Get(key)
	d, ok := v.(*pickle.Dict)
	if ok {
		v, ok = d.Get("state")
		d, _ = v.(*pickle.Dict)
	}
	if !ok || d == nil {
		t.Fatalf("%s is %v", key, v)
	}
	return d
}

// set gives a state another value.
func set(d *pickle.Dict, key string, value any) {
	for i, item := range d.Items {
		if item.Key == key {
			d.Items[i].Value = value
			return
		}
	}
	d.Items = append(d.Items, pickle.Item{Key: key, Value: value})
}

// TestStatesDisagree refuses states of ranks that are of other steps, or not of their partitions.
func TestStatesDisagree(t *testing.T) {
	group := func(t *testing.T, p *partitions, rank int) *pickle.Dict {
		return keptBy(t, p.shards[rank], p.stage).Items[0].Value.(*pickle.Dict)
	}
	for name, x := range map[string]struct {
		golden string
		spoil  func(t *testing.T, p *partitions, found []laid)
		says   string
	}{
		"a later step":   {"zero2", func(t *testing.T, p *partitions, _ []laid) { set(group(t, p, 1), "step", int64(9)) }, "at step 9, and that of rank 0 at step 1"},
		"an earlier one": {"zero2", func(t *testing.T, p *partitions, _ []laid) { set(group(t, p, 1), "step", int64(0)) }, "at step 0, and that of rank 0 at step 1"},
		"fewer elements": {"zero2", func(t *testing.T, p *partitions, _ []laid) {
			for rank := range p.shards {
				x, _ := lookup(group(t, p, rank), "exp_avg_sq")
				x.Shape[0]--
			}
		}, "its optimizer has 43 elements of exp_avg_sq for group 0, whose partition has 44"},
		"more elements in stage 3": {"zero3", func(t *testing.T, p *partitions, _ []laid) {
			for _, s := range p.shards {
				s.flats[0].count--
			}
		}, "elements of exp_avg_sq for group 0, whose partition has"},
		"states in one of two groups": {"zero2", func(t *testing.T, p *partitions, found []laid) {
			for rank := range p.shards {
				other := keptBy(t, p.shards[rank], p.stage).Items[1].Value.(*pickle.Dict)
				other.Items = slices.DeleteFunc(other.Items, func(x pickle.Item) bool { return x.Key != "step" })
			}
			found[0].parts = []stretch{{0, 0, 0, 3}, {0, 1, 0, 3}}
		}, "it lies in two groups, of which the optimizer keeps other states"},
	} {
		o, p, found := divisionOf(t, x.golden)
		for rank := range p.shards {
			if p.stage < 3 {
				set(group(t, p, rank), "step", int64(1))
			}
		}
		x.spoil(t, p, found)
		if err := o.partitioned(p, found); err == nil || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%s: %v, want %q", name, err, x.says)
		}
	}
	if _, p, _ := divisionOf(t, "zero2_robin"); !p.model.misled { // the weights have to tell
		t.Error("param_slice_mappings of round_robin_gradients are believed")
	}
	if _, p, _ := divisionOf(t, "zero2"); p.model.misled {
		t.Error("param_slice_mappings are not believed")
	}
}

// TestSteps finds steps and betas of groups wherever optimizers say them: a state's own step, or that of its group, or that of all.
func TestSteps(t *testing.T) {
	s := &shard{saved: &saved{path: "shard"}, flats: make([]flat, 3)}
	s.state = dict("base_optimizer_state", dict(
		"state", dict(int64(0), dict("step", int64(5)), "1", dict(), int64(2), dict()),
		"param_groups", &pickle.List{Items: []any{
			dict("params", &pickle.List{Items: []any{int64(0), int64(1)}}, "betas", pickle.Tuple{0.9, 0.99}, "step", int64(7)),
			dict("params", &pickle.List{Items: []any{int64(2)}}, "betas", pickle.Tuple{0.9, 0.95}),
		}}), "base_optimizer_state_step", int64(8))
	o := &optimizer{reading: new(reading)}
	got, err := o.groups(s, 1)
	if want := []group{{step: 5, beta2: 0.99}, {step: 7, beta2: 0.99}, {step: 8, beta2: 0.95}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	for _, x := range []struct {
		list []float64
		want float64
	}{{nil, -1}, {[]float64{2, 2}, 2}, {[]float64{2, 3}, -1}} {
		if got := all(x.list, -1); got != x.want {
			t.Errorf("all of %v: %g, want %g", x.list, got, x.want)
		}
	}
}

// TestRows refuses partitions whose elements do not lie in a row.
func TestRows(t *testing.T) {
	_, p, _ := divisionOf(t, "zero2")
	list, _ := p.shards[0].state.Get("single_partition_of_fp32_groups")
	x, err := p.shards[0].row("", list.(*pickle.List).Items[0])
	if err != nil || x.count != 44 {
		t.Fatal(x, err)
	}
	tensor, _ := lookup(dict("t", list.(*pickle.List).Items[0]), "t")
	tensor.Shape, tensor.Strides = []int64{22}, []int64{2}
	if _, err := p.shards[0].row("", tensor); format.KindOf(err) != format.KindShape {
		t.Errorf("every other element: %v", err)
	}
}
