package lora

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"weld/format"
	"weld/mmapio"
)

// variant is one changed tensor, with all that decides about it.
type variant struct {
	base, factors format.DType
	rows, cols    int64 // of the base's tensor
	rank          int64
	settings      settings
	embedding     bool
	transposed    bool
	scale         float64
}

const module = "model.layers.0.self_attn.q_proj"

var variants = map[string]variant{
	"f32":             {base: format.F32, factors: format.F32, rows: 13, cols: 37, rank: 4, settings: settings{"r": 4, "lora_alpha": 6}, scale: 1.5},
	"bf16":            {base: format.BF16, factors: format.BF16, rows: 13, cols: 37, rank: 4, settings: settings{"r": 4, "lora_alpha": 6}, scale: 1.5},
	"f16":             {base: format.F16, factors: format.F32, rows: 13, cols: 37, rank: 3, settings: settings{"r": 3, "lora_alpha": 1}, scale: 1. / 3},
	"f64":             {base: format.F64, factors: format.F32, rows: 13, cols: 37, rank: 3, settings: settings{"r": 3, "lora_alpha": 1}, scale: 1. / 3},
	"f64 factors":     {base: format.F64, factors: format.F64, rows: 5, cols: 3000, rank: 3, settings: settings{"r": 3, "lora_alpha": 1}, scale: 1. / 3},
	"wide factors":    {base: format.BF16, factors: format.F64, rows: 5, cols: 7, rank: 3, settings: settings{"r": 3, "lora_alpha": 1}, scale: 1. / 3},
	"defaults":        {base: format.F32, factors: format.F16, rows: 9, cols: 11, rank: 8, settings: settings{}, scale: 1},
	"rank 1":          {base: format.F32, factors: format.F32, rows: 9, cols: 11, rank: 1, settings: settings{"r": 1, "lora_alpha": 0.25}, scale: 0.25},
	"negative":        {base: format.F32, factors: format.F32, rows: 9, cols: 11, rank: 2, settings: settings{"r": 2, "lora_alpha": -2}, scale: -1},
	"rslora":          {base: format.F32, factors: format.F32, rows: 9, cols: 11, rank: 5, settings: settings{"r": 5, "lora_alpha": 3, "use_rslora": true}, scale: 3 / math.Sqrt(5)},
	"patterns":        {base: format.F32, factors: format.F32, rows: 9, cols: 11, rank: 5, settings: settings{"r": 2, "lora_alpha": 3, "rank_pattern": map[string]int{"q_proj": 5, "_proj": 9}, "alpha_pattern": map[string]any{`layers\.0\..*`: 7.5}}, scale: 1.5},
	"fan in, fan out": {base: format.BF16, factors: format.F32, rows: 9, cols: 11, rank: 5, transposed: true, settings: settings{"r": 5, "lora_alpha": 5, "fan_in_fan_out": true}, scale: 1},
	"embedding":       {base: format.BF16, factors: format.F32, rows: 50, cols: 11, rank: 5, transposed: true, embedding: true, settings: settings{"r": 5, "lora_alpha": 5}, scale: 1},
	"one column":      {base: format.F32, factors: format.F32, rows: 300, cols: 1, rank: 2, settings: settings{"r": 2, "lora_alpha": 2}, scale: 1},
	"one row":         {base: format.F32, factors: format.F32, rows: 1, cols: 5000, rank: 2, settings: settings{"r": 2, "lora_alpha": 2}, scale: 1},
	"nothing":         {base: format.F32, factors: format.F32, rows: 0, cols: 5, rank: 2, settings: settings{"r": 2, "lora_alpha": 2}, scale: 1},
	"no columns":      {base: format.F32, factors: format.F32, rows: 5, cols: 0, rank: 2, settings: settings{"r": 2, "lora_alpha": 2}, scale: 1},
	// What does not fit the room, or the panel, at once.
	"tall":            {base: format.BF16, factors: format.BF16, rows: 3000, cols: 20, rank: 70, settings: settings{"r": 70, "lora_alpha": 70}, scale: 1},
	"tall embedding":  {base: format.BF16, factors: format.F32, rows: 20000, cols: 3, rank: 1, transposed: true, embedding: true, settings: settings{"r": 1, "lora_alpha": 1}, scale: 1},
	"wide":            {base: format.BF16, factors: format.BF16, rows: 2, cols: 40000, rank: 33, settings: settings{"r": 33, "lora_alpha": 33}, scale: 1},
	"wide, transpose": {base: format.BF16, factors: format.F32, rows: 3, cols: 18000, rank: 70, transposed: true, settings: settings{"r": 70, "lora_alpha": 70, "fan_in_fan_out": true}, scale: 1},
	"wide f64":        {base: format.F64, factors: format.F32, rows: 2, cols: 20000, rank: 33, settings: settings{"r": 33, "lora_alpha": 33}, scale: 1},
	"high rank":       {base: format.F32, factors: format.F32, rows: 2, cols: 40, rank: 20000, settings: settings{"r": 20000, "lora_alpha": 200}, scale: 0.01},
	"high and wide":   {base: format.F32, factors: format.F32, rows: 2, cols: 70, rank: 20000, transposed: true, settings: settings{"r": 20000, "lora_alpha": 200, "fan_in_fan_out": true}, scale: 0.01},
}

