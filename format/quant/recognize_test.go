package quant_test

import (
	"strings"
	"testing"

	"weld/format"
	"weld/format/quant"
)

// tensors reads "NAME DTYPE DIMS" entries between semicolons.
func tensors(t *testing.T, list string) (all []format.Tensor) {
	t.Helper()
	for entry := range strings.SplitSeq(list, ";") {
		f := strings.Fields(entry)
		d, ok := format.ParseDType(f[1])
		if !ok {
			t.Fatalf("dtype %s", f[1])
		}
		shape := []int64{}
		if len(f) > 2 {
			for dim := range strings.SplitSeq(f[2], "x") {
				n := int64(0)
				for _, c := range dim {
					n = 10*n + int64(c-'0')
				}
				shape = append(shape, n)
			}
		}
		all = append(all, format.Tensor{Name: f[0], DType: d, Shape: shape})
	}
	return all
}

// Layouts as their libraries write them. Every one has to be recognised by its names and types alone, and what is
// declared gives it its name.
func TestLayouts(t *testing.T) {
	for _, c := range []struct {
		library  string
		list     string
		scheme   string // by names
		codes    string
		declared string // quantization_config
		named    string // with it
	}{
		{"DeepSeek-V3, Qwen3-FP8: blocks", "p.q.weight F8_E4M3 256x256; p.q.weight_scale_inv F32 2x2; p.norm.weight BF16 256", "fp8", "p.q.weight",
			`{"quant_method": "fp8", "weight_block_size": [128, 128]}`, "fp8"},
		{"experts that are one tensor", "p.experts.gate_up_proj F8_E4M3 4x256x256; p.experts.gate_up_proj_scale_inv BF16 4x2x2", "fp8", "p.experts.gate_up_proj", `{"quant_method": "fp8"}`, "fp8"},
		{"AutoFP8: per tensor", "p.q.weight F8_E4M3 8x8; p.q.weight_scale F32; p.q.input_scale F32", "fp8", "p.q.weight", `{"quant_method": "fp8", "activation_scheme": "static"}`, "fp8"},
		{"input scales alone", "p.q.input_scale F32; p.q.weight F8_E4M3 8x8", "fp8", "p.q.weight", `{"quant_method": "fp8"}`, "fp8"},
		{"DeepSeek's own files", "layers.0.wq.scale F8_E8M0 2x2; layers.0.wq.weight F8_E4M3 256x256", "fp8", "layers.0.wq.weight", `{"quant_method": "fp8"}`, "fp8"},
		{"fbgemm_fp8", "p.q.weight F8_E4M3 8x8; p.q.weight_scale F32 8x1; p.q.input_scale_ub F32 1", "fp8", "p.q.weight", `{"quant_method": "fbgemm_fp8"}`, "fbgemm_fp8"},
		{"ComfyUI", "blocks.0.q.scale_weight F32; blocks.0.q.weight F8_E4M3 8x8; scaled_fp8 F8_E4M3 2", "scaled fp8", "blocks.0.q.weight", `{"quant_method": "fp8"}`, "fp8"},
		{"compressed-tensors float-quantized", "p.q.weight F8_E4M3 8x8; p.q.weight_scale BF16 8x1", "fp8", "p.q.weight",
			`{"quant_method": "compressed-tensors", "format": "float-quantized"}`, "compressed-tensors float-quantized"},
		{"compressed-tensors int-quantized", "p.q.weight I8 8x8; p.q.weight_scale BF16 8x1", "packed codes with scales", "p.q.weight",
			`{"quant_method": "compressed-tensors", "format": "int-quantized"}`, "compressed-tensors int-quantized"},
		{"compressed-tensors pack-quantized", "p.q.weight_packed I32 8x1; p.q.weight_scale BF16 8x1; p.q.weight_shape I64 2", "compressed-tensors", "p.q.weight_packed",
			`{"quant_method": "compressed-tensors", "format": "pack-quantized"}`, "compressed-tensors pack-quantized"},
		{"compressed-tensors nvfp4", "p.q.weight_packed U8 8x4; p.q.weight_scale F8_E4M3 8x1; p.q.weight_global_scale F32 1", "compressed-tensors", "p.q.weight_packed",
			`{"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized"}`, "compressed-tensors nvfp4-pack-quantized"},
		{"compressed-tensors sparse", "p.q.bitmask U8 8x1; p.q.compressed BF16 32; p.q.shape I64 2", "compressed-tensors", "p.q.compressed",
			`{"quant_method": "compressed-tensors", "format": "dense"}`, "compressed-tensors dense"},
		{"GPTQ", "p.q.g_idx I32 8; p.q.qweight I32 1x8; p.q.qzeros I32 1x1; p.q.scales F16 1x8", "gptq", "p.q.qweight", `{"quant_method": "gptq", "bits": 4}`, "gptq"},
		{"AWQ", "p.q.qweight I32 8x1; p.q.qzeros I32 1x1; p.q.scales F16 1x8", "gptq or awq", "p.q.qweight", `{"quant_method": "awq", "bits": 4}`, "awq"},
		{"AutoRound", "p.q.qweight I32 8x1; p.q.qzeros I32 1x1; p.q.scales F16 1x8", "gptq or awq", "p.q.qweight", `{"quant_method": "auto-round"}`, "auto-round"},
		{"FP-Quant", "p.q.qweight U8 8x4; p.q.scales U8 8x1; p.q.forward_hadamard_matrix BF16 32x32", "fp-quant", "p.q.qweight", `{"quant_method": "fp_quant"}`, "fp_quant"},
		{"bitsandbytes nf4", "p.q.weight U8 32x1; p.q.weight.absmax U8 1; p.q.weight.quant_map F32 16; p.q.weight.quant_state.bitsandbytes__nf4 U8 90", "bitsandbytes", "p.q.weight",
			`{"load_in_4bit": true}`, "bitsandbytes"},
		{"bitsandbytes nf4 in bfloat16", "p.q.weight BF16 16x1; p.q.weight.absmax F32 1; p.q.weight.quant_map F32 16", "bitsandbytes", "p.q.weight", `{"quant_method": "bitsandbytes"}`, "bitsandbytes"},
		{"bitsandbytes int8", "p.q.SCB F32 8; p.q.weight I8 8x8; p.q.weight_format U8", "bitsandbytes", "p.q.weight", `{"quant_method": "bitsandbytes", "load_in_8bit": true}`, "bitsandbytes"},
		{"gpt-oss", "p.experts.down_proj_blocks U8 2x8x1x16; p.experts.down_proj_scales U8 2x8x1; p.experts.down_proj_bias BF16 2x8", "mxfp4", "p.experts.down_proj_blocks", `{"quant_method": "mxfp4"}`, "mxfp4"},
		{"ModelOpt NVFP4", "p.q.input_scale F32; p.q.weight U8 8x4; p.q.weight_scale F8_E4M3 8x1; p.q.weight_scale_2 F32", "nvfp4", "p.q.weight", `{"quant_method": "modelopt", "quant_algo": "NVFP4"}`, "modelopt NVFP4"},
		{"Quark", "p.q.weight U8 8x4; p.q.weight_scale U8 8x1", "packed codes with scales", "p.q.weight", `{"quant_method": "quark"}`, "quark"},
		{"torchao", "p.q._weight_qdata F8_E4M3 8x8; p.q._weight_scale F32 8x1", "torchao", "p.q._weight_qdata", `{"quant_method": "torchao"}`, "torchao"},
		{"torchao int4", "p.q._weight_qdata I32 8x8; p.q._weight_scale_and_zero BF16 1x8x2", "torchao", "p.q._weight_qdata", `{"quant_method": "torchao"}`, "torchao"},
		{"optimum-quanto", "p.q.input_scale BF16; p.q.weight._data I8 8x8; p.q.weight._scale BF16 8x1", "quanto", "p.q.weight._data", `{"quant_method": "quanto"}`, "quanto"},
		{"optimum-quanto int4", "p.q.weight._data._data U8 4x8; p.q.weight._scale BF16 8x1; p.q.weight._shift BF16 8x1", "quanto", "p.q.weight._data._data", `{"quant_method": "quanto"}`, "quanto"},
		{"HQQ", "p.q.W_q U8 4x8; p.q.scale F16 8x1; p.q.zero F16 8x1; p.q.nbits I64", "hqq", "p.q.W_q", `{"quant_method": "hqq"}`, "hqq"},
		{"AQLM", "p.q.codebooks F16 1x256x1x8; p.q.codes I16 8x1x1; p.q.scales F16 8x1x1x1", "aqlm", "p.q.codes", `{"quant_method": "aqlm"}`, "aqlm"},
		{"EETQ", "p.q.weight I8 8x8; p.q.weight_scales F16 8", "eetq", "p.q.weight", `{"quant_method": "eetq"}`, "eetq"},
		{"HIGGS", "p.q.scales F16 1x8; p.q.tables F16 16; p.q.tables2 F16 16x16x2; p.q.weight I16 8x1", "higgs", "p.q.weight", `{"quant_method": "higgs"}`, "higgs"},
		{"SpQR", "p.q.dense_weights I32 2; p.q.row_offsets I32 9", "spqr", "p.q.dense_weights", `{"quant_method": "spqr"}`, "spqr"},
		{"VPTQ", "p.q.centroids.weight F16 1x2048; p.q.indices I32 1x8x2; p.q.weight_scale F16 8", "vptq", "p.q.indices", `{"quant_method": "vptq"}`, "vptq"},
		{"BitNet", "p.q.weight U8 2x8; p.q.weight_scale BF16 1", "packed codes with scales", "p.q.weight", `{"quant_method": "bitnet", "quantization_mode": "offline"}`, "bitnet"},
		{"MLX", "p.q.biases BF16 8x1; p.q.scales BF16 8x1; p.q.weight U32 8x8", "mlx", "p.q.weight", `{"group_size": 64, "bits": 4}`, "mlx"},
		{"MLX mxfp4", "p.q.scales U8 8x1; p.q.weight U32 8x8", "mlx", "p.q.weight", `{"group_size": 32, "bits": 4, "mode": "mxfp4"}`, "mlx"},
		{"ExLlamaV2", "p.q.q_groups I16 4; p.q.q_invperm I16 8; p.q.q_scale I32 1x1; p.q.q_scale_max F16 1; p.q.q_weight I32 1x8", "exl2", "p.q.q_weight", `{"quant_method": "exl2"}`, "exl2"},
		{"ExLlamaV3", "p.q.suh F16 8; p.q.svh F16 8; p.q.trellis I16 1x1x64", "exl3", "p.q.trellis", `{"quant_method": "exl3"}`, "exl3"},
		{"at the top", "weight_scale F32 1; weight F8_E5M2 8x8", "fp8", "weight", `{"quant_method": "fp8"}`, "fp8"},
	} {
		t.Run(c.library, func(t *testing.T) {
			list := tensors(t, c.list)
			got, stale := quant.Recognize(quant.Declared{}, list)
			if got == nil {
				t.Fatal("not recognised by its names")
			}
			if got.Name != c.scheme || got.Codes.Name != c.codes || got.Why == "" || stale != nil {
				t.Errorf("by names: %+v, stale %q", got, stale)
			}
			got, stale = quant.Recognize(quant.Declared{Config: []byte(`{"text_config": {"quantization_config": ` + c.declared + `}}`)}, list)
			if got.Name != c.named || got.Codes.Name != c.codes || !strings.HasPrefix(got.Why, "config.json: text_config.quantization_config; ") || stale != nil {
				t.Errorf("declared: %+v, stale %q", got, stale)
			}
		})
	}
}

