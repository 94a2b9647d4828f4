package quant

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"weld/format"
)

func TestOriginalMXFP4Golden(t *testing.T) { holdGolden(t, "mxfp4-original") }

// Names alone tell: what lies so under another is left to be refused, and what does not lie so under them is refused.
func TestOriginalMXFP4Refused(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const name = "block.0.mlp.mlp1_weight"
	scales := random(r, name+".scales", format.U8, 2, 3, 4)
	for _, shape := range [][]int64{{2, 3, 4, 8}, {2, 3, 64}, {2, 3, 5, 16}} {
		refused(t, "", name+".blocks", random(r, name+".blocks", format.U8, shape...), scales)
	}
	for name, list := range map[string][]stored{
		"another name":           {random(r, "block.0.mlp.other.blocks", format.U8, 2, 3, 4, 16), random(r, "block.0.mlp.other.scales", format.U8, 2, 3, 4)},
		"scales of another type": {random(r, name+".blocks", format.U8, 2, 3, 4, 16), random(r, name+".scales", format.F32, 2, 3, 4)},
	} {
		c := saved(t, list...)
		v, err := Show(c, Declared{})
		if err != nil || v != c {
			t.Fatalf("%s: %v", name, err)
		}
		if s, _ := Recognize(Declared{}, v.Tensors()); s == nil || s.Name != "mxfp4" {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// Values are stored again as those of the files for transformers are.
func TestOriginalMXFP4Written(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const name, experts, out, groups = "block.3.mlp.mlp2_weight", 2, 7, 3
	shown, err := Show(saved(t, random(r, name+".blocks", format.U8, experts, out, groups, 16), random(r, name+".scales", format.U8, experts, out, groups)), Declared{})
	if err != nil {
		t.Fatal(err)
	}
	v := shown.(*Decoded)
	e, ok := v.Encoding(0)
	if !ok || e.Codes.Name != name+".blocks" || len(e.Companions) != 1 || e.Companions[0].Name != name+".scales" {
		t.Fatalf("%v %+v", ok, e)
	}
	values := make([]float32, experts*out*groups*32)
	for i := range values {
		values[i] = float32(r.NormFloat64())
	}
	m := rewritten(t, v, 0, e, encoded(values))
	for k := range experts * out * groups {
		codes, scale := storedMXFP4(values[32*k : 32*k+32])
		if !bytes.Equal(m.tensors[0][16*k:16*k+16], codes[:]) || m.tensors[1][k] != scale {
			t.Fatalf("block %d: %x by %d, not %x by %d", k, m.tensors[0][16*k:16*k+16], m.tensors[1][k], codes, scale)
		}
	}
}
