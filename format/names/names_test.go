package names

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"weld/format"
)

// tensors makes tensors of "name" or "name 3 4": a name and a shape, [2] where it has none.
func tensors(specs ...string) (list []format.Tensor) {
	for _, spec := range specs {
		fields := strings.Fields(spec)
		t := format.Tensor{Name: fields[0], DType: format.F32}
		for _, f := range fields[1:] {
			var d int64
			fmt.Sscan(f, &d)
			t.Shape = append(t.Shape, d)
		}
		if t.Shape == nil {
			t.Shape = []int64{2}
		}
		list = append(list, t)
	}
	return list
}

// finder finds by name as a checkpoint does.
func finder(list []format.Tensor) func(string) (int, bool) {
	at := make(map[string]int, len(list))
	for i, t := range list {
		at[t.Name] = i
	}
	return func(name string) (int, bool) { i, ok := at[name]; return i, ok }
}

func meet(wanted, have []format.Tensor) *Meeting { return Meet(wanted, have, finder(have)) }

// Every stored name meets the wanted one beside it, and none of the others; "-" is none.
func TestWhole(t *testing.T) {
	cases := map[string][][2]string{ // stored, wanted
		"the same":        {{"a.weight", "a.weight"}, {"b.weight", "b.weight"}},
		"wrappers":        {{"module.a.weight", "a.weight"}, {"_fsdp_wrapped_module.m._fsdp_wrapped_module.b.weight", "m.b.weight"}, {"module._orig_mod.c.weight", "c.weight"}, {"layers.0._checkpoint_wrapped_module.d.weight", "layers.0.d.weight"}},
		"of both sides":   {{"module.a.weight", "_orig_mod.a.weight"}},
		"PEFT":            {{"base_model.model.model.layers.0.q.base_layer.weight", "model.layers.0.q.weight"}, {"base_model.model.lm_head.weight", "lm_head.weight"}},
		"bare and headed": {{"layers.0.q.weight", "model.layers.0.q.weight"}, {"norm.weight", "model.norm.weight"}, {"-", "lm_head.weight"}},
		"text in images":  {{"model.layers.0.q.weight", "model.language_model.layers.0.q.weight"}, {"lm_head.weight", "lm_head.weight"}, {"-", "model.visual.layers.0.q.weight"}},
		"images moved":    {{"model.language_model.layers.0.q.weight", "language_model.model.layers.0.q.weight"}, {"model.vision_tower.layers.0.q.weight", "vision_tower.layers.0.q.weight"}, {"lm_head.weight", "language_model.lm_head.weight"}},
		"a container's name below a number stays":      {{"layers.0.model.q.weight", "-"}, {"-", "layers.0.q.weight"}},
		"a module named like a container":              {{"model.weight", "model.weight"}, {"layers.0.weight", "model.layers.0.weight"}},
		"words":                                        {{"model.layers.0.mlp.gate.weight", "model.layers.0.block_sparse_moe.gate.weight"}, {"model.layers.0.mlp.shared_experts.gate_proj.weight", "model.layers.0.block_sparse_moe.shared_expert.w1.weight"}},
		"other words are other tensors":                {{"encoder.layers.0.q.weight", "-"}, {"-", "decoder.layers.0.q.weight"}},
		"projections whose rows are ordered otherwise": {{"layers.0.attention.q_proj.weight", "-"}, {"-", "layers.0.attention.wq.weight"}},
		"a lead":                          {{"encoder.0.q.weight", "bert.encoder.0.q.weight"}, {"embeddings.word.weight", "bert.embeddings.word.weight"}, {"-", "cls.weight"}},
		"a lead too much":                 {{"student.net.encoder.0.q.weight", "encoder.0.q.weight"}, {"student.net.head.weight", "head.weight"}},
		"a lead of a few":                 {{"a.x.weight", "-"}, {"b.weight", "-"}, {"c.weight", "-"}, {"-", "p.a.x.weight"}, {"-", "p.d.weight"}, {"-", "p.e.weight"}},
		"a lead, where most meet without": {{"model.layers.0.q.weight", "model.layers.0.q.weight"}, {"model.layers.1.q.weight", "model.layers.1.q.weight"}, {"norm.weight", "-"}, {"-", "visual.norm.weight"}},
		"a tower beside a model":          {{"vision_tower.transformer.layers.0.q.weight", "-"}, {"-", "model.layers.0.q.weight"}},
		"towers of two kinds":             {{"vision_model.encoder.layers.0.q.weight", "-"}, {"-", "text_model.encoder.layers.0.q.weight"}},
		"a tower by itself":               {{"encoder.layers.0.q.weight", "vision_model.encoder.layers.0.q.weight"}},
		"a lead of another":               {{"a.x.weight 3", "-"}, {"-", "p.a.x.weight 2"}},
		"tied, by the output":             {{"lm_head.decoder.weight 4 2", "roberta.embeddings.word_embeddings.weight 4 2"}, {"roberta.l.0.q.weight", "roberta.l.0.q.weight"}},
		"tied, by the input":              {{"model.embed_tokens.weight 4 2", "lm_head.weight 4 2"}},
		"tied, of other sizes":            {{"lm_head.weight 5 2", "-"}, {"-", "model.embed_tokens.weight 4 2"}},
		"not tied":                        {{"lm_head.weight 4 2", "lm_head.weight 4 2"}, {"-", "model.embed_tokens.weight 4 2"}},
		"not tied on one side":            {{"lm_head.weight 4 2", "-"}, {"model.embed_tokens.weight 4 2", "-"}, {"-", "wte.weight 4 2"}},
		"the same one first":              {{"model.a.weight", "model.a.weight"}, {"a.weight", "a.weight"}, {"module.a.weight", "-"}},
	}
	for name, pairs := range cases {
		t.Run(name, func(t *testing.T) {
			var wanted, have []string
			for _, p := range pairs {
				if p[0] != "-" {
					have = append(have, p[0])
				}
				if p[1] != "-" {
					wanted = append(wanted, p[1])
				}
			}
			slices.Reverse(have)
			m := meet(tensors(wanted...), tensors(have...))
			if len(m.Doubts) > 0 || len(m.Built) > 0 {
				t.Errorf("doubts %v, built %v", m.Doubts, m.Built)
			}
			for i, w := range m.wanted {
				got := "-"
				if j := m.Whole[i]; j != None {
					got = m.have[j].Name
				}
				k := slices.IndexFunc(pairs, func(p [2]string) bool { return strings.Fields(p[1])[0] == w.Name })
				if want := strings.Fields(pairs[k][0])[0]; got != want {
					t.Errorf("%s is %s, want %s", w.Name, got, want)
				}
			}
		})
	}
}

