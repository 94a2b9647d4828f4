package quant

import (
	"math/rand/v2"
	"testing"

	"weld/format"
)

func TestMXFP4Golden(t *testing.T) {
	holdGolden(t, "mxfp4", "model.layers.0.mlp.experts.gate_up_proj_bias", "model.layers.0.mlp.experts.down_proj_bias")
}

// Experts larger than a piece, in rows and in columns.
func TestMXFP4(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, shape := range [][3]int64{{3, 700, 11}, {2, 70_000, 1}, {1, 3, 2500}} {
		experts, out, groups := shape[0], shape[1], shape[2]
		blocks, scales := random(r, "e_blocks", format.U8, experts, out, groups, 16), random(r, "e_scales", format.F8E8M0, experts, out, groups)
		v, err := Show(saved(t, blocks, scales), Declared{})
		if err != nil {
			t.Fatal(err)
		}
		in := groups * 32
		want := make([]float32, experts*out*in)
		for at := range want {
			e, i, o := int64(at)/(in*out), int64(at)/out%in, int64(at)%out
			k := (e*out+o)*in + i
			want[at] = mxfp4Values[blocks.data[k/2]>>(4*(k%2))&15] * powerOfTwo(scales.data[k/32])
		}
		holdRanges(t, v, 0, encoded(want))
	}
}

func TestMXFP4Refused(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, c := range []struct{ blocks, scales []int64 }{
		{[]int64{2, 3, 4, 8}, []int64{2, 3, 4}},
		{[]int64{2, 3, 16}, []int64{2, 3}},
		{[]int64{2, 3, 4, 16}, []int64{2, 3, 5}},
		{[]int64{2, 3, 4, 16}, []int64{2, 3}},
		{[]int64{2, 0, 4, 16}, []int64{2, 0, 4}},
	} {
		refused(t, "", "e_blocks", random(r, "e_blocks", format.U8, c.blocks...), random(r, "e_scales", format.U8, c.scales...))
	}
	refused(t, "", "e_blocks", random(r, "e_blocks", format.U8, 2, 3, 4, 16), random(r, "e_scales", format.F32, 2, 3, 4))
}
