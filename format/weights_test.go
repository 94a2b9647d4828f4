package format_test

import (
	"testing"

	"weld/format"
)

func TestIsWeights(t *testing.T) {
	for _, name := range []string{
		"model.safetensors", "model-00001-of-00002.safetensors", "model.safetensors.index.json", "model.safetensors.index.fp16.json", "model.safetensors.zst",
		"pytorch_model.bin", "pytorch_model.bin.index.json", "training_args.bin", "optimizer.pt", "consolidated.00.pth",
		"last.ckpt", "model.Q4_K_M.gguf", "old.ggml", "tf_model.h5", "flax_model.msgpack", "model.onnx", "model.onnx_data",
		"lite.tflite", "arrays.npz", "rust_model.ot", "model.weld", "model.weldpatch",
	} {
		if !format.IsWeights(name) {
			t.Errorf("%s holds tensors", name)
		}
	}
	for _, name := range []string{
		"config.json", "generation_config.json", "tokenizer.json", "tokenizer.model", "spiece.model", "merges.txt", "vocab.json",
		"LICENSE", "README.md", "modeling_own.py", "chat_template.jinja", "index.json", "safetensors", "bin", "model.safetensors.txt",
	} {
		if format.IsWeights(name) {
			t.Errorf("%s holds no tensors", name)
		}
	}
}
