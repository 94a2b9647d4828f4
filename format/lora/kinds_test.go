package lora

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"weld/format"
	"weld/format/open"
)

// kind is an adapter of one tensor, w, larger than a tile or a panel, with what it means in float64.
type kind struct {
	base     array
	adapter  arrays
	settings settings
	want     func(w, i int64) float64 // element i of w
}

// product of stored matrices, a [n, r] and b [r, m], at (i, j).
func dot(a, b array, r, m, i, j int64) (sum float64) {
	for k := range r {
		sum += a.values[i*r+k] * b.values[k*m+j]
	}
	return sum
}

func kinds() map[string]kind {
	all := make(map[string]kind)
	add := func(name string, shape []int64, s settings, adapter arrays, want func(base array, i int64) float64) {
		base := random(90, bf16, shape...)
		named := arrays{}
		for slot, a := range adapter {
			if !strings.HasPrefix(slot, "base_model.") {
				slot = prefix + "w." + slot
			}
			named[slot] = a
		}
		all[name] = kind{base, named, s, func(_, i int64) float64 { return want(base, i) }}
	}
	{
		const n, m, r = 300, 1000, 3
		w1a, w1b, w2a, w2b := random(1, f32, n, r), random(2, bf16, r, m), random(3, f32, n, r), random(4, f32, r, m)
		add("loha", []int64{n, m}, settings{"peft_type": "LOHA", "r": r, "alpha": 2}, arrays{"hada_w1_a": w1a, "hada_w1_b": w1b, "hada_w2_a": w2a, "hada_w2_b": w2b}, func(base array, i int64) float64 {
			return base.values[i] + 2./r*dot(w1a, w1b, r, m, i/m, i%m)*dot(w2a, w2b, r, m, i/m, i%m)
		})
	}
	{
		const n, m, r = 5, 40000, 33 // R is not held whole
		w1a, w1b, w2a, w2b := random(1, f32, n, r), random(2, bf16, r, m), random(3, f32, n, r), random(4, f32, r, m)
		add("wide loha", []int64{n, m}, settings{"peft_type": "LOHA", "r": r, "alpha": 33}, arrays{"hada_w1_a": w1a, "hada_w1_b": w1b, "hada_w2_a": w2a, "hada_w2_b": w2b}, func(base array, i int64) float64 {
			return base.values[i] + dot(w1a, w1b, r, m, i/m, i%m)*dot(w2a, w2b, r, m, i/m, i%m)
		})
	}
	{
		const a, c, b, d = 3, 7, 100, 200
		w1, w2 := random(1, f32, a, c), random(2, f32, b, d)
		add("lokr", []int64{a * b, c * d}, settings{"peft_type": "LOKR", "r": 4, "alpha": 2}, arrays{"lokr_w1": w1, "lokr_w2": w2}, func(base array, i int64) float64 {
			row, col := i/(c*d), i%(c*d)
			return base.values[i] + 0.5*w1.values[row/b*c+col/d]*w2.values[row%b*d+col%d]
		})
	}
	{
		const a, c, b, d, r = 2, 2, 1100, 1000, 2 // W₂ is not held whole
		w1a, w1b, w2a, w2b := random(1, f32, a, r), random(2, f32, r, c), random(3, f32, b, r), random(4, f32, r, d)
		add("large lokr", []int64{a * b, c * d}, settings{"peft_type": "LOKR", "r": r, "alpha": 2}, arrays{"lokr_w1_a": w1a, "lokr_w1_b": w1b, "lokr_w2_a": w2a, "lokr_w2_b": w2b}, func(base array, i int64) float64 {
			row, col := i/(c*d), i%(c*d)
			return base.values[i] + dot(w1a, w1b, r, c, row/b, col/d)*dot(w2a, w2b, r, d, row%b, col%d)
		})
	}
	{
		const n, m, r = 400, 700, 2
		a, b, magnitude := random(1, f32, r, m), random(2, f32, n, r), random(3, f32, n)
		add("dora", []int64{n, m}, settings{"r": r, "lora_alpha": 3, "use_dora": true}, arrays{"lora_A.weight": a, "lora_B.weight": b, "lora_magnitude_vector": magnitude}, func(base array, i int64) float64 {
			v := func(row, col int64) float64 { return base.values[row*m+col] + 1.5*dot(b, a, r, m, row, col) }
			var squares float64
			for col := range int64(m) {
				squares += v(i/m, col) * v(i/m, col)
			}
			return magnitude.values[i/m] / math.Sqrt(squares) * v(i/m, i%m)
		})
		turned := random(4, f32, m)
		a2, b2 := random(5, f32, r, n), random(6, f32, m, r)
		add("turned dora", []int64{n, m}, settings{"r": r, "lora_alpha": 3, "use_dora": true}, arrays{"lora_A.weight": a2, "lora_B.weight": b2, "lora_magnitude_vector": turned}, func(base array, i int64) float64 {
			v := func(row, col int64) float64 { return base.values[row*m+col] + 1.5*dot(b2, a2, r, n, col, row) }
			var squares float64
			for row := range int64(n) {
				squares += v(row, i%m) * v(row, i%m)
			}
			return turned.values[i%m] / math.Sqrt(squares) * v(i/m, i%m)
		})
	}
	for name, turned := range map[string]bool{"experts": false, "turned experts": true} {
		const e, out, in, r = 3, 220, 310, 2
		a, b := random(1, f32, e*r, in), random(2, f32, out, e*r)
		shape := []int64{e, out, in}
		if turned {
			shape = []int64{e, in, out}
		}
		base := random(90, bf16, shape...)
		all[name] = kind{base, arrays{prefix + "lora_A.weight": a, prefix + "lora_B.weight": b}, settings{"r": r, "lora_alpha": 2, "target_parameters": []string{"w"}}, func(_, i int64) float64 {
			expert, o, n := i/(out*in), i%(out*in)/in, i%in
			if turned {
				o, n = i%out, i%(out*in)/out
			}
			sum := base.values[i]
			for k := range int64(r) {
				sum += b.values[o*e*r+k*e+expert] * a.values[(expert*r+k)*in+n]
			}
			return sum
		}}
	}
	{
		const n, m, r = 200, 900, 3
		a, b, lb, ld := random(1, f32, r, m+5), random(2, f32, n+9, r), random(3, f32, n), random(4, f32, r)
		add("vera", []int64{n, m}, settings{"peft_type": "VERA", "r": r}, arrays{"base_model.vera_A": a, "base_model.vera_B": b, "vera_lambda_b": lb, "vera_lambda_d": ld}, func(base array, i int64) float64 {
			sum := base.values[i]
			for k := range int64(r) {
				sum += lb.values[i/m] * b.values[i/m*r+k] * ld.values[k] * a.values[k*(m+5)+i%m]
			}
			return sum
		})
	}
	{
		const n, in, k1, k2 = 200, 50, 3, 5
		l := random(1, f32, 1, in, 1, 1)
		add("ia3", []int64{n, in, k1, k2}, settings{"peft_type": "IA3", "feedforward_modules": "w"}, arrays{"ia3_l": l}, func(base array, i int64) float64 {
			return base.values[i] * l.values[i%(in*k1*k2)/(k1*k2)]
		})
	}
	{
		const n, in, k, r = 90, 300, 9, 3
		w1a, w1b, t1, w2a, w2b, t2 := random(1, f32, r, n), random(2, f32, r, in), random(3, f32, r, r, 3, 3), random(4, f32, r, n), random(5, f32, r, in), random(6, f32, r, r, 3, 3)
		half := func(t, a, b array, i int64) (sum float64) {
			for x := range int64(r) {
				for y := range int64(r) {
					sum += t.values[(x*r+y)*k+i%k] * b.values[y*in+i%(in*k)/k] * a.values[x*n+i/(in*k)]
				}
			}
			return sum
		}
		add("tucker", []int64{n, in, 3, 3}, settings{"peft_type": "LOHA", "r": r, "alpha": 3}, arrays{"hada_w1_a": w1a, "hada_w1_b": w1b, "hada_t1": t1, "hada_w2_a": w2a, "hada_w2_b": w2b, "hada_t2": t2}, func(base array, i int64) float64 {
			return base.values[i] + half(t1, w1a, w1b, i)*half(t2, w2a, w2b, i)
		})
	}
	return all
}

