package lora

import (
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"weld/format"
)

// pipeline is a base as a folder of components shows it.
func pipeline() arrays {
	return arrays{
		"unet/down.0.to_q.weight":                         random(1, f32, 4, 6),
		"unet/down.0.to_q.bias":                           random(2, f32, 4),
		"unet/down.0.conv.weight":                         random(3, bf16, 4, 3, 3, 3),
		"unet/norm.weight":                                random(4, f32, 4),
		"text_encoder/text_model.layers.0.fc.weight":      random(5, f32, 4, 4),
		"text_encoder_2/layers.0.fc.weight":               random(6, f32, 4, 4),
		"text_encoder/text_model.embeddings.table.weight": random(7, f32, 9, 4),
	}
}

// single is the same as the original programs keep it in one file.
func single() arrays {
	named := arrays{}
	for name, a := range pipeline() {
		name = strings.Replace(name, "unet/", original, 1)
		name = strings.Replace(name, "text_encoder/", "conditioner.embedders.0.transformer.", 1)
		named[strings.Replace(name, "text_encoder_2/", "conditioner.embedders.1.model.", 1)] = a
	}
	return named
}

// part is one component by itself.
func part(begin string) arrays {
	named := arrays{}
	for name, a := range pipeline() {
		if rest, ok := strings.CutPrefix(name, begin); ok {
			named[rest] = a
		}
	}
	return named
}

func number(d format.DType, x float64) array {
	a := array{dtype: d, values: []float64{x}, bytes: make([]byte, d.Bits()/8)}
	format.Encode(d, a.bytes, a.values)
	return a
}

func applyBare(t testing.TB, base, adapter arrays, metadata map[string]string) (format.Checkpoint, error) {
	t.Helper()
	return ApplyBare(base.open(t, "model.safetensors", nil), adapter.open(t, "lora.safetensors", metadata))
}

// A module is found wherever a base has the part that it belongs to, and by the scale alpha/rank its product is added.
func TestBareHouses(t *testing.T) {
	a, b := random(11, f32, 2, 6), random(12, f32, 4, 2)
	unet := arrays{"lora_unet_down_0_to_q.lora_down.weight": a, "lora_unet_down_0_to_q.lora_up.weight": b, "lora_unet_down_0_to_q.alpha": number(bf16, 3)}
	dotted := arrays{"unet.down.0.to_q.lora_A.weight": a, "unet.down.0.to_q.lora_B.weight": b, "unet.down.0.to_q.alpha": number(f32, 3)}
	processor := arrays{"unet.down.0.processor.to_q_lora.down.weight": a, "unet.down.0.processor.to_q_lora.up.weight": b, "unet.down.0.to_q.alpha": number(f32, 3)}
	wrapped := arrays{"lycoris_down_0_to_q.lora_down.weight": a, "lycoris_down_0_to_q.lora_up.weight": b, "lycoris_down_0_to_q.alpha": number(f32, 3)}
	c, d := random(13, f32, 2, 4), random(14, f32, 4, 2)
	first := arrays{"lora_te1_layers_0_fc.lora_down.weight": c, "lora_te1_layers_0_fc.lora_up.weight": d, "lora_te1_layers_0_fc.alpha": number(f32, 3)}
	long := arrays{"lora_te_text_model_layers_0_fc.lora_down.weight": c, "lora_te_text_model_layers_0_fc.lora_up.weight": d, "lora_te_text_model_layers_0_fc.alpha": number(f32, 3)}
	plain := arrays{"text_encoder.layers.0.fc.lora_linear_layer.down.weight": c, "text_encoder.layers.0.fc.lora_linear_layer.up.weight": d, "text_encoder.layers.0.fc.alpha": number(f32, 3)}
	second := arrays{"lora_te2_text_model_layers_0_fc.lora_down.weight": c, "lora_te2_text_model_layers_0_fc.lora_up.weight": d, "lora_te2_text_model_layers_0_fc.alpha": number(f32, 3)}
	for _, one := range []struct {
		what          string
		base, adapter arrays
		changed       string
	}{
		{"folder", pipeline(), unet, "unet/down.0.to_q.weight"},
		{"folder", pipeline(), dotted, "unet/down.0.to_q.weight"},
		{"folder", pipeline(), processor, "unet/down.0.to_q.weight"},
		{"folder", pipeline(), wrapped, "unet/down.0.to_q.weight"},
		{"folder", pipeline(), first, "text_encoder/text_model.layers.0.fc.weight"},
		{"folder", pipeline(), long, "text_encoder/text_model.layers.0.fc.weight"},
		{"folder", pipeline(), plain, "text_encoder/text_model.layers.0.fc.weight"},
		{"folder", pipeline(), second, "text_encoder_2/layers.0.fc.weight"},
		{"single file", single(), unet, original + "down.0.to_q.weight"},
		{"single file", single(), first, "conditioner.embedders.0.transformer.text_model.layers.0.fc.weight"},
		{"component", part("unet/"), unet, "down.0.to_q.weight"},
		{"component", part("unet/"), dotted, "down.0.to_q.weight"},
		{"component", part("unet/"), wrapped, "down.0.to_q.weight"},
		{"component", part("text_encoder/"), long, "text_model.layers.0.fc.weight"},
		{"component", part("text_encoder_2/"), second, "layers.0.fc.weight"},
	} {
		got, err := applyBare(t, one.base, one.adapter, nil)
		if err != nil {
			t.Errorf("%s, %v: %v", one.what, slices.Sorted(maps.Keys(one.adapter)), err)
			continue
		}
		left, right, in := b, a, int64(6)
		if strings.Contains(one.changed, "fc") {
			left, right, in = d, c, 4
		}
		for name, was := range one.base {
			_, is := numbers(t, got, name)
			for i, x := range was.values {
				if name == one.changed {
					x += 1.5 * dot(left, right, 2, in, int64(i)/in, int64(i)%in)
				}
				if math.Abs(is[i]-x) > 1e-5 {
					t.Fatalf("%s, %v: %s[%d] is %v, want %v", one.what, slices.Sorted(maps.Keys(one.adapter)), name, i, is[i], x)
				}
			}
		}
		if len(format.Metadata(got)) > 0 {
			t.Errorf("metadata %v", format.Metadata(got))
		}
	}
}

