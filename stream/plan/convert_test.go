package plan

import "testing"

// A part of a weight is called as the weight is, with an ending, or as something else in its module.
func TestPartName(t *testing.T) {
	for _, c := range []struct{ part, weight, now, want string }{
		{"a.up.weight", "a.up.weight", "b.down.weight", "b.down.weight"},
		{"a.up.weight_scale_inv", "a.up.weight", "b.weight", "b.weight_scale_inv"},
		{"a.up.weight_scale_inv", "a.up.weight", "a.up.kernel", "a.up.kernel_scale_inv"},
		{"a.up.qweight", "a.up.weight", "b.up.weight", "b.up.qweight"},
		{"a.up.qweight", "a.up.weight", "weight", "qweight"},
		{"a.up.qweight", "a.up.weight", "a.up.kernel", ""},
		{"a.experts.gate_up_proj_blocks", "a.experts.gate_up_proj", "b.experts.gate_up", "b.experts.gate_up_blocks"},
		{"scale", "weight", "a.weight", "a.scale"},
		{"other.scale", "a.weight", "b.weight", ""},
	} {
		got, ok := partName(c.part, c.weight, c.now)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%s of %s, now %s: got %q, %v, want %q", c.part, c.weight, c.now, got, ok, c.want)
		}
	}
}