// open applies a kind to its tensor.
func (k kind) open(t testing.TB, name string) format.Checkpoint {
	target := "w.weight"
	adapter := k.adapter
	if _, bare := adapter[prefix+"lora_A.weight"]; bare { // of a parameter of the module m
		target, adapter = "m.w", arrays{prefix + "m.lora_A.weight": adapter[prefix+"lora_A.weight"], prefix + "m.lora_B.weight": adapter[prefix+"lora_B.weight"]}
	}
	base := arrays{target: k.base}
	if name == "turned dora" { // a Conv1D, which always has a bias
		base["w.bias"] = random(5, bf16, k.base.shape[1])
	}
	return apply(t, base, adapter, k.settings)
}

// Tensors of many tiles, and factors that are not held whole, have the values of a computation in float64.
func TestKinds(t *testing.T) {
	for name, k := range kinds() {
		t.Run(name, func(t *testing.T) {
			c := k.open(t, name)
			target := len(c.Tensors()) - 1 // behind its bias
			_, got := numbers(t, c, c.Tensors()[target].Name)
			r := rand.New(rand.NewPCG(3, 4))
			n := int64(len(got))
			for range 3000 {
				i := r.Int64N(n)
				if want := k.want(0, i); !(math.Abs(got[i]-want) <= 2e-5*(1+math.Abs(want))) {
					t.Fatalf("element %d of %d is %v, want %v", i, n, got[i], want)
				}
			}
			// Any range is a part of the whole.
			_, whole := content(t, c, c.Tensors()[target].Name)
			fresh := k.open(t, name)
			for range 20 {
				lo := r.Int64N(int64(len(whole)))
				hi := min(int64(len(whole)), lo+1+r.Int64N(100_000))
				part, err := lent(fresh, target, lo, hi-lo, fresh.View)
				if err != nil || !bytes.Equal(part, whole[lo:hi]) {
					t.Fatalf("bytes [%d, %d) differ from the whole's: %v", lo, hi, err)
				}
			}
			if cost := format.ViewCost(c, 1); cost > 64<<20 {
				t.Errorf("a view costs %d", cost)
			}
		})
	}
}

