package lora

import (
	"slices"
	"strconv"
)

// Flux and Stable Diffusion 3 have two sets of names, as U-Nets have: those of the original programs (double_blocks.0.img_attn.qkv), in
// which sd-scripts and Black Forest Labs name adapters too, and diffusers' (transformer_blocks.0.attn.to_q). Not all modules are one on
// both sides. The correspondence is that of diffusers 0.42 (convert_flux_transformer_checkpoint_to_diffusers,
// convert_sd3_transformer_checkpoint_to_diffusers), which moves rows and changes no value.

// counterpart is a module of the original and what it is in diffusers, # for the number of a block: one module, or pieces of
// its rows in their order.
type counterpart struct {
	original  string
	diffusers []string
	halves    halves
}

// halves says where the two halves of a modulation lie the other way round: the original's are shift and scale, diffusers' scale and shift.
type halves int

const (
	asThere     halves = iota
	swapped            // in diffusers
	swappedLast        // in diffusers' last block
)

// family is a class of models with such a correspondence.
type family struct {
	marks [2][]string // what names of its modules begin with, all of them: the original's, and diffusers'
	last  [2]string   // a module that only the last block lacks, likewise; "" where none differs
	table []counterpart
}

// families are those that weld knows.
var families = []family{flux, sd3}

var flux = family{
	marks: [2][]string{{"double_blocks.", "single_blocks.", "final_layer."}, {"transformer_blocks.", "single_transformer_blocks.", "time_text_embed."}},
	table: slices.Concat(
		[]counterpart{
			{original: "img_in", diffusers: []string{"x_embedder"}},
			{original: "txt_in", diffusers: []string{"context_embedder"}},
			{original: "final_layer.linear", diffusers: []string{"proj_out"}},
			{original: "final_layer.adaLN_modulation.1", diffusers: []string{"norm_out.linear"}, halves: swapped},
		},
		inLayers("time_in", "timestep_embedder", "in_layer", "out_layer"),
		inLayers("vector_in", "text_embedder", "in_layer", "out_layer"),
		inLayers("guidance_in", "guidance_embedder", "in_layer", "out_layer"),
		inBlocks("double_blocks.#.", "transformer_blocks.#.", []counterpart{
			{original: "img_mod.lin", diffusers: []string{"norm1.linear"}},
			{original: "txt_mod.lin", diffusers: []string{"norm1_context.linear"}},
			{original: "img_attn.qkv", diffusers: []string{"attn.to_q", "attn.to_k", "attn.to_v"}},
			{original: "txt_attn.qkv", diffusers: []string{"attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"}},
			{original: "img_attn.proj", diffusers: []string{"attn.to_out.0"}},
			{original: "txt_attn.proj", diffusers: []string{"attn.to_add_out"}},
			{original: "img_attn.norm.query_norm", diffusers: []string{"attn.norm_q"}},
			{original: "img_attn.norm.key_norm", diffusers: []string{"attn.norm_k"}},
			{original: "txt_attn.norm.query_norm", diffusers: []string{"attn.norm_added_q"}},
			{original: "txt_attn.norm.key_norm", diffusers: []string{"attn.norm_added_k"}},
			{original: "img_mlp.0", diffusers: []string{"ff.net.0.proj"}},
			{original: "img_mlp.2", diffusers: []string{"ff.net.2"}},
			{original: "txt_mlp.0", diffusers: []string{"ff_context.net.0.proj"}},
			{original: "txt_mlp.2", diffusers: []string{"ff_context.net.2"}},
		}),
		inBlocks("single_blocks.#.", "single_transformer_blocks.#.", []counterpart{
			{original: "modulation.lin", diffusers: []string{"norm.linear"}},
			{original: "linear1", diffusers: []string{"attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"}},
			{original: "linear2", diffusers: []string{"proj_out"}},
			{original: "norm.query_norm", diffusers: []string{"attn.norm_q"}},
			{original: "norm.key_norm", diffusers: []string{"attn.norm_k"}},
		})),
}

var sd3 = family{
	marks: [2][]string{{"joint_blocks.", "x_embedder.", "final_layer."}, {"transformer_blocks.", "pos_embed.", "time_text_embed."}},
	last:  [2]string{"joint_blocks.#.context_block.attn.proj", "transformer_blocks.#.attn.to_add_out"},
	table: slices.Concat(
		[]counterpart{
			{original: "x_embedder.proj", diffusers: []string{"pos_embed.proj"}},
			{original: "context_embedder", diffusers: []string{"context_embedder"}},
			{original: "final_layer.linear", diffusers: []string{"proj_out"}},
			{original: "final_layer.adaLN_modulation.1", diffusers: []string{"norm_out.linear"}, halves: swapped},
		},
		inLayers("t_embedder", "timestep_embedder", "mlp.0", "mlp.2"),
		inLayers("y_embedder", "text_embedder", "mlp.0", "mlp.2"),
		inBlocks("joint_blocks.#.", "transformer_blocks.#.", []counterpart{
			{original: "x_block.adaLN_modulation.1", diffusers: []string{"norm1.linear"}},
			{original: "context_block.adaLN_modulation.1", diffusers: []string{"norm1_context.linear"}, halves: swappedLast},
			{original: "x_block.attn.qkv", diffusers: []string{"attn.to_q", "attn.to_k", "attn.to_v"}},
			{original: "x_block.attn2.qkv", diffusers: []string{"attn2.to_q", "attn2.to_k", "attn2.to_v"}},
			{original: "context_block.attn.qkv", diffusers: []string{"attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"}},
			{original: "x_block.attn.proj", diffusers: []string{"attn.to_out.0"}},
			{original: "x_block.attn2.proj", diffusers: []string{"attn2.to_out.0"}},
			{original: "context_block.attn.proj", diffusers: []string{"attn.to_add_out"}},
			{original: "x_block.attn.ln_q", diffusers: []string{"attn.norm_q"}},
			{original: "x_block.attn.ln_k", diffusers: []string{"attn.norm_k"}},
			{original: "x_block.attn2.ln_q", diffusers: []string{"attn2.norm_q"}},
			{original: "x_block.attn2.ln_k", diffusers: []string{"attn2.norm_k"}},
			{original: "context_block.attn.ln_q", diffusers: []string{"attn.norm_added_q"}},
			{original: "context_block.attn.ln_k", diffusers: []string{"attn.norm_added_k"}},
			{original: "x_block.mlp.fc1", diffusers: []string{"ff.net.0.proj"}},
			{original: "x_block.mlp.fc2", diffusers: []string{"ff.net.2"}},
			{original: "context_block.mlp.fc1", diffusers: []string{"ff_context.net.0.proj"}},
			{original: "context_block.mlp.fc2", diffusers: []string{"ff_context.net.2"}},
		})),
}

// inLayers are the two layers of an embedder of diffusers' time_text_embed.
func inLayers(original, diffusers string, layers ...string) (list []counterpart) {
	for i, layer := range layers {
		list = append(list, counterpart{original: original + "." + layer, diffusers: []string{"time_text_embed." + diffusers + ".linear_" + strconv.Itoa(i+1)}})
	}
	return list
}

// inBlocks puts counterparts into blocks.
func inBlocks(original, diffusers string, inside []counterpart) (list []counterpart) {
	for _, c := range inside {
		of := counterpart{original: original + c.original, halves: c.halves}
		for _, name := range c.diffusers {
			of.diffusers = append(of.diffusers, diffusers+name)
		}
		list = append(list, of)
	}
	return list
}
