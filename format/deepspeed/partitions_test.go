package deepspeed

import (
	"slices"
	"strings"
	"testing"

	"weld/format"
	"weld/format/pickle"
	"weld/format/torch"
)

// divided are partitions of so many elements at each rank, of one group of parameters of sizes.
func divided(sizes []int64, counts ...int64) *partitions {
	m := &modelStates{saved: &saved{path: "model"}, groups: [][]shaped{{}}}
	for i, n := range sizes {
		m.groups[0] = append(m.groups[0], shaped{string(rune('a' + i)), []int64{n}, n})
	}
	p := &partitions{model: m}
	for _, n := range counts {
		p.shards = append(p.shards, &shard{saved: &saved{path: "shard"}, state: new(pickle.Dict), flats: []flat{{0, n, format.F32}}})
	}
	return p
}

// TestPartitions finds parameters by their sizes, and demands that no element is left.
func TestPartitions(t *testing.T) {
	three := func(p *partitions) *partitions { p.stage = 3; return p }
	padded := func(p *partitions, n ...any) *partitions {
		p.shards[0].state = &pickle.Dict{Items: []pickle.Item{{Key: "param_alignment_paddings", Value: &pickle.List{Items: []any{&pickle.List{Items: n}}}}}}
		return p
	}
	for name, x := range map[string]struct {
		p    *partitions
		of   string // the parameter
		want []stretch
		says string
	}{
		"over two ranks":       {divided([]int64{3, 4}, 4, 3), "b", []stretch{{0, 0, 3, 1}, {1, 0, 0, 3}}, ""},
		"filled up":            {divided([]int64{3, 2}, 4, 4), "b", []stretch{{0, 0, 3, 1}, {1, 0, 0, 1}}, ""},
		"too many":             {divided([]int64{3, 1}, 4, 4), "", nil, "4 elements of group 0 are of no parameter, where fewer than 4 fill the partitions"},
		"too few":              {divided([]int64{3, 6}, 4, 4), "", nil, "only 5 elements of it are left"},
		"behind a padding":     {padded(divided([]int64{3, 4}, 4, 4), int64(1), int64(0)), "b", []stretch{{1, 0, 0, 4}}, ""},
		"paddings of another":  {padded(divided([]int64{3, 4}, 4, 4), int64(1)), "", nil, "for a group of 2 parameters"},
		"stage 3":              {three(divided([]int64{3, 5}, 5, 5)), "b", []stretch{{0, 0, 2, 3}, {1, 0, 2, 2}}, ""},
		"stage 3, fewer":       {three(divided([]int64{1, 5}, 4, 4)), "a", []stretch{{0, 0, 0, 1}}, ""},
		"stage 3, too many":    {three(divided([]int64{3, 5}, 6, 6)), "", nil, "1 elements of each rank are of no parameter"},
		"stage 3, too few":     {three(divided([]int64{3, 5}, 4, 4)), "", nil, "the partitions end 1 before"},
		"stage 3, odd ranks":   {three(divided([]int64{3, 5}, 5, 4)), "", nil, "its partition of group 0 has 4 elements, and that of rank 0 has 5"},
		"stage 3, even ranks":  {three(divided([]int64{3, 5}, 4, 5)), "", nil, "its partition of group 0 has 5 elements, and that of rank 0 has 4"},
		"stage 3, huge groups": {three(divided([]int64{1 << 62}, 1<<61, 1<<61)), "a", []stretch{{0, 0, 0, 1 << 61}, {1, 0, 0, 1 << 61}}, ""},
	} {
		list, err := x.p.find()
		if x.says != "" {
			if err == nil || !strings.Contains(err.Error(), x.says) {
				t.Errorf("%s: %v, want %q", name, err, x.says)
			}
			continue
		}
		i := slices.IndexFunc(list, func(l laid) bool { return l.name == x.of })
		if err != nil || i < 0 || !slices.Equal(list[i].parts, x.want) {
			t.Errorf("%s: %v, %v, want %v", name, list, err, x.want)
		}
	}
}