// Each view of base or adapter fails in turn; each failure is reported, and the next call gives the right values.
func TestGoldenFailures(t *testing.T) {
	entries, err := os.ReadDir("testdata/adapters")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		whole, base, _ := golden(t, entry.Name())
		adapter, err := open.Checkpoint(filepath.Join("testdata", "adapters", entry.Name(), "adapter_model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		defer adapter.Close()
		config, _ := os.ReadFile(filepath.Join("testdata", "adapters", entry.Name(), ConfigName))
		var left atomic.Int64
		c, err := Apply(failing{base, &left}, failing{adapter, &left}, config)
		if err != nil {
			t.Fatal(err)
		}
		failed := 0
		for i, tensor := range c.Tensors() {
			_, want := content(t, whole, tensor.Name)
			for n := int64(1); n <= 12; n++ {
				left.Store(n)
				got, err := lent(c, i, 0, int64(len(want)), c.View)
				if err == nil && left.Load() <= 0 {
					t.Fatalf("%s: failure %d of %s is not reported", entry.Name(), n, tensor.Name)
				}
				left.Store(0)
				if err != nil {
					failed++
					got, err = lent(c, i, 0, int64(len(want)), c.View)
				}
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("%s: %s after failure %d: %v", entry.Name(), tensor.Name, n, err)
				}
			}
		}
		if failed < 2 {
			t.Errorf("%s: only %d failures", entry.Name(), failed)
		}
	}
}