// make builds the checkpoints of a variant.
func (v variant) make() (base, adapter arrays, a, b array) {
	in, out := v.cols, v.rows
	if v.transposed {
		in, out = out, in
	}
	a, b = random(2, v.factors, v.rank, in), random(3, v.factors, out, v.rank)
	names := []string{".lora_A.weight", ".lora_B.weight"}
	if v.embedding {
		names = []string{".lora_embedding_A", ".lora_embedding_B"}
	}
	base = arrays{module + ".weight": random(1, v.base, v.rows, v.cols), "other.weight": random(4, format.BF16, 5)}
	if v.transposed && !v.embedding { // a Conv1D, which always has a bias
		base[module+".bias"] = random(5, v.base, out)
	}
	adapter = arrays{prefix + module + names[0]: a, prefix + module + names[1]: b}
	return base, adapter, a, b
}

// at is the place in A and in B that element (i, j) of the base's tensor takes its k-th term from.
func (v variant) at(i, j, k int64) (inA, inB int64) {
	in := v.cols
	if v.transposed {
		i, j, in = j, i, v.rows
	}
	return k*in + j, i*v.rank + k
}

// The values are those of a computation in float64, as near as float32 comes.
func TestProduct(t *testing.T) {
	for name, v := range variants {
		t.Run(name, func(t *testing.T) {
			base, adapter, a, b := v.make()
			c := apply(t, base, adapter, v.settings)
			d, got := numbers(t, c, module+".weight")
			eps, want := 0x1p-24, format.F32
			if v.base == format.F64 {
				eps, want = 0x1p-53, format.F64
			}
			if d != want {
				t.Errorf("shown as %v", d)
			}
			w := base[module+".weight"].values
			for e := range got {
				i, j := int64(e)/v.cols, int64(e)%v.cols
				var sum, size float64
				for k := range v.rank {
					inA, inB := v.at(i, j, k)
					sum += b.values[inB] * a.values[inA]
					size += math.Abs(b.values[inB] * a.values[inA])
				}
				exact := w[e] + v.scale*sum
				most := eps * (float64(v.rank+4)*math.Abs(v.scale)*size + math.Abs(exact))
				if diff := math.Abs(got[e] - exact); !(diff <= most) {
					t.Fatalf("element (%d, %d) is %v, want %v ± %g", i, j, got[e], exact, most)
				}
			}
			if d, got := numbers(t, c, "other.weight"); d != format.BF16 || fmt.Sprint(got) != fmt.Sprint(base["other.weight"].values) {
				t.Errorf("another tensor became %v %v", d, got)
			}
		})
	}
}

// Every product and sum is rounded by itself, in the order of the rank.
func TestProductBits(t *testing.T) {
	for name, v := range variants {
		if v.base == format.F64 || v.factors == format.F64 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			base, adapter, a, b := v.make()
			c := apply(t, base, adapter, v.settings)
			_, got := numbers(t, c, module+".weight")
			w := base[module+".weight"].values
			for e := range got {
				i, j := int64(e)/v.cols, int64(e)%v.cols
				var sum float32
				for k := range v.rank {
					inA, inB := v.at(i, j, k)
					sum += float32(float32(b.values[inB]) * float32(a.values[inA]))
				}
				if want := float32(w[e]) + float32(float32(v.scale)*sum); float32(got[e]) != want {
					t.Fatalf("element (%d, %d) is %v, want %v", i, j, got[e], want)
				}
			}
		})
	}
}

