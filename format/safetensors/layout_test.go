package safetensors

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"weld/format"
)

// randomTensors are small tensors of every type, some empty.
func randomTensors(r *rand.Rand, n int) []format.Tensor {
	all := format.DTypes()
	list := make([]format.Tensor, n)
	for i := range list {
		list[i] = format.Tensor{Name: fmt.Sprintf("t.%d", i), DType: all[r.IntN(len(all))], Shape: []int64{8 * r.Int64N(6), 1 + r.Int64N(9)}}
		if r.IntN(8) == 0 && list[i].DType.Bits() >= 8 {
			list[i].Shape = []int64{}
		}
	}
	return list
}

// checkLayout demands everything of a layout that does not depend on its limit.
func checkLayout(t *testing.T, l *Layout, tensors []format.Tensor, metadata map[string]string) {
	t.Helper()
	seen := make([]bool, len(tensors))
	var size, data int64
	var order []int
	for i, s := range l.Shards {
		want := SingleName
		if len(l.Shards) > 1 {
			want = fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(l.Shards))
		}
		if s.Name != want {
			t.Errorf("shard %d is named %s", i, s.Name)
		}
		header := l.Header(i)
		own := l.Order()[s.First:s.Last]
		h, err := ReadHeader(s.Name, bytes.NewReader(header), s.Size)
		if err != nil {
			t.Fatal(err)
		}
		if int64(len(header)) != h.DataStart || s.HeaderSize != h.DataStart || s.Size != h.DataStart+s.Data || h.DataStart%8 != 0 || len(h.Tensors) != len(own) {
			t.Errorf("%s: header of %d bytes, data of %d at %d, file of %d", s.Name, len(header), s.Data, h.DataStart, s.Size)
		}
		if fmt.Sprint(h.Metadata) != fmt.Sprint(metadata) {
			t.Errorf("%s: metadata %v", s.Name, h.Metadata)
		}
		for k, at := range own {
			e, x := h.Tensors[k], tensors[at]
			if e.Name != x.Name || e.DType != x.DType || !slices.Equal(e.Shape, x.Shape) || seen[at] {
				t.Errorf("%s: entry %d is %v, tensor %d is %v", s.Name, k, e.Tensor, at, x)
			}
			shard, begin := l.Where(at)
			if offset := h.DataStart + e.Begin; offset%x.DType.Align() != 0 || shard != i || begin != offset {
				t.Errorf("%s: %s is at %d, placed at %d of shard %d", s.Name, x.Name, offset, begin, shard)
			}
			seen[at] = true
			data += x.Bytes()
		}
		// A shard takes tensors in the given order; inside, the larger elements come first.
		sorted := slices.Sorted(slices.Values(own))
		for k := range sorted {
			if sorted[k] != sorted[0]+k || i > 0 && sorted[0] != len(order) {
				t.Errorf("%s holds %v", s.Name, sorted)
			}
		}
		order = append(order, own...)
		size += s.Size
	}
	if slices.Contains(seen, false) || !slices.Equal(l.Order(), order) || l.Size() != size {
		t.Errorf("seen %v, order %v, size %d", seen, l.Order(), l.Size())
	}
	indexes := l.Indexes()
	if len(indexes) != min(len(l.Shards)-1, 1) {
		t.Errorf("%d shards, %d indexes", len(l.Shards), len(indexes))
	}
	for _, printed := range indexes {
		if printed.Name != IndexName {
			t.Errorf("the index is %s", printed.Name)
		}
		raw, err := io.ReadAll(iotest.OneByteReader(printed))
		index, wrong := ParseIndex("i.json", raw)
		if err != nil || wrong != nil || !bytes.Equal(raw, index.Append(nil)) {
			t.Fatalf("index %q: %v, %v", raw, err, wrong)
		}
		if index.TotalSize != data || len(index.WeightMap) != len(tensors) {
			t.Errorf("index of %d bytes, %d tensors", index.TotalSize, len(index.WeightMap))
		}
		for _, w := range index.WeightMap {
			at := slices.IndexFunc(tensors, func(x format.Tensor) bool { return x.Name == w.Name })
			if shard, _ := l.Where(at); at < 0 || l.Shards[shard].Name != w.Shard {
				t.Errorf("index places %s in %s", w.Name, w.Shard)
			}
		}
	}
}