// What cannot be applied as it is meant is refused, and the tensor is named.
func TestBareRefused(t *testing.T) {
	a, b := random(11, f32, 2, 6), random(12, f32, 4, 2)
	with := func(more arrays) arrays {
		all := arrays{"lora_unet_down_0_to_q.lora_down.weight": a, "lora_unet_down_0_to_q.lora_up.weight": b}
		maps.Copy(all, more)
		return all
	}
	clashing := pipeline()
	clashing["unet/down_0.to_q.weight"] = random(8, f32, 4, 6)
	te := arrays{"lora_te2_layers_0_fc.lora_down.weight": random(1, f32, 2, 4), "lora_te2_layers_0_fc.lora_up.weight": random(1, f32, 4, 2)}
	header := func(text string) map[string]string { return map[string]string{headerConfig: text} }
	plain := arrays{"unet.down.0.to_q.lora_A.weight": a, "unet.down.0.to_q.lora_B.weight": b}
	for name, one := range map[string]struct {
		base, adapter arrays
		metadata      map[string]string
		kind          format.Kind
		says          string
	}{
		"no such module":      {nil, arrays{"lora_unet_gone.lora_down.weight": a, "lora_unet_gone.lora_up.weight": b}, nil, format.KindKey, `no module "gone" with _ for its dots where lora_unet has its own`},
		"no such part":        {single(), arrays{"lora_te3_gone.lora_down.weight": a}, nil, format.KindKey, "nor any other module of it"},
		"two that fit":        {clashing, with(nil), nil, format.KindNames, "weld does not choose"},
		"two for one":         {nil, with(arrays{"unet.down.0.to_q.lora_A.weight": a}), nil, format.KindDuplicate, "is for the same module"},
		"OpenCLIP, DoRA":      {openCLIP(), arrays{"lora_te2_encoder_layers_0_self_attn_k_proj.lora_down.weight": random(1, f32, 2, 4), "lora_te2_encoder_layers_0_self_attn_k_proj.lora_up.weight": random(1, f32, 4, 2), "lora_te2_encoder_layers_0_self_attn_k_proj.dora_scale": random(1, f32, 4, 1)}, nil, format.KindUnsupported, "for a third of"},
		"OpenCLIP, diff":      {openCLIP(), arrays{"lora_te2_encoder_layers_0_self_attn_k_proj.diff": random(1, f32, 4, 4)}, nil, format.KindUnsupported, "a difference for a third of"},
		"OpenCLIP, outputs":   {openCLIP(), arrays{"lora_te2_encoder_layers_0_self_attn_k_proj.lora_down.weight": random(1, f32, 2, 4), "lora_te2_encoder_layers_0_self_attn_k_proj.lora_up.weight": random(1, f32, 12, 2)}, nil, format.KindShape, "a product of shape [12 4]"},
		"several parts":       {part("unet/"), with(te), nil, format.KindKey, "name the folder of all parts as the base"},
		"another program":     {nil, with(arrays{"lora_unet_down_0_to_q.oft_blocks": a}), nil, format.KindUnsupported, "oft_blocks"},
		"another name":        {nil, with(arrays{"emb_params": a}), nil, format.KindUnsupported, "none of kohya-ss"},
		"no up":               {nil, arrays{"lora_unet_down_0_to_q.lora_down.weight": a}, nil, format.KindKey, "no lora_B"},
		"alpha alone":         {nil, with(arrays{"lora_te1_layers_0_fc.alpha": number(f32, 1)}), nil, format.KindKey, "nothing beside it says what is done"},
		"alpha of 0":          {nil, with(arrays{"lora_unet_down_0_to_q.alpha": number(f32, 0)}), nil, format.KindUnsupported, "alpha is 0"},
		"alpha of NaN":        {nil, with(arrays{"lora_unet_down_0_to_q.alpha": number(f32, math.NaN())}), nil, format.KindUnsupported, "alpha is NaN"},
		"alphas":              {nil, with(arrays{"lora_unet_down_0_to_q.alpha": random(1, f32, 2)}), nil, format.KindShape, "alpha is one number"},
		"ranks":               {nil, with(arrays{"lora_unet_down_0_to_q.lora_up.weight": random(1, f32, 4, 3)}), nil, format.KindShape, "not of one rank"},
		"inputs":              {nil, with(arrays{"lora_unet_down_0_to_q.lora_down.weight": random(1, f32, 2, 5)}), nil, format.KindShape, "a factor A"},
		"outputs":             {nil, with(arrays{"lora_unet_down_0_to_q.lora_up.weight": random(1, f32, 5, 2)}), nil, format.KindShape, "a product of shape [5 6]"},
		"a kernel":            {nil, arrays{"lora_unet_down_0_conv.lora_down.weight": random(1, f32, 2, 3, 1, 1), "lora_unet_down_0_conv.lora_up.weight": b}, nil, format.KindShape, "a factor A"},
		"magnitudes":          {nil, with(arrays{"lora_unet_down_0_to_q.dora_scale": random(1, f32, 5, 1)}), nil, format.KindShape, "neither one for each output"},
		"two methods":         {nil, with(arrays{"lora_unet_down_0_to_q.hada_w1_a": a}), nil, format.KindUnsupported, "does not belong to a module of this kind"},
		"a difference":        {nil, arrays{"lora_unet_norm.w_norm": random(1, f32, 5)}, nil, format.KindShape, "shape [5]"},
		"a bias that is not":  {nil, arrays{"lora_unet_norm.w_norm": random(1, f32, 4), "lora_unet_norm.b_norm": random(1, f32, 4)}, nil, format.KindKey, "norm.bias"},
		"turned":              {arrays{"down.0.to_q.weight": random(1, f32, 6, 4), "down.0.to_q.bias": random(1, f32, 4)}, with(nil), nil, format.KindUnsupported, "Conv1D"},
		"header: no JSON":     {nil, plain, header("x"), format.KindJSON, headerConfig},
		"header: rank":        {nil, plain, header(`{"unet.r": 3, "unet.lora_alpha": 3}`), format.KindShape, "gives 3"},
		"header: DoRA":        {nil, plain, header(`{"unet.r": 2, "unet.use_dora": true}`), format.KindKey, "use_dora"},
		"header: no number":   {nil, plain, header(`{"unet.r": "2"}`), format.KindType, headerConfig + " of unet"},
		"header: method":      {nil, plain, header(`{"unet.r": 2, "unet.peft_type": "LOHA"}`), format.KindUnsupported, "LOHA"},
		"header: parameters":  {nil, plain, header(`{"unet.r": 2, "unet.target_parameters": ["x"]}`), format.KindUnsupported, "target_parameters"},
		"header and an alpha": {nil, arrays{"unet.down.0.to_q.lora_A.weight": a, "unet.down.0.to_q.lora_B.weight": b, "unet.down.0.to_q.alpha": number(f32, 1)}, header(`{"unet.r": 2}`), format.KindUnsupported, "does not allow both"},
	} {
		base := one.base
		if base == nil {
			base = pipeline()
		}
		_, err := applyBare(t, base, one.adapter, one.metadata)
		var e *format.Error
		if !errors.As(err, &e) || e.Kind != one.kind || !strings.Contains(err.Error(), one.says) {
			t.Errorf("%s: %v, want %s: %q", name, err, one.kind, one.says)
		}
	}
}

