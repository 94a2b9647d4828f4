// Package lora lends a base checkpoint with a low-rank adapter applied, tensor
// range by tensor range, without ever holding a whole tensor.
//
// The adapter is what PEFT writes (huggingface/peft 0.21, save_pretrained): a file
// adapter_config.json and a checkpoint adapter_model.safetensors with the tensors
//
//	base_model.model.<module>.lora_A.weight         A, [r, in]
//	base_model.model.<module>.lora_B.weight         B, [out, r]
//	base_model.model.<module>.lora_embedding_A      A, [r, vocabulary]
//	base_model.model.<module>.lora_embedding_B      B, [width, r]
//	base_model.model.<anything else>                replaces a tensor of the base
//
// where PEFT also knows an adapter's name after lora_A and its kin, as in
// lora_A.default.weight. With s = alpha/r, or alpha/√r under use_rslora,
//
//	W' = W + s·B·A        a linear layer, W [out, in]
//	W' = W + s·(B·A)ᵀ     an embedding, and a layer with fan_in_fan_out, W [in, out]
//
// # Arithmetic
//
// A tensor that the adapter changes is shown as F32 where the base holds F32, F16 or
// BF16, so that the sum is rounded to the type of a merge's output once, at its end; where
// the base holds F64, as F64. What the base holds stands beside it (format.Tensor.Stored), also for
// the adapter's own whole tensors, as PEFT casts them. Everything is decoded to that type T and computed in it:
// Σ over the rank in index order from +0, every product and every sum rounded by itself,
// then W + T(s·Σ), s rounded to T before. A value does not depend on the range
// that it is asked for in. All other tensors are lent as they are stored.
//
// # Memory
//
// A view computes what it shows into a buffer of its own size. Beside it stand a
// little room, and for small factors the whole of the one whose rows are added, decoded
// once; ViewCost counts both.
//
// The package knows names, shapes and the product. It never knows what a checkpoint
// is stored in.
package lora
