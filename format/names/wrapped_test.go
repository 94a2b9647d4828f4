package names

import (
	"slices"
	"testing"

	"weld/format"
)

func TestWrapped(t *testing.T) {
	for _, c := range []struct{ names, rid, want []string }{
		{[]string{"a.weight", "b.weight"}, nil, nil},
		{[]string{"module.a", "module.b.c"}, []string{`s/^module\.//`}, []string{"a", "b.c"}},
		{[]string{"module.a", "b.c"}, nil, nil}, // a module of the model
		{[]string{"module._orig_mod.a", "module._orig_mod.b"}, []string{`s/^module\._orig_mod\.//`}, []string{"a", "b"}},
		{[]string{"_orig_mod.module.a"}, []string{`s/^_orig_mod\.module\.//`}, []string{"a"}},
		{[]string{"base_model.model.model.a", "base_model.model.b"}, []string{`s/^base_model\.model\.//`}, []string{"model.a", "b"}},
		{[]string{"h.0._orig_mod.a", "h.1._orig_mod.a", "b"}, []string{`s/\b_orig_mod\.//g`}, []string{"h.0.a", "h.1.a", "b"}},
		{[]string{"_fsdp_wrapped_module.h.0._fsdp_wrapped_module._checkpoint_wrapped_module.a", "_fsdp_wrapped_module.b"},
			[]string{`s/^_fsdp_wrapped_module\.//`, `s/\b_fsdp_wrapped_module\.//g`, `s/\b_checkpoint_wrapped_module\.//g`}, []string{"h.0.a", "b"}},
		{[]string{"modules.a", "my_orig_mod.b", "a._orig_modx.c"}, nil, nil},
		{[]string{"module.a.module.b", "module.c"}, []string{`s/^module\.//`}, []string{"a.module.b", "c"}},
		{[]string{"q.base_layer.weight", "q.lora_A.weight"}, nil, nil},
		{[]string{"model.model.a", "model.lm_head.weight"}, []string{`s/^model\.//`}, []string{"model.a", "lm_head.weight"}},
		{[]string{"module.model.transformer.a", "module.model.b"}, []string{`s/^module\.model\.//`}, []string{"transformer.a", "b"}},
		{[]string{"model.a", "model.layers.0.model.b"}, nil, nil}, // a model's own
		{[]string{"model.model.a", "lm_head.weight"}, nil, nil},
		{[]string{"model.a", "model.language_model.lm_head.weight"}, nil, nil},
		{nil, nil, nil},
	} {
		var tensors []format.Tensor
		for _, name := range c.names {
			tensors = append(tensors, format.Tensor{Name: name})
		}
		rid := Wrapped(tensors)
		if !slices.Equal(rid, c.rid) {
			t.Errorf("%q: got %q, want %q", c.names, rid, c.rid)
			continue
		}
		for i, name := range c.names {
			for _, text := range rid {
				s, err := ParseSubstitution(text)
				if err != nil {
					t.Fatal(err)
				}
				name, _ = s.Apply(name)
			}
			if len(rid) > 0 && name != c.want[i] {
				t.Errorf("%q becomes %q by %q, want %q", c.names[i], name, rid, c.want[i])
			}
		}
	}
}