func TestLayoutProperties(t *testing.T) {
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 1))
		tensors := randomTensors(r, r.IntN(20))
		var metadata map[string]string
		if r.IntN(2) == 0 {
			metadata = map[string]string{"format": "pt", "é": "\"\n"}
		}
		limit := 1 + r.Int64N(2000)
		l, err := NewLayout(tensors, metadata, limit)
		if err != nil {
			t.Fatal(err)
		}
		checkLayout(t, l, tensors, metadata)
		for i, s := range l.Shards {
			if s.Data > limit && s.Last-s.First > 1 {
				t.Errorf("seed %d: shard %d of %d tensors has %d bytes, the limit is %d", seed, i, s.Last-s.First, s.Data, limit)
			}
			if i+1 < len(l.Shards) {
				next := slices.Min(l.Order()[l.Shards[i+1].First:l.Shards[i+1].Last])
				if s.Data+tensors[next].Bytes() <= limit {
					t.Errorf("seed %d: shard %d could have taken tensor %d", seed, i, next)
				}
			}
		}
		if t.Failed() {
			t.FailNow()
		}
	}
}

func TestLayoutOfNothing(t *testing.T) {
	l, err := NewLayout(nil, nil, 100)
	if err != nil {
		t.Fatal(err)
	}
	checkLayout(t, l, nil, nil)
	if len(l.Shards) != 1 || l.Shards[0].Data != 0 {
		t.Errorf("%+v", l.Shards)
	}
}

// Cuts cover the file, none is longer than the limit, and a tensor that fits in one
// piece is not cut.
func TestCuts(t *testing.T) {
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 2))
		tensors := randomTensors(r, r.IntN(20))
		l, err := NewLayout(tensors, nil, 1<<62)
		if err != nil {
			t.Fatal(err)
		}
		s := l.Shards[0]
		limit := 1 + r.Int64N(1500)
		cuts := l.Cuts(limit)
		last := int64(0)
		for _, c := range cuts {
			if c <= last || c-last > limit {
				t.Errorf("seed %d: a piece [%d, %d), the limit is %d", seed, last, c, limit)
			}
			last = c
		}
		if last != s.Size {
			t.Errorf("seed %d: the cuts end at %d of %d", seed, last, s.Size)
		}
		inside := func(begin, end int64) (n int) {
			for _, c := range cuts {
				if c > begin && c < end {
					n++
				}
			}
			return n
		}
		for i, x := range tensors {
			_, begin := l.Where(i)
			if n := inside(begin, begin+x.Bytes()); x.Bytes() <= limit && n != 0 || int64(n) > x.Bytes()/limit {
				t.Errorf("seed %d: a tensor of %d bytes is cut %d times, the limit is %d", seed, x.Bytes(), n, limit)
			}
		}
		// No two neighbouring pieces would fit in one, but for those of large tensors.
		start := int64(0)
		for i := 0; i+1 < len(cuts); i++ {
			if cuts[i+1]-start <= limit {
				large := slices.ContainsFunc(tensors, func(x format.Tensor) bool { return x.Bytes() > limit }) || s.HeaderSize > limit
				if !large {
					t.Errorf("seed %d: pieces to %d and to %d fit in one of %d", seed, cuts[i], cuts[i+1], limit)
				}
			}
			start = cuts[i]
		}
		if t.Failed() {
			t.FailNow()
		}
	}
}