// What cannot be applied is refused, and the message says what and why.
func TestKindsRefused(t *testing.T) {
	base := arrays{
		"m.q.weight": random(1, bf16, 4, 6), "m.sq.weight": random(2, bf16, 4, 4), "m.conv.weight": random(3, bf16, 4, 6, 3), "m.grouped.weight": random(3, bf16, 4, 3, 3),
		"m.experts.square": random(4, bf16, 3, 4, 4), "m.experts.wide": random(5, bf16, 3, 4, 6), "m.experts.alike": random(5, bf16, 3, 4, 6), "m.embed.weight": random(6, bf16, 9, 4),
		"layers.0.up.weight": random(7, bf16, 4, 6), "layers.0.down.weight": random(8, bf16, 4, 6), "layers.0.sq.weight": random(9, bf16, 4, 4),
		"layers.0.up.bias": random(7, bf16, 4), "layers.0.down.bias": random(8, bf16, 6), "layers.0.sq.bias": random(9, bf16, 4),
	}
	lokr := func(more arrays) arrays {
		return with(arrays{prefix + "m.q.lokr_w1": random(1, f32, 2, 2), prefix + "m.q.lokr_w2": random(2, f32, 2, 3)}, more)
	}
	loha := arrays{}
	for _, slot := range []string{"hada_w1_a", "hada_w2_a"} {
		loha[prefix+"m.q."+slot] = random(1, f32, 4, 2)
	}
	loha[prefix+"m.q.hada_w1_b"], loha[prefix+"m.q.hada_w2_b"] = random(2, f32, 2, 6), random(3, f32, 2, 7)
	for name, c := range map[string]struct {
		adapter arrays
		s       settings
		kind    format.Kind
		says    string
	}{
		"bias of none":       {with(pair("m.q", 4, 2, 6), arrays{prefix + "m.q.lora_B.bias": random(1, f32, 4)}), settings{"lora_bias": true}, format.KindUnsupported, "a layer that has none in the base"},
		"groups":             {arrays{prefix + "m.grouped.lora_A.weight": random(1, f32, 2, 6, 3), prefix + "m.grouped.lora_B.weight": random(2, f32, 4, 1, 1)}, nil, format.KindShape, "a convolution in groups"},
		"kernel":             {arrays{prefix + "m.conv.lora_A.weight": random(1, f32, 2, 6, 5), prefix + "m.conv.lora_B.weight": random(2, f32, 4, 2, 1)}, nil, format.KindShape, `the base's "m.conv.weight" has [4 6 3]`},
		"no parameter":       {pair("m.gone", 4, 6, 6), settings{"target_parameters": []string{"gone.square"}}, format.KindKey, `no tensor "m.gone.square" (target_parameters); a base whose experts are stored in another way`},
		"square experts":     {arrays{prefix + "m.experts.lora_A.weight": random(1, f32, 6, 4), prefix + "m.experts.lora_B.weight": random(2, f32, 4, 6)}, settings{"target_parameters": []string{"experts.square"}}, format.KindUnsupported, "nothing tells whether its experts are [out, in] or [in, out]"},
		"two parameters":     {arrays{prefix + "m.experts.lora_A.weight": random(1, f32, 6, 6), prefix + "m.experts.lora_B.weight": random(2, f32, 4, 6)}, settings{"target_parameters": []string{"experts.wide", "experts.alike"}}, format.KindUnsupported, "fit more than one of"},
		"other experts":      {arrays{prefix + "m.experts.lora_A.weight": random(1, f32, 8, 6), prefix + "m.experts.lora_B.weight": random(2, f32, 4, 8)}, settings{"target_parameters": []string{"experts.wide"}}, format.KindShape, "which fit none of"},
		"nested alone":       {arrays{prefix + "m.q.base_layer.lora_A.weight": random(1, f32, 2, 6), prefix + "m.q.base_layer.lora_B.weight": random(2, f32, 4, 2)}, nil, format.KindKey, "inside of another wrapper"},
		"square, both ways":  {pair("layers.0.sq", 4, 2, 4), nil, format.KindUnsupported, "which way this one does cannot be told"},
		"swapped":            {pair("m.q", 6, 2, 4), settings{"fan_in_fan_out": true}, format.KindShape, "a product of shape [6 4]"},
		"swapped, biased":    {pair("layers.0.up", 6, 2, 4), nil, format.KindShape, "a product of shape [6 4]"},
		"swapped Conv1D":     {pair("layers.0.down", 4, 2, 6), nil, format.KindShape, "a product of shape [6 4]"},
		"swapped vera":       {arrays{prefix + "m.q.vera_lambda_b": random(1, f32, 6), prefix + "m.q.vera_lambda_d": random(2, f32, 2), "base_model.vera_A": random(3, f32, 2, 9), "base_model.vera_B": random(4, f32, 9, 2)}, settings{"peft_type": "VERA"}, format.KindShape, "6 outputs, but"},
		"swapped ia3":        {arrays{prefix + "m.q.ia3_l": random(1, f32, 6, 1)}, settings{"peft_type": "IA3"}, format.KindShape, "6 elements, but the base's"},
		"rows":               {arrays{prefix + "m.embed.token_adapter.trainable_tokens_delta": random(1, f32, 2, 4)}, settings{"trainable_token_indices": []int{1, 9}}, format.KindShape, "trains the row 9"},
		"rows twice":         {arrays{prefix + "m.embed.token_adapter.trainable_tokens_delta": random(1, f32, 2, 4)}, settings{"trainable_token_indices": []int{1, 1}}, format.KindDuplicate, "the row 1 twice"},
		"rows unlisted":      {arrays{prefix + "m.embed.token_adapter.trainable_tokens_delta": random(1, f32, 2, 4)}, settings{"trainable_token_indices": map[string][]int{"other": {1, 2}}}, format.KindShape, "for 0 rows"},
		"strange slot":       {arrays{prefix + "m.q.lora_ga.weight": random(1, f32, 4)}, nil, format.KindUnsupported, "nothing that weld knows of adapters: lora_ga"},
		"slot of another":    {with(pair("m.q", 4, 2, 6), arrays{prefix + "m.q.ia3_l": random(1, f32, 4, 1)}), nil, format.KindUnsupported, `ia3_l does not belong to an adapter of peft_type "LORA"`},
		"replicated too far": {pair("layers.0.up", 4, 2, 6), settings{"layer_replication": [][]int{{0, 2}}}, format.KindUnsupported, "the layers 0 to 2 of"},
		"loha":               {loha, settings{"peft_type": "LOHA"}, format.KindShape, "a product of shape [4 7]"},
		"half a loha":        {arrays{prefix + "m.q.hada_w1_a": random(1, f32, 4, 2)}, settings{"peft_type": "LOHA"}, format.KindKey, "there is no hada_w1_b beside it"},
		"lokr twice":         {lokr(arrays{prefix + "m.q.lokr_w2_a": random(1, f32, 2, 2)}), settings{"peft_type": "LOKR"}, format.KindDuplicate, "its factors are there as well"},
		"lokr of Conv1d":     {lokr(arrays{prefix + "m.q.lokr_w2": random(1, f32, 2, 3, 3)}), settings{"peft_type": "LOKR"}, format.KindUnsupported, "in another order than the weight has them"},
		"lokr without w2":    {arrays{prefix + "m.q.lokr_w1": random(1, f32, 2, 2)}, settings{"peft_type": "LOKR"}, format.KindKey, "neither lokr_w2 beside it nor both of lokr_w2_a and lokr_w2_b"},
		"vera without":       {arrays{prefix + "m.q.vera_lambda_b": random(1, f32, 4), prefix + "m.q.vera_lambda_d": random(2, f32, 2)}, settings{"peft_type": "VERA"}, format.KindUnsupported, "save_projection"},
		"vera too small":     {arrays{prefix + "m.q.vera_lambda_b": random(1, f32, 4), prefix + "m.q.vera_lambda_d": random(2, f32, 2), "base_model.vera_A": random(3, f32, 2, 5), "base_model.vera_B": random(4, f32, 4, 2)}, settings{"peft_type": "VERA"}, format.KindShape, "too small"},
		"ia3":                {arrays{prefix + "m.q.ia3_l": random(1, f32, 5, 1)}, settings{"peft_type": "IA3"}, format.KindShape, "5 elements, but the base's"},
		"adalora":            {with(arrays{prefix + "m.q.lora_A": random(1, f32, 2, 6), prefix + "m.q.lora_B": random(2, f32, 4, 2), prefix + "m.q.lora_E": random(3, f32, 3, 1)}), settings{"peft_type": "ADALORA", "init_r": 2}, format.KindShape, "3 elements for the rank 2"},
	} {
		t.Run(name, func(t *testing.T) {
			s := settings{"r": 2}
			for k, v := range c.s {
				s[k] = v
			}
			at := c.adapter.open(t, "adapter_model.safetensors", nil)
			_, err := Apply(base.open(t, "model.safetensors", nil), at, s.raw())
			if err == nil || !strings.Contains(err.Error(), c.says) || format.KindOf(err) != c.kind && !strings.Contains(fmt.Sprint(err), "\n") {
				t.Errorf("kind %q, want %q with %q: %v", format.KindOf(err), c.kind, c.says, err)
			}
		})
	}
}

