package llamacpp

import (
	"fmt"
	"math"

	"weld/format"
	"weld/mmapio"
)

// Rotations of queries and keys are stretched for longer texts. GGUF has the kind and its numbers in rope.scaling.*, but that of Llama 3
// as a tensor of divisors, one for each pair of rows; the Hub has rope_scaling in config.json.

// ropeFactors is the tensor.
const ropeFactors = "rope_freqs.weight"

// defaultBase is the base of rotations where none is said.
const defaultBase = 10000

// rotation is rope_scaling; nil for none.
func (h *Hub) rotation(m *metadata) (object, error) {
	factor := m.float("rope.scaling.factor", 0)
	if factor == 0 {
		factor = m.float("rope.scale_linear", 0) // as it was called once
	}
	m.ignore("rope.scale_linear", "rope.scaling.finetuned")
	kind := m.text("rope.scaling.type")
	if kind == "" && factor != 0 { // which llama.cpp takes it for
		kind = "linear"
	}
	var scaling object
	switch {
	case m.err != nil:
		return nil, m.err
	case kind == "" || kind == "none" || kind == "linear" && (factor == 0 || factor == 1):
		m.ignore("rope.scaling.original_context_length")
	case factor < 1:
		m.fail("rope.scaling.factor", "is %v, and rotations are stretched by 1 or more", factor)
	case kind == "linear":
		scaling = object{{"rope_type", kind}, {"factor", single(factor)}}
		m.ignore("rope.scaling.original_context_length")
	case kind == "yarn":
		scaling = m.yarn(factor)
	default:
		m.fail("rope.scaling.type", "is %q, which weld does not know; it knows none, linear and yarn", kind)
	}
	for _, key := range []string{"attn_factor", "yarn_log_multiplier", "alpha"} {
		m.only("rope.scaling."+key, 0, 1)
	}
	if m.err != nil {
		return nil, m.err
	}
	i, ok := h.mapping.Find(ropeFactors)
	if !ok {
		return scaling, nil
	}
	if h.mapping.Name != "llama" {
		return nil, h.mapping.refuse(ropeFactors, format.KindNames, "no model of %s in the Hub has what this is%s", h.mapping.Model, instead)
	}
	divided, err := h.dividedRotation(m, i)
	if err == nil && divided != nil && scaling != nil {
		err = h.mapping.refuse(ropeFactors, format.KindMetadata, "rotations are divided by it, and %s.rope.scaling.type is %q: the Hub has one of both", m.name, kind)
	}
	if divided != nil {
		scaling = divided
	}
	return scaling, err
}

// yarn is the configuration of YaRN (arXiv 2309.00071).
func (m *metadata) yarn(factor float64) object {
	scaling := object{{"rope_type", "yarn"}, {"factor", single(factor)}, {"original_max_position_embeddings", m.size("rope.scaling.original_context_length", 0)}}
	for _, k := range [][2]string{{"yarn_ext_factor", "extrapolation_factor"}, {"yarn_attn_factor", "attention_factor"}, {"yarn_beta_fast", "beta_fast"}, {"yarn_beta_slow", "beta_slow"}} {
		if _, ok := m.get("rope.scaling." + k[0]); ok {
			scaling.set(k[1], single(m.float("rope.scaling."+k[0], 0)))
		}
	}
	return scaling
}

// Of Llama 3's parameters, three stand in the table of divisors; all models have the same two of them.
const lowFrequency, highFrequency = 1, 4

// llama3 is how rotations of Llama 3 are stretched.
type llama3 struct {
	factor   float64
	original int64   // positions of the training before
	low      float64 // low_freq_factor
	high     float64 // high_freq_factor
}

