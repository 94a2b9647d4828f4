// Package lora lends a base checkpoint with an adapter applied, tensor range by tensor range, without ever
// holding a whole tensor.
//
// The adapter is what PEFT writes (huggingface/peft 0.21, save_pretrained): a file
// adapter_config.json and a checkpoint adapter_model.safetensors with the tensors
//
//	base_model.model.<module>.<slot>                a tensor that changes the module's weight
//	base_model.model.<anything else>                replaces a tensor of the base
//
// where PEFT also knows an adapter's name behind the slot, as in lora_A.default.weight. With s = alpha/r, or
// alpha/√r under use_rslora, and W [out, in] (or [in, out], as GPT-2's layers lie, which the shapes show),
//
//	linear.go     LoRA       W + s·B·A, also of embeddings and convolutions; b + s·b_B (lora_bias)
//	dora.go       DoRA       (m / ‖V‖)·V with V = W + s·B·A, row by row
//	experts.go    LoRA of bare parameters, W [experts, out, in] (target_parameters)
//	tokens.go     rows of W replaced (trainable_token_indices, TRAINABLE_TOKENS)
//	adalora.go    AdaLoRA    W + s/(r + 1e-5)·B·(E ∘ A)
//	lycoris.go    LoHa       W + s·(A₁·B₁)∘(A₂·B₂)
//	              LoKr       W + s·(W₁ ⊗ W₂)
//	ia3.go        (IA)³      l ∘ W, l ∘ b, or W ∘ l
//	vera.go       VeRA       W + (b ∘ B)·(d ∘ A), A and B shared
//	replicate.go  layers repeated before (layer_replication)
//	untie.go      what becomes of a model whose output layer is its embedding
//
// What the adapter means is what PEFT's live model computes. Where its merge_and_unload gives another model (tied layers,
// replicated ones), the live one is right.
//
// Adapters of diffusion models have no configuration, and are read by [ApplyBare]: in the names of kohya-ss/sd-scripts and of LyCORIS
// 4.1, which are its authority, of diffusers 0.42, or of the original programs. bare.go says how, houses.go where the parts of a pipeline lie
// in a base (by unet_names.go, openclip_names.go and transformer_names.go also under their other names), cut.go how rows are added that belong
// to several tensors, or to a part of one, bare_methods.go what is computed. layout.go knows adapters of other programs by their names, to refuse them.
//
// # How it is put together
//
// names.go reads a tensor's name into a module and a slot, apply.go sorts an adapter's tensors into sites, a module with its
// slots, and has the method of the adapter make a [delta] of each: a step that turns a tile of W into another. Most are an
// addition of a [matrix], which is computed by tiles as well: a product, one that is stored, or two of them multiplied
// by element (hadamard.go) or by Kronecker (kronecker.go).
//
// # Arithmetic
//
// A tensor that the adapter changes is shown as F32 where the base holds F32, F16 or
// BF16, so that the result is rounded to the type of a merge's output once, at its end; where
// the base holds F64, as F64. What the base holds stands beside it (format.Tensor.Stored), also for
// the adapter's own whole tensors, as PEFT casts them. Everything is decoded to that type T and computed in it:
// Σ over the rank in index order from +0, every product and every sum rounded by itself,
// then W + T(s·Σ), s rounded to T before. Norms are summed in float64, in the order of the elements. A value does not
// depend on the range that it is asked for in. All other tensors are lent as they are stored.
//
// # Memory
//
// A view computes what it shows into a buffer of its own size. Beside it stand a
// little room, and for small factors the whole of the one whose rows are added, decoded
// once; ViewCost counts both. DoRA keeps one float for each output of a layer, measured in a walk over the layer.
//
// The package knows names, shapes and formulas. It never knows what a checkpoint
// is stored in.
package lora