// TestMappings holds what ranks say of their partitions to these, and finds parameters whose parts are said in any order.
func TestMappings(t *testing.T) {
	type said struct {
		name        string
		start, size int64
	}
	mapped := func(counts []int64, ranks ...[]said) ([]laid, error) {
		p := divided([]int64{3, 4}, counts...)
		for rank, list := range ranks {
			d := new(pickle.Dict)
			for _, x := range list {
				d.Items = append(d.Items, pickle.Item{Key: x.name, Value: &pickle.Object{Class: fragment, State: &pickle.Dict{Items: []pickle.Item{{Key: "start", Value: x.start}, {Key: "numel", Value: x.size}}}}})
			}
			p.shards[rank].maps = []*pickle.Dict{d}
		}
		return p.mapped(0, p.model.groups[0])
	}
	list, err := mapped([]int64{4, 3}, []said{{"b", 3, 1}, {"a", 0, 3}}, []said{{"b", 0, 3}})
	if err != nil || !slices.Equal(list[0].parts, []stretch{{0, 0, 0, 3}}) || !slices.Equal(list[1].parts, []stretch{{0, 0, 3, 1}, {1, 0, 0, 3}}) {
		t.Errorf("%v, %v", list, err)
	}
	for says, ranks := range map[string][]said{
		"from element 5 on for 3, and the partition of group 0 has 7":          {{"a", 5, 3}, {"b", 0, 4}},
		"end at element 4, and the next begin at 3":                            {{"a", 3, 3}, {"b", 0, 4}},
		"it has the shape [4], and the ranks have 3 elements of it":            {{"a", 0, 3}, {"b", 3, 3}},
		"it has the shape [3], and the ranks have 4 elements of it":            {{"a", 0, 3}, {"b", 3, 3}, {"a", 6, 1}},
		"param_slice_mappings have text that is not in param_shapes":           {{"c", 0, 3}},
		"param_slice_mappings have it from element -1 on for 3, and the parti": {{"a", -1, 3}},
	} {
		if _, err := mapped([]int64{7}, ranks); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v: %v, want %q", ranks, err, says)
		}
	}
}

// TestDisagree refuses ranks that are not of one checkpoint.
func TestDisagree(t *testing.T) {
	other := divided([]int64{3}, 4, 4)
	other.shards[1].flats[0].dtype = format.BF16
	if _, err := other.find(); format.KindOf(err) != format.KindDType {
		t.Errorf("partitions of two types: %v", err)
	}
	of := func(steps int64, shape, frozen []int64) *modelStates {
		return &modelStates{saved: new(saved), steps: steps, groups: [][]shaped{{{"w", shape, 6}}}, frozen: []shaped{{"f", frozen, 6}}}
	}
	first := of(3, []int64{2, 3}, []int64{6})
	if err := of(3, []int64{2, 3}, []int64{6}).agrees(first); err != nil {
		t.Error(err)
	}
	for _, m := range []*modelStates{of(2, []int64{2, 3}, []int64{6}), of(4, []int64{2, 3}, []int64{6}), of(3, []int64{3, 2}, []int64{6}), of(3, []int64{2, 3}, []int64{1, 6})} {
		if err := m.agrees(first); format.KindOf(err) != format.KindIndex {
			t.Errorf("step %d, %v and %v: %v", m.steps, m.groups, m.frozen, err)
		}
	}
}

// TestDivided refuses a model that is divided by several kinds of parallelism, whichever of them are one.
func TestDivided(t *testing.T) {
	dims := func(items ...pickle.Item) *pickle.Dict {
		return &pickle.Dict{Items: []pickle.Item{{Key: "checkpoint_parallel_dimensions", Value: &pickle.Dict{Items: items}}}}
	}
	m := &modelStates{saved: new(saved)}
	if err := m.plain(dims(pickle.Item{Key: "tp", Value: int64(2)}, pickle.Item{Key: "pp", Value: int64(1)})); format.KindOf(err) != format.KindUnsupported {
		t.Error(err)
	}
	if err := m.plain(dims(pickle.Item{Key: "tp", Value: int64(1)})); err != nil {
		t.Error(err)
	}
}

// TestPlaceholders refuses a parameter of a divided model of which no rank has a part.
func TestPlaceholders(t *testing.T) {
	m := &modelStates{saved: &saved{path: "model"}, module: &pickle.Dict{Items: []pickle.Item{{Key: "w", Value: &torch.Tensor{Shape: []int64{0}}}}}}
	r := &reading{place: new(place), placed: make(map[string]int)}
	if _, err := r.module(m, true); format.KindOf(err) != format.KindMissing || !strings.Contains(err.Error(), "no rank has a part of it") {
		t.Error(err)
	}
}