// A rule that knows a name for several tensors takes none, and later rules do not either.
func TestDoubts(t *testing.T) {
	cases := map[string]struct {
		wanted, have []format.Tensor
		want         string
	}{
		"two stored":  {tensors("a.weight"), tensors("module.a.weight", "_orig_mod.a.weight"), `["module.a.weight" or "_orig_mod.a.weight" could be "a.weight"]`},
		"two wanted":  {tensors("model.l.0.a.weight", "language_model.l.0.a.weight"), tensors("l.0.a.weight"), `["l.0.a.weight" could be "model.l.0.a.weight" or "language_model.l.0.a.weight"]`},
		"two towers":  {tensors("talker.layers.0.q.weight", "thinker.layers.0.q.weight"), tensors("layers.0.q.weight"), `["layers.0.q.weight" could be "talker.layers.0.q.weight" or "thinker.layers.0.q.weight"]`},
		"two fused":   {tensors("m.experts.0.gate_proj.weight 2 3", "m.experts.0.up_proj.weight 2 3"), tensors("m.experts.gate_up_proj 1 4 3", "m.experts.up_proj 1 2 3"), `["m.experts.gate_up_proj" or "m.experts.up_proj" could be "m.experts.0.up_proj.weight"]`},
		"two of one":  {tensors("m.experts.gate_up_proj 1 4 3", "m.experts.up_proj 1 2 3"), tensors("m.experts.0.gate_proj.weight 2 3", "m.experts.0.up_proj.weight 2 3"), `["m.experts.0.up_proj.weight" could be "m.experts.gate_up_proj" or "m.experts.up_proj"]`},
		"two sources": {tensors("layers.0.q.weight"), tensors("talker.layers.0.q.weight", "thinker.layers.0.q.weight"), `["talker.layers.0.q.weight" or "thinker.layers.0.q.weight" could be "layers.0.q.weight"]`},
	}
	for name, c := range cases {
		m := meet(c.wanted, c.have)
		if got := fmt.Sprint(m.Doubts); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if len(m.Missing()) != len(c.wanted) {
			t.Errorf("%s: something was chosen", name)
		}
	}
}

