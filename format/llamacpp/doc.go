// Package llamacpp knows how llama.cpp stores the models that the Hub has: what it calls their tensors, in which order it has rows of queries
// and keys, what it adds to norms, that it stacks experts, and which keys of GGUF say what config.json and tokenizer.json do.
//
// llama, mixtral, qwen2, qwen3, qwen2_moe, qwen3_moe, gemma, gemma2 and gemma3 (text) are known.
//
//	[ToHub]    to_hub*.go    a checkpoint in GGUF with the names and values of the Hub; [Hub.FilesBeside] writes what a directory
//	                         of the Hub has beside them, from the metadata (metadata.go)
//	[ToGGUF]   to_gguf*.go   the way back; what the file says of the model is written from config.json (settings.go)
//	[ForBase]  adapter.go    an adapter in GGUF, as PEFT has it
//
// Both ways go by one table of tensors (architecture.go), which part.go follows and view.go shows. What is said of a model and is not
// understood, or cannot be said on the other side, is refused: it might change what the model computes.
//
// Facts of the conversion: llama.cpp's convert_hf_to_gguf.py and src/models, and gguf-py's tensor_mapping.py (all of November 2026); of configurations: transformers 5.23.
//
// The package knows architectures. It never knows what a model is converted or merged for, nor how values are stored in blocks.
package llamacpp