// divisors are those of all pairs of a head, in float32 where convert_hf_to_gguf.py computes so.
func (l llama3) divisors(base float64, rows int64) []float32 {
	list := make([]float32, rows/2)
	for k := range list {
		wavelength := l.wavelength(base, rows, k)
		switch {
		case wavelength < float32(float64(l.original)/l.high):
			list[k] = 1
		case wavelength > float32(float64(l.original)/l.low):
			list[k] = float32(l.factor)
		default:
			smooth := (float32(l.original)/wavelength - float32(l.low)) / float32(l.high-l.low)
			list[k] = 1 / ((1-smooth)/float32(l.factor) + smooth)
		}
	}
	return list
}

// wavelength is how many positions a pair takes to turn round.
func (l llama3) wavelength(base float64, rows int64, pair int) float32 {
	power := float32(math.Pow(float64(float32(base)), float64(float32(2*pair)/float32(rows))))
	return float32(2*math.Pi) / (1 / power)
}

// dividedRotation finds the numbers of Llama 3 that a table of divisors was made of. Only those that give the table are taken.
func (h *Hub) dividedRotation(m *metadata, tensor int) (object, error) {
	rows := h.mapping.sizes[head]
	table, err := h.floats(tensor, rows/2)
	if err != nil {
		return nil, err
	}
	plain := true
	for _, x := range table {
		if !(x >= 1) || math.IsInf(float64(x), 0) {
			return nil, h.mapping.refuse(ropeFactors, format.KindMetadata, "a divisor of %v: rotations are stretched by 1 or more", x)
		}
		plain = plain && x == 1
	}
	if plain {
		return nil, nil
	}
	base := m.float("rope.freq_base", defaultBase)
	for _, original := range []int64{8192, 2048, 4096, 16384, 32768, 65536, 131072} {
		l := llama3{original: original, low: lowFrequency, high: highFrequency}
		if l.factor = l.factorOf(table, base, rows); l.factor > 1 && alike(l.divisors(base, rows), table) {
			return object{{"rope_type", "llama3"}, {"factor", single(l.factor)}, {"low_freq_factor", single(l.low)}, {"high_freq_factor", single(l.high)}, {"original_max_position_embeddings", original}}, nil
		}
	}
	return nil, h.mapping.refuse(ropeFactors, format.KindMetadata, "its %d divisors (up to %v) are none that Llama 3's formula gives with low_freq_factor 1 and high_freq_factor 4: weld does not know what to write as rope_scaling", len(table), table[len(table)-1])
}

// factorOf is the factor that gives the last divisor, which is the largest.
func (l llama3) factorOf(table []float32, base float64, rows int64) float64 {
	last := len(table) - 1
	f, wavelength := float64(table[last]), float64(l.wavelength(base, rows, last))
	if wavelength > float64(l.original)/l.low {
		return f
	}
	smooth := (float64(l.original)/wavelength - l.low) / (l.high - l.low)
	factor := (1 - smooth) / (1/f - smooth)
	if rounded := math.Round(factor*16) / 16; math.Abs(factor-rounded) < 1e-3*rounded { // the inverse of a number that was rounded
		return rounded
	}
	return factor
}

// alike reports whether two tables are the same but for the last bits.
func alike(a, b []float32) bool {
	for i := range a {
		if math.Abs(float64(a[i]-b[i])) > 1e-5*float64(b[i]) {
			return false
		}
	}
	return true
}

// floats are the values of a small tensor, of which n are expected.
func (h *Hub) floats(tensor int, n int64) ([]float32, error) {
	t := h.mapping.Tensors()[tensor]
	if t.Elements() != n || !t.DType.Computable() {
		return nil, h.mapping.refuse(t.Name, format.KindShape, "its shape is %v of %v, and %d numbers were expected", t.Shape, t.DType, n)
	}
	view, err := format.Read(h.mapping.Checkpoint, tensor, 0, t.Bytes())
	if err != nil {
		return nil, fmt.Errorf("read %s of %s: %w", t.Name, h.mapping.Path(), err)
	}
	defer view.Release()
	values := make([]float32, n)
	err = mmapio.Guard([]mmapio.View{view}, func() error {
		format.Decode(t.DType, values, view.Data)
		return nil
	})
	return values, err
}