// What is declared is enough for a layout that nobody has heard of.
func TestUnknownLayouts(t *testing.T) {
	declared := quant.Declared{Config: []byte(`{"quantization_config": {"quant_method": "tomorrow"}}`)}
	for _, list := range []string{
		"p.q.weight F8_E4M3 8x8; p.q.exponents F32 1",
		"p.norm.weight BF16 8; p.q.lattice U8 8x8",
		"p.q.weight BF16 8x8; p.q.weight_scale BF16 8x1", // values that are to be rounded to codes when it is loaded
		"p.q.weight BF16 8x8; p.attn.k_scale F32",        // of a key-value cache
	} {
		got, stale := quant.Recognize(declared, tensors(t, list))
		if got == nil || got.Name != "tomorrow" || got.Why != "config.json: quantization_config" || stale != nil {
			t.Errorf("%s: %+v, stale %q", list, got, stale)
		}
	}
	modelopt := quant.Declared{QuantConfig: []byte(`{"quantization": {"quant_algo": "FP8"}}`)}
	if got, _ := quant.Recognize(modelopt, tensors(t, "p.q.weight F8_E4M3 8x8")); got == nil || got.Name != "modelopt FP8" || got.Why != "hf_quant_config.json: quantization" {
		t.Errorf("hf_quant_config.json: %+v", got)
	}
}