// Both factors of W₁ as products, which no golden has, and a whole W₂ of a convolution in one dimension, which PEFT multiplies otherwise.
func TestBareLokr(t *testing.T) {
	w1a, w1b, w2a, w2b := random(1, f32, 3, 2), random(2, f32, 2, 4), random(3, f32, 5, 2), random(4, f32, 2, 6)
	base := arrays{"q.weight": random(5, f32, 15, 24), "c.weight": random(6, f32, 4, 6, 3)}
	w1, w2 := random(7, f32, 2, 3), random(8, f32, 2, 2, 3)
	got, err := applyBare(t, base, arrays{
		"lora_unet_q.lokr_w1_a": w1a, "lora_unet_q.lokr_w1_b": w1b, "lora_unet_q.lokr_w2_a": w2a, "lora_unet_q.lokr_w2_b": w2b, "lora_unet_q.alpha": number(f32, 1),
		"lora_unet_c.lokr_w1": w1, "lora_unet_c.lokr_w2": w2, "lora_unet_c.alpha": number(f32, 9),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, q := numbers(t, got, "q.weight")
	for i := range int64(15 * 24) {
		row, col := i/24, i%24
		want := base["q.weight"].values[i] + 0.5*dot(w1a, w1b, 2, 4, row/5, col/6)*dot(w2a, w2b, 2, 6, row%5, col%6)
		if math.Abs(q[i]-want) > 1e-5 {
			t.Fatalf("q[%d] is %v, want %v", i, q[i], want)
		}
	}
	_, c := numbers(t, got, "c.weight")
	for i := range int64(4 * 6 * 3) {
		row, in, k := i/18, i/3%6, i%3
		want := base["c.weight"].values[i] + w1.values[row/2*3+in/2]*w2.values[(row%2*2+in%2)*3+k]
		if math.Abs(c[i]-want) > 1e-5 {
			t.Fatalf("c[%d] is %v, want %v", i, c[i], want)
		}
	}
}

// openCLIP is the second text encoder of a single file of SDXL.
func openCLIP() arrays {
	const layer = "conditioner.embedders.1.model.transformer.resblocks.0."
	return arrays{
		layer + "attn.in_proj_weight":        random(1, f32, 12, 4),
		layer + "attn.in_proj_bias":          random(2, f32, 12),
		layer + "attn.out_proj.weight":       random(3, bf16, 4, 4),
		layer + "mlp.c_fc.weight":            random(4, f32, 6, 4),
		layer + "ln_1.weight":                random(5, f32, 4),
		original + "input_blocks.0.0.weight": random(6, f32, 2, 2, 3, 3),
	}
}

// Queries, keys and values of OpenCLIP are thirds of one tensor, each with an adapter of its own, whatever range is asked for.
func TestBareOpenCLIP(t *testing.T) {
	const layer = "conditioner.embedders.1.model.transformer.resblocks.0."
	adapter, factors := arrays{}, make(map[string][2]array)
	add := func(module string, rank, out, in int64) {
		a, b := random(uint64(20+len(adapter)), f32, rank, in), random(uint64(21+len(adapter)), f32, out, rank)
		factors[module] = [2]array{b, a}
		name := "lora_te2_text_model_encoder_layers_0_" + module
		adapter[name+".lora_down.weight"], adapter[name+".lora_up.weight"], adapter[name+".alpha"] = a, b, number(f32, 1)
	}
	add("self_attn_q_proj", 2, 4, 4)
	add("self_attn_k_proj", 1, 4, 4)
	add("self_attn_out_proj", 2, 4, 4)
	add("mlp_fc1", 2, 6, 4)
	base := openCLIP()
	got, err := applyBare(t, base, adapter, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := func(tensor string, row, col int64) (float64, bool) {
		module := map[string]string{"attn.out_proj.weight": "self_attn_out_proj", "mlp.c_fc.weight": "mlp_fc1"}[tensor]
		if tensor == "attn.in_proj_weight" {
			module, row = []string{"self_attn_q_proj", "self_attn_k_proj", ""}[row/4], row%4
		}
		f, ok := factors[module]
		if !ok {
			return 0, false
		}
		rank := f[1].shape[0]
		return dot(f[0], f[1], rank, 4, row, col) / float64(rank), true
	}
	for name, was := range base {
		_, is := numbers(t, got, name)
		for i, x := range was.values {
			if y, ok := want(strings.TrimPrefix(name, layer), int64(i)/4, int64(i)%4); ok {
				x += y
			}
			if math.Abs(is[i]-x) > 1e-5 {
				t.Fatalf("%s[%d] is %v, want %v", name, i, is[i], x)
			}
		}
	}
	i, _ := got.Find(layer + "attn.in_proj_weight")
	_, whole := content(t, got, layer+"attn.in_proj_weight")
	for off := int64(0); off < int64(len(whole)); off += 20 {
		part, err := lent(got, i, off, min(20, int64(len(whole))-off), got.View)
		if err != nil || string(part) != string(whole[off:off+int64(len(part))]) {
			t.Fatalf("bytes from %d on: %v", off, err)
		}
	}
}
