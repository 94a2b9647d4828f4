package names

import (
	"fmt"
	"strings"
	"testing"

	"weld/format"
)

// FuzzMeet reads two lists of names and shapes, a line for each tensor, and demands what holds whatever they are: no
// tensor is two of the wanted ones, pieces lie inside their tensors and make up the whole, nobody's elements are used twice, and the result
// does not depend on chance.
func FuzzMeet(f *testing.F) {
	f.Add("a.weight\nmodel.layers.0.q.weight 2 3", "module.a.weight\nlayers.0.q.weight 2 3")
	f.Add("m.experts.gate_up_proj 2 4 3\nm.experts.down_proj 2 3 2", "m.experts.0.w1.weight 2 3\nm.experts.0.w3.weight 2 3\nm.experts.1.w1.weight 2 3\nm.experts.1.w3.weight 2 3\nm.experts.0.w2.weight 3 2\nm.experts.1.w2.weight 3 2")
	f.Add("m.experts.0.w1.weight 2 3\nm.experts.0.w3.weight 2 3", "m.experts.gate_up_proj 1 4 3")
	f.Add("m.experts.x 2 3 4\nm.experts.y 2 3 3", "m.experts.x 2 4 3\nm.experts.y 2 3 3")
	f.Add("l.conv1d.weight 3 2", "l.q_conv1d.weight 1 2\nl.k_conv1d.weight 1 2\nl.v_conv1d.weight 1 2")
	f.Add("bert.a.b.weight", "a.b.weight")
	f.Add("lm_head.weight 2 2", "wte.weight 2 2")
	f.Fuzz(func(t *testing.T, a, b string) {
		wanted, have := parsed(a), parsed(b)
		m := meet(wanted, have)
		used := make([]int64, len(have))
		for i, w := range wanted {
			if j := m.Whole[i]; j != None {
				if m.Built[i] != nil {
					t.Fatalf("%s is found twice", w.Name)
				}
				used[j] += max(1, have[j].Elements())
			}
			elements := int64(0)
			for _, p := range m.Built[i] {
				if p.At < 0 || p.Rows < 0 || p.Cols < 0 || p.At+p.Elements() > have[p.Tensor].Elements() {
					t.Fatalf("%s: piece %v of %v", w.Name, p, have[p.Tensor])
				}
				elements += p.Elements()
				used[p.Tensor] += p.Elements()
			}
			if m.Built[i] != nil && elements != w.Elements() {
				t.Fatalf("%s: %d elements of %v", w.Name, elements, w.Shape)
			}
		}
		for j, n := range used {
			if n > max(1, have[j].Elements()) {
				t.Fatalf("%s: %d of %d elements are used", have[j].Name, n, have[j].Elements())
			}
		}
		again := meet(wanted, have)
		if fmt.Sprint(again.Whole, again.Built, again.Doubts, again) != fmt.Sprint(m.Whole, m.Built, m.Doubts, m) {
			t.Fatal("another result")
		}
	})
}

// parsed makes tensors of lines, each name once, with sizes that a file can have.
func parsed(text string) (list []format.Tensor) {
	seen := make(map[string]bool)
	for _, line := range strings.Split(text, "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		one := tensors(line)[0]
		for i := range one.Shape {
			one.Shape[i] = min(max(one.Shape[i], 0), 64)
		}
		if !seen[one.Name] && len(list) < 64 {
			seen[one.Name] = true
			list = append(list, one)
		}
	}
	return list
}
