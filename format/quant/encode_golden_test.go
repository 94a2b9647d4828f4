package quant

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"

	"weld/format"
)

// Other values, stored as a checkpoint stores its own, become the bytes that the library makes of them: codes, scales, zero points and scales of
// scales. The block of zeros among those of NVFP4 has the scale that the library gives it.
func TestOtherValuesAreEncodedAsTheLibraryDoes(t *testing.T) {
	var held []string
	for _, name := range []string{"compressed-earlier", "compressed-mixed", "compressed-narrow", "modelopt"} {
		c, _ := golden(t, name)
		v := c.(*Decoded)
		stored := opened(t, filepath.Join("testdata", name+"-other.safetensors"))
		values := opened(t, filepath.Join("testdata", name+"-other.want.safetensors"))
		for j, x := range values.Tensors() {
			i, _ := v.Find(x.Name)
			e, ok := v.Encoding(i)
			if !ok {
				if x.Name != "layers.i12.weight" { // of 16 bits, which weld does not write
					t.Errorf("%s: %s is not written", name, x.Name)
				}
				continue
			}
			m := rewritten(t, v, i, e, whole(t, values, j))
			for k, s := range append([]format.Tensor{e.Codes}, e.Companions...) {
				at, ok := stored.Find(s.Name)
				if !ok {
					t.Errorf("%s has no %s", name, s.Name)
				} else if want := whole(t, stored, at); !bytes.Equal(m.tensors[k], want) {
					t.Errorf("%s: %s is\n%x, not\n%x", name, s.Name, m.tensors[k], want)
				}
			}
			held = append(held, x.Name)
		}
	}
	for _, layer := range []string{"nv", "nva", "w4", "z3", "t4", "i8t", "i8z", "order", "order_zero", "three", "f8t", "a", "b"} {
		if !slices.Contains(held, "layers."+layer+".weight") {
			t.Errorf("%s is not among what is held: %v", layer, held)
		}
	}
}