// TestLayoutOfParts lays out tensors of several parts that come in no order, some of which stand behind others.
func TestLayoutOfParts(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	parts := []format.Part{{Stem: "model"}, {Component: format.Component{Folder: "a"}, Stem: "model"}, {Component: format.Component{Folder: "a/b"}, Stem: "weights"}, {Component: format.Component{Folder: "none"}, Stem: "x"}}
	for range 200 {
		var tensors []format.Tensor
		var behind []bool
		for i := range 1 + r.IntN(30) {
			prefix := []string{"", "a/", "a/b/"}[r.IntN(3)]
			follows := i > 0 && r.IntN(3) == 0
			if follows {
				prefix = tensors[i-1].Name[:strings.LastIndexByte(tensors[i-1].Name, '/')+1]
			}
			tensors = append(tensors, format.Tensor{Name: fmt.Sprintf("%st%d", prefix, i), DType: []format.DType{format.F32, format.U8, format.F64}[r.IntN(3)], Shape: []int64{8 * (1 + r.Int64N(4))}})
			behind = append(behind, follows)
		}
		l, err := Lay(Contents{Count: len(tensors), Tensor: func(i int) format.Tensor { return tensors[i] }, Behind: func(i int) bool { return behind[i] }, Parts: parts}, 1+r.Int64N(300))
		if err != nil {
			t.Fatal(err)
		}
		files := make(map[string][]Entry)
		for i, s := range l.Shards {
			h, err := ReadHeader(s.Name, bytes.NewReader(append(l.Header(i), make([]byte, s.Data)...)), s.Size)
			if err != nil {
				t.Fatal(err)
			}
			files[s.Name] = h.Tensors
		}
		indexed := make(map[string]string)
		for _, x := range l.Indexes() {
			raw, err := io.ReadAll(x)
			index, wrong := ParseIndex(x.Name, raw)
			if err != nil || wrong != nil {
				t.Fatal(err, wrong)
			}
			for _, w := range index.WeightMap {
				indexed[path.Dir(x.Name)+"/"+w.Name] = path.Dir(x.Name) + "/" + w.Shard
			}
		}
		for i, want := range tensors {
			shard, at := l.Where(i)
			s := l.Shards[shard]
			dir, name := "", want.Name
			if k := strings.LastIndexByte(name, '/'); k >= 0 {
				dir, name = name[:k], name[k+1:]
			}
			e := slices.IndexFunc(files[s.Name], func(e Entry) bool { return e.Name == name })
			if e < 0 || path.Dir(s.Name) != path.Clean(dir) || at != s.HeaderSize+files[s.Name][e].Begin {
				t.Fatalf("%s lies in %s at %d", want.Name, s.Name, at)
			}
			if strings.Contains(s.Name, "-of-") != (indexed[path.Clean(dir)+"/"+name] != "") || strings.Contains(s.Name, "-of-") && path.Clean(indexed[path.Clean(dir)+"/"+name]) != s.Name {
				t.Fatalf("the index has %s in %q, and it is in %s", want.Name, indexed[path.Clean(dir)+"/"+name], s.Name)
			}
			if behind[i] {
				before, end := l.Where(i - 1)
				if before != shard || end+tensors[i-1].Bytes() != at {
					t.Fatalf("%s does not stand behind %s", want.Name, tensors[i-1].Name)
				}
			}
		}
	}
}

// Tensors lie one after the other, those with the larger elements first, so that each is aligned to its own, and are read where they lie.
func TestLayoutAligns(t *testing.T) {
	given := []format.Tensor{
		{Name: "a", DType: format.U8, Shape: []int64{3}},
		{Name: "b", DType: format.BF16, Shape: []int64{5}},
		{Name: "c", DType: format.F32, Shape: []int64{3}},
		{Name: "d", DType: format.F4, Shape: []int64{6}},
		{Name: "e", DType: format.C64, Shape: []int64{}},
		{Name: "f", DType: format.F16, Shape: []int64{0}},
		{Name: "g", DType: format.I64, Shape: []int64{1, 1}},
		{Name: "h", DType: format.F6E3M2, Shape: []int64{4}},
	}
	l, err := NewLayout(given, nil, OneShard)
	if err != nil {
		t.Fatal(err)
	}
	if want := []int{4, 6, 2, 1, 5, 0, 3, 7}; !slices.Equal(l.Order(), want) {
		t.Errorf("order %v, want %v", l.Order(), want)
	}
	got, err := read(append(l.Header(0), make([]byte, l.Shards[0].Data)...))
	if err != nil {
		t.Fatal(err)
	}
	if got.DataStart%8 != 0 || len(got.Tensors) != len(given) {
		t.Errorf("got %+v", got)
	}
	end := int64(0)
	for k, e := range got.Tensors {
		if !reflect.DeepEqual(e.Tensor, given[l.Order()[k]]) {
			t.Errorf("entry %d is %v", k, e.Tensor)
		}
		if e.Begin%e.DType.Align() != 0 || e.Begin != end || e.End != end+e.Bytes() {
			t.Errorf("%s is from %d to %d", e.Name, e.Begin, e.End)
		}
		end = e.End
	}
}
