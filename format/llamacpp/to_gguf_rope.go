package llamacpp

import (
	"math"

	"weld/format"
)

// Configurations say how rotations are made in two ways: rope_theta and rope_scaling beside it (transformers 4), or rope_parameters with both (transformers
// 5). Gemma 3 has other ones for layers with a window: rope_local_base_freq, or an object in rope_parameters for each kind of layer.

// rotations finds the settings of rotations, and those of layers with a window, if they differ.
func (g *GGUF) rotations() (whole, windowed *settings) {
	s := g.settings
	if whole = s.sub("rope_parameters"); whole != nil {
		if full := whole.sub("full_attention"); full != nil {
			return full, whole.sub("sliding_attention")
		}
		return whole, nil
	}
	if whole = s.sub("rope_scaling"); whole == nil {
		whole = &settings{path: s.path, all: map[string]any{}}
	}
	if theta, ok := s.all["rope_theta"]; ok {
		whole.all["rope_theta"] = theta
	}
	return whole, nil
}

// sayRotation writes how queries and keys are turned.
func (g *GGUF) sayRotation(key func(string) string) {
	s, d, p := g.settings, g.mapping, &g.Pairs
	r, windowed := g.rotations()
	gemma3 := d.Model == "gemma3_text"
	base := r.needed("rope_theta", map[bool]float64{true: 1e6, false: defaultBase}[gemma3])
	if d.Model != "gemma" && d.Model != "gemma2" || base != defaultBase {
		p.Float32(key("rope.freq_base"), float32(base))
	}
	if gemma3 {
		local := s.needed("rope_local_base_freq", defaultBase)
		if windowed != nil {
			windowed.only("rope_type", "default", "default")
			local = windowed.needed("rope_theta", local)
		}
		p.Float32(key("rope.freq_base_swa"), float32(local))
	}
	kind := r.text("rope_type")
	if kind == "" {
		kind = r.text("type")
	}
	r.only("partial_rotary_factor", 1.0, 1.0, nil)
	switch kind {
	case "", "default":
	case "linear":
		p.Text(key("rope.scaling.type"), kind)
		p.Float32(key("rope.scaling.factor"), float32(r.needed("factor", math.NaN())))
	case "yarn":
		g.sayYarn(key, r)
	case "llama3":
		g.divide(r, base)
	default:
		r.fail("rope_type is %q: llama.cpp is known to stretch rotations by linear, yarn and llama3", kind)
	}
	for _, sub := range []*settings{r, windowed} {
		if sub != nil && s.err == nil {
			s.err = sub.err
		}
	}
}

// sayYarn writes the numbers of YaRN. What llama.cpp takes where nothing is said is what transformers takes.
func (g *GGUF) sayYarn(key func(string) string, r *settings) {
	p := &g.Pairs
	p.Text(key("rope.scaling.type"), "yarn")
	p.Float32(key("rope.scaling.factor"), float32(r.needed("factor", math.NaN())))
	original := r.size("original_max_position_embeddings", g.settings.size("original_max_position_embeddings", g.settings.size("max_position_embeddings", 0)))
	p.Uint32(key("rope.scaling.original_context_length"), uint32(original))
	for _, k := range [][2]string{{"extrapolation_factor", "yarn_ext_factor"}, {"attention_factor", "yarn_attn_factor"}, {"beta_fast", "yarn_beta_fast"}, {"beta_slow", "yarn_beta_slow"}} {
		if x, ok := r.number(k[0]); ok {
			p.Float32(key("rope.scaling."+k[1]), float32(x))
		}
	}
	for _, name := range []string{"mscale", "mscale_all_dim"} {
		r.only(name, nil, nil)
	}
	r.only("truncate", true, true)
}

// divide adds the divisors of Llama 3's rotations, which GGUF has as a tensor.
func (g *GGUF) divide(r *settings, base float64) {
	d := g.mapping
	if d.Name != "llama" {
		r.fail("rope_type is llama3, and llama.cpp has that of llama alone")
		return
	}
	l := llama3{factor: r.needed("factor", math.NaN()), low: r.needed("low_freq_factor", math.NaN()), high: r.needed("high_freq_factor", math.NaN()), original: r.size("original_max_position_embeddings", 0)}
	switch {
	case r.err != nil:
		return
	case l.factor < 1 || l.low <= 0 || l.high <= l.low:
		r.fail("rope_type is llama3 with factor %v, low_freq_factor %v and high_freq_factor %v, which stretch nothing", l.factor, l.low, l.high)
		return
	}
	rows := d.sizes[head]
	d.parts = append(d.parts, part{made: l.divisors(base, rows), tensor: format.Tensor{Name: ropeFactors, DType: format.F32, Shape: []int64{rows / 2}}})
}
