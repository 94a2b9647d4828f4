package tokens

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"weld/format"
	"weld/mmapio"
)

// naive makes the new embedding of model m token by token, from vocabularies given as maps.
type naive struct {
	t      testing.TB
	toys   []toy
	models []TokenizedModel
	base   int
	spec   Spec
	out    map[string]int // of the output
	size   int
	cache  map[string][][]float64
}

func (n naive) values(m int, name string) [][]float64 {
	key := fmt.Sprint(m, name)
	if n.cache[key] == nil {
		n.cache[key] = values(n.t, n.models[m].Checkpoint, name)
	}
	return n.cache[key]
}

func (n naive) has(m int, token string, name string) (int, bool) {
	id, ok := n.toys[m].ids()[token]
	rows := len(n.values(m, name))
	return id, ok && id < rows
}

func (n naive) matrix(m int, name string) [][]float64 {
	if n.cache == nil {
		n.cache = make(map[string][][]float64)
	}
	var parts []int
	for k := range n.models {
		if _, ok := n.models[k].Find(name); ok {
			parts = append(parts, k)
		}
	}
	i, _ := n.models[m].Find(name)
	dtype := n.models[m].Tensors()[i].DType
	length := int(n.models[m].Tensors()[i].RowLen())
	requested := make(map[string]RowSource)
	for _, s := range n.spec.Tokens {
		requested[s.Token] = s
	}
	result := make([][]float64, n.size)
	for token, r := range n.out {
		id, ok := n.has(m, token, name)
		s, explicit := requested[token]
		if ok && !(explicit && s.Force) {
			result[r] = n.values(m, name)[id]
			continue
		}
		row := make([]float64, length)
		var owners []int
		for _, k := range parts {
			if _, ok := n.has(k, token, name); ok {
				owners = append(owners, k)
			}
		}
		take := func(k, id int) { row = round(dtype, n.values(k, name)[id]) }
		baseID, baseHas := -1, false
		if n.base >= 0 {
			baseID, baseHas = n.has(n.base, token, name)
		}
		switch {
		case explicit && s.Zero:
		case explicit && s.FromModel >= 0 && s.FromID >= 0:
			take(s.FromModel, s.FromID)
		case explicit && s.FromModel >= 0 && s.FromToken != "":
			take(s.FromModel, n.toys[s.FromModel].ids()[s.FromToken])
		case explicit && s.FromModel >= 0:
			take(s.FromModel, n.toys[s.FromModel].ids()[token])
		case len(owners) == 1:
			id, _ := n.has(owners[0], token, name)
			take(owners[0], id)
		case len(owners) == 0:
		case baseHas:
			take(n.base, baseID)
		default:
			wide := false
			for _, k := range parts {
				j, _ := n.models[k].Find(name)
				wide = wide || n.models[k].Tensors()[j].DType == format.F64
			}
			for c := range row {
				var sum32 float32
				for _, k := range owners {
					id, _ := n.has(k, token, name)
					x := n.values(k, name)[id][c]
					row[c] += x
					sum32 += float32(x)
				}
				row[c] /= float64(len(owners))
				if !wide {
					row[c] = float64(sum32 / float32(len(owners)))
				}
			}
			row = round(dtype, row)
		}
		result[r] = row
	}
	used := make(map[int]bool)
	for _, id := range n.toys[m].ids() {
		used[id] = true
	}
	mean, count := make([]float64, length), 0
	for _, row := range result {
		if row != nil {
			for c, x := range row {
				mean[c] += x
			}
			count++
		}
	}
	for c := range mean {
		mean[c] /= float64(count)
	}
	mean = round(dtype, mean)
	own := n.values(m, name)
	for r := range result {
		if result[r] == nil {
			if result[r] = mean; r < len(own) && !used[r] {
				result[r] = own[r]
			}
		}
	}
	return result
}

// check compares every embedding of every model with the naive one, and odd ranges of
// it with the whole.
func (n naive) check(v *Vocabulary) {
	n.t.Helper()
	n.cache = make(map[string][][]float64)
	if v.Size != int64(n.size) {
		n.t.Fatalf("size %d, want %d", v.Size, n.size)
	}
	for m := range n.models {
		c, err := v.Wrap(m)
		if err != nil {
			n.t.Fatal(err)
		}
		for i, x := range c.Tensors() {
			if !IsEmbedding(x) {
				got, _ := whole(n.t, c, x.Name)
				want, _ := whole(n.t, n.models[m].Checkpoint, x.Name)
				if string(got) != string(want) {
					n.t.Errorf("model %d: %s changed", m, x.Name)
				}
				continue
			}
			if x.Shape[0] != v.Size {
				n.t.Fatalf("model %d: %s has shape %v", m, x.Name, x.Shape)
			}
			got, want := values(n.t, c, x.Name), n.matrix(m, x.Name)
			for r := range want {
				for k := range want[r] {
					if math.Float64bits(got[r][k]) != math.Float64bits(want[r][k]) {
						n.t.Fatalf("model %d: %s row %d: %v, want %v", m, x.Name, r, got[r], want[r])
					}
				}
			}
			all, _ := whole(n.t, c, x.Name)
			checkRanges(n.t, c, i, all)
		}
	}
}

func checkRanges(t testing.TB, c format.Checkpoint, i int, all []byte) {
	t.Helper()
	r := rand.New(rand.NewPCG(7, uint64(len(all))))
	for k := range 20 {
		off := r.Int64N(int64(len(all)) + 1)
		n := r.Int64N(int64(len(all)) - off + 1)
		lend := c.View
		if k%2 == 1 {
			lend = func(i int, off, n int64) (mmapio.View, error) { return format.Read(c, i, off, n) }
		}
		v, err := lend(i, off, n)
		if err != nil {
			t.Fatal(err)
		}
		if string(v.Data) != string(all[off:off+n]) {
			t.Fatalf("%s: bytes [%d, %d) differ from the whole", c.Tensors()[i].Name, off, off+n)
		}
		v.Release()
		format.Advise(c, mmapio.Soon, i, off, n)
	}
}