// Models whose values are stored plainly, whatever their tensors are called.
func TestPlain(t *testing.T) {
	for _, list := range []string{
		"p.q.weight BF16 8x8; p.q.bias BF16 8; logit_scale F32",
		"p.block.weight BF16 8x8; p.block.layer_scale F32 8; p.ls1.lambda1 F32 8; p.ls1.scale F32 8",
		"p.norm.weight F32 8; p.norm.weight_scale F32 8; p.norm.scale F32 8; p.gate.scale BF16 8; p.gate.weight BF16 4x8",
		"p.q.weight F8_E4M3 8x8; p.norm.weight F8_E4M3 8; embed.weight F8_E5M2 9x8",                // a cast, without scales
		"p.gate.weight F8_E4M3 8x8; p.gate.scale F8_E4M3 8",                                        // a cast of a model with a learnt scale
		"p.q.weight BF16 8x8; p.position_ids I64 1x9; p.bn.num_batches_tracked I64; p.mask BOOL 8", // buffers
		"p.q.weight BF16 8x8; p.relative_position_index I32 8x8; p.blocks U8 8x8; p.codes I16 8",
		"p.q.weight_packed I32 8x1; p.q.weight_shape I64 2", // nothing to decode it with: copied, as integers are
		"p.q.weight F16 8x8; p.q.scales F16 8; p.q.biases F16 8; p.q.absmax F32 8; p.q_blocks F16 8; p.q_scales F16 8",
	} {
		if got, stale := quant.Recognize(quant.Declared{Config: []byte(`{"quantization_config": null}`)}, tensors(t, list)); got != nil || stale != nil {
			t.Errorf("%s: %+v, stale %q", list, got, stale)
		}
	}
}

// A declaration over plain floats is left over from a model that was decoded.
func TestStale(t *testing.T) {
	d := quant.Declared{
		Config:      []byte(`{"quantization_config": {"quant_method": "fp8"}}`),
		QuantConfig: []byte(`{"quantization": {"quant_algo": "FP8"}}`),
	}
	got, stale := quant.Recognize(d, tensors(t, "p.q.weight BF16 8x8; p.norm.scale BF16 8; p.position_ids I64 1x9"))
	if got != nil || strings.Join(stale, ", ") != "config.json: quantization_config, hf_quant_config.json: quantization" {
		t.Errorf("%+v, stale %q", got, stale)
	}
}