// Any range, begun and ended at any byte, is a part of the whole.
func TestRanges(t *testing.T) {
	for name, v := range variants {
		t.Run(name, func(t *testing.T) {
			base, adapter, _, _ := v.make()
			c := apply(t, base, adapter, v.settings)
			tensor, whole := content(t, c, module+".weight")
			i, _ := c.Find(tensor.Name)
			r := rand.New(rand.NewPCG(5, 6))
			for n := range 60 {
				lo, hi := r.Int64N(int64(len(whole)+1)), r.Int64N(int64(len(whole)+1))
				if lo > hi {
					lo, hi = hi, lo
				}
				if n%2 == 0 {
					hi = min(hi, lo+r.Int64N(40))
				}
				if v.rank > 1000 {
					hi = min(hi, lo+90)
				}
				lend := c.View
				if n%3 == 0 {
					lend = func(i int, off, n int64) (mmapio.View, error) { return format.Read(c, i, off, n) }
				}
				got, err := lent(c, i, lo, hi-lo, lend)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, whole[lo:hi]) {
					t.Fatalf("bytes [%d, %d) differ from the whole's", lo, hi)
				}
			}
			size := int64(len(whole))
			for _, bad := range [][2]int64{{-1, 1}, {0, -1}, {0, size + 1}, {size + 1, 0}, {size, 1}, {math.MaxInt64, 1}, {1, math.MaxInt64}} {
				if _, err := c.View(i, bad[0], bad[1]); err == nil {
					t.Errorf("a view of %d bytes at %d of %d succeeds", bad[1], bad[0], size)
				}
			}
		})
	}
}

// Several tensors at once from many goroutines; the workshop keeps no more than there
// were computations.
func TestConcurrent(t *testing.T) {
	base, adapter := arrays{}, arrays{}
	const tensors = 7
	for n := range uint64(tensors) {
		name := fmt.Sprintf("m.%d", n)
		base[name+".weight"] = random(n, format.BF16, 20, 60)
		adapter[prefix+name+".lora_A.weight"] = random(n+100, format.BF16, 8, 60)
		adapter[prefix+name+".lora_B.weight"] = random(n+200, format.BF16, 20, 8)
	}
	c := apply(t, base, adapter, nil)
	var want [tensors][]byte
	for i := range want {
		_, want[i] = content(t, c, fmt.Sprintf("m.%d.weight", i))
	}
	var group sync.WaitGroup
	const goroutines = 6
	for g := range uint64(goroutines) {
		group.Go(func() {
			r := rand.New(rand.NewPCG(g, 1))
			for range 300 {
				i := r.IntN(tensors)
				lo := r.Int64N(int64(len(want[i])))
				n := r.Int64N(int64(len(want[i])) - lo + 1)
				at, _ := c.Find(fmt.Sprintf("m.%d.weight", i))
				if got, err := lent(c, at, lo, n, c.View); err != nil || !bytes.Equal(got, want[i][lo:lo+n]) {
					t.Errorf("tensor %d, %d bytes at %d: %v", i, n, lo, err)
					return
				}
			}
		})
	}
	group.Wait()
	s := &c.(*adapted).singles
	if s.inside != 0 || s.peak > goroutines || len(s.spare) > s.peak || len(s.panels) > s.peak || len(s.idle) != len(s.panels) {
		t.Errorf("%d inside, %d at most, %d rooms, %d panels, %d idle", s.inside, s.peak, len(s.spare), len(s.panels), len(s.idle))
	}
}

// Each of the first views of either checkpoint fails in turn; each failure is reported, and the
// next call succeeds.
func TestFailures(t *testing.T) {
	for _, name := range []string{"bf16", "fan in, fan out", "embedding", "wide", "wide, transpose", "f64"} {
		v := variants[name]
		base, adapter, _, _ := v.make()
		var left atomic.Int64
		c, err := Apply(failing{base.open(t, "b.safetensors", nil), &left}, failing{adapter.open(t, "a.safetensors", nil), &left}, v.settings.raw())
		if err != nil {
			t.Fatal(err)
		}
		_, want := content(t, apply(t, base, adapter, v.settings), module+".weight")
		i, _ := c.Find(module + ".weight")
		failed := 0
		for n := int64(1); n <= 40; n++ { // views are more where a factor is read in blocks
			left.Store(n)
			got, err := lent(c, i, 0, int64(len(want)), c.View)
			if err == nil && left.Load() <= 0 {
				t.Fatalf("%s: failure %d is not reported", name, n)
			}
			left.Store(0)
			if err != nil {
				failed++
				got, err = lent(c, i, 0, int64(len(want)), c.View)
			}
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%s: after failure %d: %v", name, n, err)
			}
		}
		if failed < 2 {
			t.Errorf("%s: only %d failures", name, failed)
		}
	}
}

func BenchmarkView(b *testing.B) {
	for _, rank := range []int64{16, 64} {
		v := variant{base: format.BF16, factors: format.F32, rows: 1024, cols: 4096, rank: rank}
		base, adapter, _, _ := v.make()
		c := apply(b, base, adapter, settings{"r": rank})
		i, _ := c.Find(module + ".weight")
		for _, n := range []int64{64, 64 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("r%d/%d", rank, n), func(b *testing.B) {
				b.SetBytes(n)
				for at := int64(0); b.Loop(); at = (at + n) % (8 << 20) {
					view, err := c.View(i, at, n)
					if err != nil {
						b.Fatal(err)
					}
					view.Release()
				}
			})
		}
	}
}
