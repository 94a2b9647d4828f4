package plan

import "testing"

// The names are those of llama.cpp; the rule is that of its quantize.
func TestTakesBlocks(t *testing.T) {
	matrix, list, vector := []int64{8, 256}, []int64{4, 8, 256}, []int64{256}
	for _, name := range []string{"token_embd.weight", "output.weight", "blk.0.attn_q.weight", "blk.1.ffn_down.weight", "blk.2.attn_output.weight", "blk.0.ssm_in.weight", "per_layer_token_embd.weight", "v.blk.0.attn_q.weight"} {
		if !takesBlocks(name, matrix) || takesBlocks(name, vector) {
			t.Errorf("%s: as a matrix %v, as a vector %v", name, takesBlocks(name, matrix), takesBlocks(name, vector))
		}
	}
	if !takesBlocks("blk.0.ffn_gate_exps.weight", list) {
		t.Error("experts stay plain")
	}
	for _, name := range []string{
		"blk.0.attn_norm.weight", "token_embd_norm.weight", "blk.0.ffn_gate_inp.weight", "blk.0.ffn_gate_inp_shexp.weight", "blk.0.ssm_conv1d.weight", "position_embd.weight", "token_types.weight",
		"blk.0.attn_q.bias", "blk.0.ssm_a", "blk.0.time_mix_w1.weight", "dec.blk.0.attn_rel_b.weight", "blk.0.altup_router.weight", "v.position_embd.weight", "rope_freqs",
	} {
		if takesBlocks(name, matrix) {
			t.Errorf("%s is stored in blocks", name)
		}
	}
}
