package lora

import (
	"regexp"

	"weld/format"
	"weld/internal/vec"
)

// Single files of SDXL and SD 2 have a text encoder of OpenCLIP, whose names are not those of transformers, and whose queries, keys and values are
// one tensor [3·width, width]. Adapters are trained on the model that transformers makes of it (diffusers 0.42,
// convert_open_clip_checkpoint), and change a third of that tensor each.

// inLayer are the modules of a layer, OpenCLIP's name first.
var inLayer = [][2]string{
	{"attn.out_proj", "self_attn.out_proj"}, {"mlp.c_fc", "mlp.fc1"}, {"mlp.c_proj", "mlp.fc2"}, {"ln_1", "layer_norm1"}, {"ln_2", "layer_norm2"},
}

// thirds are the modules that OpenCLIP has as one, in their order.
var thirds = []string{"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}

var openCLIPLayer = regexp.MustCompile(`^transformer\.resblocks\.(\d{1,3})\.(.+)$`)

// place is where a module lies in a base: a tensor of its own, or, of 1 to 3, a third of one.
type place struct {
	module string
	third  int
	tensor string // that it is a third of
}

// openCLIPPlaces are the places, by transformers' name, of a module of OpenCLIP's, or of a tensor that is three.
func openCLIPPlaces(name string, visit func(module string, third int)) {
	match := openCLIPLayer.FindStringSubmatch(name)
	if match == nil {
		return
	}
	layer := "encoder.layers." + match[1] + "."
	if match[2] == "attn.in_proj_weight" {
		for i, module := range thirds {
			visit(layer+module, i+1)
		}
		return
	}
	if module, ok := other(inLayer, match[2], 0); ok {
		visit(layer+module, 0)
	}
}

// weightOfThird sees a third of a tensor as a matrix.
func (m *matching) weightOfThird(s *moduleSite) (target int, size grid, ok bool) {
	target, ok = m.base.Find(s.tensor)
	if !ok {
		return 0, grid{}, false
	}
	shape := m.base.Tensors()[target].Shape
	if len(shape) != 2 || shape[0] != 3*shape[1] {
		m.fault(s.first, format.KindShape, "the base's %q has %v, which is no tensor of queries, keys and values", clip(s.tensor), shape)
		return 0, grid{}, false
	}
	return target, grid{1, shape[0] / 3, shape[1]}, true
}

// changeThird has a step change a third of a tensor.
func (m *matching) changeThird(s *moduleSite, target int, third grid, d delta) {
	if has(s.slots, "dora_scale", "lora_magnitude_vector", biasSlot) {
		m.fault(s.first, format.KindUnsupported, "DoRA or a bias of the adapter's own, for a third of the base's %q", clip(s.tensor))
		return
	}
	whole := grid{1, 3 * third.rows, third.cols}
	m.change(target, s.first, whole, &band{inner: d, top: int64(s.third-1) * third.rows, rows: third.rows})
}

// band is a step that changes rows [top, top+rows) of a tensor alone, as another would a tensor of just these.
type band struct {
	inner     delta
	top, rows int64
}

func (b *band) needs() needs { return b.inner.needs() }
func (b *band) reads() []int { return b.inner.reads() }

func (b *band) singles(in *scratch[float32], of *layer, t tile, w []float32) error {
	return changeBand(in, b, of, t, w)
}

func (b *band) doubles(in *scratch[float64], of *layer, t tile, w []float64) error {
	return changeBand(in, b, of, t, w)
}

func changeBand[T vec.Float](in *scratch[T], b *band, of *layer, t tile, w []T) error {
	top, bottom := max(t.top, b.top), min(t.bottom, b.top+b.rows)
	if top >= bottom {
		return nil
	}
	part := tile{t.slice, top - b.top, bottom - b.top, t.left, t.right}
	return step(in, b.inner, of, part, w[(top-t.top)*t.cols():(bottom-t.top)*t.cols()])
}

// apart reports whether a step and those of a tensor before it change different rows.
func (e *edit) apart(d delta) bool {
	b, ok := d.(*band)
	for _, one := range e.steps {
		c, band := one.(*band)
		if !ok || !band || b.top < c.top+c.rows && c.top < b.top+b.rows {
			return false
		}
	}
	return true
}