// One tower of two that differ in shape is no doubt.
func TestLeadByShape(t *testing.T) {
	m := meet(tensors("talker.l.0.q.weight 3", "thinker.l.0.q.weight 2"), tensors("l.0.q.weight 2"))
	if len(m.Doubts) > 0 || m.Whole[0] != None || m.Whole[1] != 0 {
		t.Errorf("%v %v", m.Whole, m.Doubts)
	}
}

func TestBuilt(t *testing.T) {
	apart := []string{"l.0.mlp.experts.0.w1.weight 2 3", "l.0.mlp.experts.1.w1.weight 2 3", "l.0.mlp.experts.0.w3.weight 2 3", "l.0.mlp.experts.1.w3.weight 2 3", "l.0.mlp.experts.0.w2.weight 3 2", "l.0.mlp.experts.1.w2.weight 3 2"}
	cases := map[string]struct {
		wanted, have []string
		want         map[string]string // pieces by name
	}{
		"experts joined": {[]string{"l.0.mlp.experts.gate_up_proj 2 4 3", "l.0.mlp.experts.down_proj 2 3 2"}, apart, map[string]string{
			"l.0.mlp.experts.gate_up_proj": "[{0 0 2 3 false} {2 0 2 3 false} {1 0 2 3 false} {3 0 2 3 false}]", "l.0.mlp.experts.down_proj": "[{4 0 3 2 false} {5 0 3 2 false}]"}},
		"experts split": {apart, []string{"model.l.0.mlp.experts.gate_up_proj 2 4 3", "model.l.0.mlp.experts.down_proj 2 3 2"}, map[string]string{
			"l.0.mlp.experts.0.w1.weight": "[{0 0 2 3 false}]", "l.0.mlp.experts.0.w3.weight": "[{0 6 2 3 false}]", "l.0.mlp.experts.1.w1.weight": "[{0 12 2 3 false}]", "l.0.mlp.experts.1.w3.weight": "[{0 18 2 3 false}]",
			"l.0.mlp.experts.0.w2.weight": "[{1 0 3 2 false}]", "l.0.mlp.experts.1.w2.weight": "[{1 6 3 2 false}]"}},
		"no gates":                        {[]string{"m.experts.up_proj 1 2 3"}, []string{"m.experts.0.up_proj.weight 2 3"}, map[string]string{"m.experts.up_proj": "[{0 0 2 3 false}]"}},
		"rows stacked":                    {[]string{"l.0.conv1d.weight 6 1 4"}, []string{"l.0.v_conv1d.weight 3 1 4", "l.0.q_conv1d.weight 1 1 4", "l.0.k_conv1d.weight 2 1 4"}, map[string]string{"l.0.conv1d.weight": "[{1 0 1 4 false} {2 0 2 4 false} {0 0 3 4 false}]"}},
		"rows apart":                      {[]string{"l.0.up_proj.bias 3", "l.0.gate_proj.bias 3"}, []string{"l.0.gate_up_proj.bias 6"}, map[string]string{"l.0.up_proj.bias": "[{0 3 3 1 false}]", "l.0.gate_proj.bias": "[{0 0 3 1 false}]"}},
		"one expert too few":              {[]string{"m.experts.up_proj 3 2 3"}, []string{"m.experts.0.up_proj.weight 2 3", "m.experts.2.up_proj.weight 2 3"}, nil},
		"one expert too many":             {[]string{"m.experts.up_proj 1 2 3"}, []string{"m.experts.0.up_proj.weight 2 3", "m.experts.1.up_proj.weight 2 3"}, nil},
		"only gates":                      {[]string{"m.experts.gate_up_proj 1 4 3"}, []string{"m.experts.0.gate_proj.weight 2 3"}, nil},
		"other rows":                      {[]string{"m.experts.gate_up_proj 1 5 3"}, []string{"m.experts.0.gate_proj.weight 2 3", "m.experts.0.up_proj.weight 2 3"}, nil},
		"the other way round":             {[]string{"m.experts.gate_up_proj 1 3 4"}, []string{"m.experts.0.gate_proj.weight 2 3", "m.experts.0.up_proj.weight 2 3"}, nil},
		"square, as the one beside it":    {[]string{"m.experts.gate_up_proj 1 4 4", "m.experts.down_proj 1 2 4"}, []string{"m.experts.0.gate_proj.weight 2 4", "m.experts.0.up_proj.weight 2 4", "m.experts.0.down_proj.weight 4 2"}, nil},
		"gates and ups that take turns":   {[]string{"m.experts.gate_up_proj 1 4 3", "m.experts.gate_up_proj_bias 1 4"}, []string{"m.experts.0.gate_proj.weight 2 3", "m.experts.0.up_proj.weight 2 3"}, nil},
		"whatever is known of their bias": {[]string{"m.experts.gate_up_proj 1 4 3", "m.experts.gate_up_proj_bias 1 4"}, []string{"m.experts.0.gate_proj.weight 2 3", "m.experts.0.up_proj.weight 2 3", "m.experts.gate_up_proj_bias 1 4"}, nil},
		"turned":                          {[]string{"m.experts.down_proj 2 3 2"}, []string{"m.experts.down_proj 2 2 3"}, map[string]string{"m.experts.down_proj": "[{0 0 3 2 true} {0 6 3 2 true}]"}},
		"turned, and no expert":           {[]string{"m.conv.weight 2 3 2"}, []string{"m.conv.weight 2 2 3"}, nil},
	}
	for name, c := range cases {
		m := meet(tensors(c.wanted...), tensors(c.have...))
		got := make(map[string]string)
		for i, p := range m.Built {
			got[m.wanted[i].Name] = fmt.Sprint(p)
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestFinder(t *testing.T) {
	list := tensors("language_model.model.layers.0.q.weight", "vision_tower.layers.0.q.weight", "a.twin.weight", "b.twin.weight", "head.out.weight", "thinker.layers.0.v.weight")
	f := NewFinder(list, finder(list))
	for name, want := range map[string]int{
		"language_model.model.layers.0.q.weight": 0, "model.language_model.layers.0.q.weight": 0, "model.layers.0.q.weight": 0, "layers.0.q.weight": 0,
		"model.vision_tower.layers.0.q.weight": 1, "model.visual.layers.0.q.weight": 1, "out.weight": 4, "my.head.out.weight": 4, "layers.0.v.weight": 5, "gone.weight": None,
	} {
		if i, doubt, ok := f.Find(name); i != want || ok != (want != None) || doubt != nil {
			t.Errorf("%s: %d, %v, %v; want %d", name, i, doubt, ok, want)
		}
	}
	if i, doubt, ok := f.Find("twin.weight"); ok || i != None || !slices.Equal(doubt, []string{"a.twin.weight", "b.twin.weight"}) {
		t.Errorf("twin.weight: %d, %v, %v", i, doubt, ok)
	}
}

// What an adapter changes in a tower is not looked for in the model beside it, nor the other way round.
func TestFinderAstray(t *testing.T) {
	for name, list := range map[string][]format.Tensor{
		"model.vision_tower.transformer.layers.0.q.weight": tensors("model.layers.0.q.weight"),
		"model.layers.0.q.weight":                          tensors("model.vision_tower.layers.0.q.weight"),
	} {
		if i, doubt, ok := NewFinder(list, finder(list)).Find(name); ok {
			t.Errorf("%s: %d, %v", name, i, doubt)
		}
	}
}

func TestString(t *testing.T) {
	wanted := tensors("language_model.model.layers.0.q.weight", "language_model.model.layers.1.q.weight", "language_model.lm_head.weight", "language_model.model.layers.0.mlp.experts.0.up_proj.weight 2 3")
	have := tensors("model.language_model.layers.0.q.weight", "model.language_model.layers.1.q.weight", "lm_head.weight", "model.language_model.layers.0.mlp.experts.up_proj 1 2 3")
	want := "2 meet as `model.language_model.` → `language_model.model.`, 1 meet as nothing → `language_model.`, " +
		`1 are parts of larger ones ("language_model.model.layers.0.mlp.experts.0.up_proj.weight": "model.language_model.layers.0.mlp.experts.up_proj")`
	if got := meet(wanted, have).String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A name of many parts is taken apart once.
func TestLongName(t *testing.T) {
	long := tensors(strings.Repeat("module.", 1<<16) + "a.weight")
	if m := meet(tensors("a.weight"), long); m.Whole[0] != 0 || len(m.String()) > 10_000 {
		t.Errorf("%d characters", len(m.String()))
	}
}