// Square experts lie as the others of their class do.
func TestSquareExperts(t *testing.T) {
	const e, n, r = 3, 4, 2
	for _, turned := range []bool{false, true} {
		wide := []int64{e, 8, n} // [out, in]
		if turned {
			wide = []int64{e, n, 8}
		}
		square, a, b := random(1, f32, e, n, n), random(2, f32, e*r, n), random(3, f32, n, e*r)
		base := arrays{"m.experts.up": random(4, f32, wide...), "m.experts.down": square}
		adapter := arrays{
			prefix + "m.experts.base_layer.lora_A.weight": random(5, f32, e*r, n), prefix + "m.experts.base_layer.lora_B.weight": random(6, f32, 8, e*r),
			prefix + "m.experts.lora_A.weight": a, prefix + "m.experts.lora_B.weight": b,
		}
		_, got := numbers(t, apply(t, base, adapter, settings{"r": r, "lora_alpha": r, "target_parameters": []string{"experts.up", "experts.down"}}), "m.experts.down")
		for i := range int64(len(got)) {
			expert, out, in := i/(n*n), i%(n*n)/n, i%n
			if turned {
				out, in = in, out
			}
			want := square.values[i]
			for k := range int64(r) {
				want += b.values[out*e*r+k*e+expert] * a.values[(expert*r+k)*n+in]
			}
			if !(math.Abs(got[i]-want) <= 1e-5) {
				t.Fatalf("turned %v: element %d is %v, want %v", turned, i, got[i], want)
			}
		}
	}
}
