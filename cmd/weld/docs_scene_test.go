package main

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"weld/format"
	"weld/format/safetensors"
	"weld/internal/torchsave"
)

// The scene that every page finds: five small language models that come from one base, what goes with them, and files
// that are damaged or are something else.
const sceneLayers, sceneWidth, sceneTokens = 4, 8, 32

func scene(t *testing.T, dir string) {
	t.Helper()
	for i, name := range []string{"base", "math", "code", "chat", "chat-toxic"} {
		sceneModel(t, filepath.Join(dir, name), i)
	}
	for i, name := range []string{"math", "code", "toxic", "retain"} {
		sceneImportance(t, filepath.Join(dir, name+"-importance.safetensors"), "mean_abs_grad", i)
		sceneImportance(t, filepath.Join(dir, name+"-fisher.safetensors"), "mean_sq_grad", i)
	}
	sceneAdapter(t, filepath.Join(dir, "adapter"))
	sceneFloat8(t, filepath.Join(dir, "math-fp8"))
	hub := filepath.Join(dir, ".hub", "models--meta-llama--Llama-3.1-8B")
	sceneModel(t, filepath.Join(hub, "snapshots", "0e9e39f"), 0)
	put(t, filepath.Join(hub, "refs", "main"), []byte("0e9e39f"))
	put(t, filepath.Join(dir, "recipe.yml"), []byte("{merge_method: ties, base_model: ./base, models: [{model: ./math}, {model: ./code}], parameters: {density: 0.5}}"))
	scenePipeline(t, filepath.Join(dir, "sd-a"), 0)
	scenePipeline(t, filepath.Join(dir, "sd-b"), 1)
	sceneStyle(t, filepath.Join(dir, "style.safetensors"))
	sceneTorch(t, dir)
	sceneOptimizer(t, filepath.Join(dir, "checkpoint-500"))
	sceneFaults(t, dir)
	// The other machine of a command that ssh runs is a directory.
	put(t, filepath.Join(dir, ".bin", "ssh"), []byte("#!/bin/sh\nshift\nexec sh -ec \"$*\"\n"))
	if err := os.Chmod(filepath.Join(dir, ".bin", "ssh"), 0o777); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

// scenePipeline is a pipeline of diffusers with two models.
func scenePipeline(t *testing.T, dir string, seed int) {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(seed), 11))
	draw := func() float64 { return 0.1 * r.NormFloat64() }
	for name, tensor := range map[string]format.Tensor{
		"unet/diffusion_pytorch_model": {Name: "conv_in.weight", DType: format.BF16, Shape: []int64{sceneWidth, 4, 3, 3}},
		"text_encoder/model":           {Name: "text_model.final_layer_norm.weight", DType: format.BF16, Shape: []int64{sceneWidth}},
	} {
		sceneWeights(t, filepath.Join(dir, name+".safetensors"), []format.Tensor{tensor}, nil, draw)
		put(t, filepath.Join(dir, filepath.Dir(name), "config.json"), []byte("{}"))
	}
	put(t, filepath.Join(dir, format.PipelineName), []byte(`{"_class_name": "StableDiffusionPipeline", "text_encoder": ["transformers", "CLIPTextModel"], "unet": ["diffusers", "UNet2DConditionModel"]}`))
}

// sceneStyle is an adapter of such a pipeline, in kohya-ss' names.
func sceneStyle(t *testing.T, path string) {
	t.Helper()
	const rank = 2
	r := rand.New(rand.NewPCG(6, 0))
	sceneWeights(t, path, []format.Tensor{
		{Name: "lora_unet_conv_in.alpha", DType: format.F16},
		{Name: "lora_unet_conv_in.lora_down.weight", DType: format.F16, Shape: []int64{rank, 4, 3, 3}},
		{Name: "lora_unet_conv_in.lora_up.weight", DType: format.F16, Shape: []int64{sceneWidth, rank, 1, 1}},
	}, nil, func() float64 { return 0.01 + r.ExpFloat64() })
}

// sceneTensors are those of a Llama of a few thousand weights.
func sceneTensors(dtype format.DType) (list []format.Tensor) {
	add := func(name string, shape ...int64) {
		list = append(list, format.Tensor{Name: name, DType: dtype, Shape: shape})
	}
	add("model.embed_tokens.weight", sceneTokens, sceneWidth)
	for layer := range sceneLayers {
		prefix := fmt.Sprintf("model.layers.%d.", layer)
		for _, name := range []string{"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"} {
			add(prefix+name+".weight", sceneWidth, sceneWidth)
		}
		add(prefix+"mlp.gate_proj.weight", 2*sceneWidth, sceneWidth)
		add(prefix+"mlp.up_proj.weight", 2*sceneWidth, sceneWidth)
		add(prefix+"mlp.down_proj.weight", sceneWidth, 2*sceneWidth)
		add(prefix+"input_layernorm.weight", sceneWidth)
		add(prefix+"post_attention_layernorm.weight", sceneWidth)
	}
	add("model.norm.weight", sceneWidth)
	add("lm_head.weight", sceneTokens, sceneWidth)
	return list
}

// sceneWeights writes tensors of what draw gives.
func sceneWeights(t *testing.T, path string, tensors []format.Tensor, metadata map[string]string, draw func() float64) {
	t.Helper()
	put(t, path, nil)
	err := writeCheckpoint(path, tensors, metadata, 1<<40, func(i int) []byte {
		if !tensors[i].DType.Computable() { // codes
			return make([]byte, tensors[i].Bytes())
		}
		values := make([]float64, tensors[i].Elements())
		for j := range values {
			values[j] = draw()
		}
		data := make([]byte, tensors[i].Bytes())
		format.Encode(tensors[i].DType, data, values)
		return data
	})
	if err != nil {
		t.Fatal(err)
	}
}

// sceneModel writes the base (0) or one of its fine-tunes.
func sceneModel(t *testing.T, dir string, which int) {
	t.Helper()
	base, tuned := rand.New(rand.NewPCG(1, 0)), rand.New(rand.NewPCG(2, uint64(which)))
	sceneWeights(t, filepath.Join(dir, "model.safetensors"), sceneTensors(format.BF16), nil, func() float64 {
		w := 0.02 * base.NormFloat64()
		if which > 0 && tuned.IntN(4) == 0 {
			w += 0.002 * tuned.NormFloat64()
		}
		return w
	})
	put(t, filepath.Join(dir, "config.json"), fmt.Appendf(nil,
		`{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": %d, "num_hidden_layers": %d, "vocab_size": %d, "torch_dtype": "bfloat16", "tie_word_embeddings": false}`,
		sceneWidth, sceneLayers, sceneTokens))
	var vocabulary []string
	for i := range sceneTokens - 1 {
		vocabulary = append(vocabulary, fmt.Sprintf(`"%c": %d`, 'A'+i%26+i/26*32, i))
	}
	own := []string{"<|base|>", "<|base|>", "<|base|>", "<|chat|>", "<|chat|>"}[which]
	put(t, filepath.Join(dir, "tokenizer.json"), fmt.Appendf(nil,
		`{"version": "1.0", "added_tokens": [{"id": %d, "content": "%s", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}], "model": {"type": "BPE", "vocab": {%s}, "merges": []}}`,
		sceneTokens-1, own, strings.Join(vocabulary, ", ")))
	put(t, filepath.Join(dir, "tokenizer_config.json"), []byte(`{"tokenizer_class": "PreTrainedTokenizerFast"}`))
}

// sceneFloat8 writes a fine-tune whose matrices are codes of FP8, one block each.
func sceneFloat8(t *testing.T, dir string) {
	t.Helper()
	r := rand.New(rand.NewPCG(5, 0))
	var tensors []format.Tensor
	for _, x := range sceneTensors(format.BF16) {
		if len(x.Shape) == 2 && strings.Contains(x.Name, "proj") {
			x.DType = format.F8E4M3
			tensors = append(tensors, format.Tensor{Name: x.Name + "_scale_inv", DType: format.F32, Shape: []int64{1, 1}})
		}
		tensors = append(tensors, x)
	}
	sceneWeights(t, filepath.Join(dir, "model.safetensors"), tensors, nil, func() float64 { return 0.02 * r.NormFloat64() })
	put(t, filepath.Join(dir, "config.json"), []byte(`{"model_type": "llama", "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}`))
}

func sceneImportance(t *testing.T, path, statistic string, which int) {
	t.Helper()
	r := rand.New(rand.NewPCG(3, uint64(which)))
	sceneWeights(t, path, sceneTensors(format.F32), map[string]string{"weld.statistic": statistic}, func() float64 {
		return r.ExpFloat64() / 100
	})
}

func sceneAdapter(t *testing.T, dir string) {
	t.Helper()
	const rank = 2
	r := rand.New(rand.NewPCG(4, 0))
	var tensors []format.Tensor
	for layer := range sceneLayers {
		prefix := fmt.Sprintf("base_model.model.model.layers.%d.self_attn.q_proj.", layer)
		tensors = append(tensors,
			format.Tensor{Name: prefix + "lora_A.weight", DType: format.F32, Shape: []int64{rank, sceneWidth}},
			format.Tensor{Name: prefix + "lora_B.weight", DType: format.F32, Shape: []int64{sceneWidth, rank}})
	}
	sceneWeights(t, filepath.Join(dir, "adapter_model.safetensors"), tensors, nil, func() float64 { return 0.01 * r.NormFloat64() })
	put(t, filepath.Join(dir, "adapter_config.json"), fmt.Appendf(nil,
		`{"peft_type": "LORA", "r": %d, "lora_alpha": %d, "target_modules": ["q_proj"], "bias": "none"}`, rank, 2*rank))
}

// sceneTorch writes two of the models as torch.save does.
func sceneTorch(t *testing.T, dir string) {
	t.Helper()
	put(t, filepath.Join(dir, "pytorch", "config.json"), []byte("{}"))
	err := errors.Join(
		saveTorch(filepath.Join(dir, "pytorch", "pytorch_model.bin"), filepath.Join(dir, "base")),
		saveTorch(filepath.Join(dir, "run.ckpt"), filepath.Join(dir, "math"), "state_dict"))
	if err != nil {
		t.Fatal(err)
	}
}

// sceneOptimizer is what a training left beside a model: Adam's state, by the names of parameters.
func sceneOptimizer(t *testing.T, dir string) {
	t.Helper()
	entries := []torchsave.Entry{{Name: "data.pkl"}}
	var state []string
	for i, x := range sceneTensors(format.F32) {
		strides := make([]int64, len(x.Shape))
		for d, step := len(x.Shape)-1, int64(1); d >= 0; d-- {
			strides[d], step = step, step*x.Shape[d]
		}
		key := strconv.Itoa(i)
		moment := torchsave.Tensor(torchsave.Storage("FloatStorage", key, x.Elements()), 0, x.Shape, strides)
		state = append(state, torchsave.Text(x.Name), torchsave.Dict(torchsave.Text("step"), torchsave.Int(500), torchsave.Text("exp_avg_sq"), moment))
		values, data := make([]float64, x.Elements()), make([]byte, x.Bytes())
		for k := range values {
			values[k] = 1e-6 * float64(1+k%7)
		}
		format.Encode(x.DType, data, values)
		entries = append(entries, torchsave.Entry{Name: "data/" + key, Data: data})
	}
	entries[0].Data = torchsave.Pickle(torchsave.Dict(torchsave.Text("state"), torchsave.Dict(state...), torchsave.Text("param_groups"), torchsave.Tuple()))
	put(t, filepath.Join(dir, "optimizer.bin"), torchsave.Archive("archive", false, entries...))
}

// sceneFaults writes what is damaged, what does not fit, and what is something else than its name says.
func sceneFaults(t *testing.T, dir string) {
	t.Helper()
	at := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	whole, err := os.ReadFile(at("base/model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, at("cut.safetensors"), whole[:len(whole)/2])
	put(t, at("pointer.safetensors"), []byte("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"))
	put(t, at("page.safetensors"), []byte("<!DOCTYPE html><html><body>Not found</body></html>"))
	one := func() float64 { return 1 }
	tensors := sceneTensors(format.BF16)
	sceneWeights(t, at("incomplete/model.safetensors"), slices.Delete(slices.Clone(tensors), 3, 5), nil, one)
	sceneWeights(t, at("broken-training/model.safetensors"), tensors, nil, func() float64 { return math.Inf(1) })
	wide := slices.Clone(tensors)
	wide[0].Shape = []int64{2 * sceneTokens, sceneWidth}
	sceneWeights(t, at("wider/model.safetensors"), wide, nil, one)
	sceneWeights(t, at("elsewhere/model.safetensors"), []format.Tensor{{Name: "net.0.w", DType: format.BF16, Shape: []int64{2}}}, nil, one)
	sceneWeights(t, at("aqlm/model.safetensors"), []format.Tensor{
		{Name: "model.layers.0.mlp.up_proj.codes", DType: format.I16, Shape: []int64{8, 1, 1}},
		{Name: "model.layers.0.mlp.up_proj.codebooks", DType: format.F16, Shape: []int64{1, 4, 1, 8}},
	}, nil, one)
	put(t, at("aqlm/config.json"), []byte(`{"quantization_config": {"quant_method": "aqlm", "nbits_per_codebook": 16}}`))
	sceneWeights(t, at("mixed/model-00001-of-00001.safetensors"), tensors[:1], nil, one)
	put(t, at("mixed/model.safetensors.index.json"), []byte(`{"weight_map": {"model.embed_tokens.weight": "model-00001-of-00001.safetensors", "lm_head.weight": "model-00001-of-00001.safetensors"}}`))
	sceneWeights(t, at("broken/cut.safetensors.zst"), tensors, nil, one)
	packed, err := os.ReadFile(at("broken/cut.safetensors.zst"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, at("broken/cut.safetensors.zst"), packed[:len(packed)/2])
	sceneSpecimens(t, at("broken"))
}

// sceneSpecimens copies the malformed files of the fuzz targets' corpus; an index becomes that of a directory.
func sceneSpecimens(t *testing.T, dir string) {
	t.Helper()
	for kind, extension := range map[string]string{"safetensors": ".safetensors", "pack": ".weld", "index": ".json", "torch": ".pt"} {
		found, err := filepath.Glob(filepath.Join(repository, "fuzz", "testdata", "malformed", kind, "*"+extension))
		if err != nil || len(found) == 0 {
			t.Fatalf("no specimens of %s: %v", kind, err)
		}
		for _, path := range found {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			name := filepath.Join(dir, filepath.Base(path))
			if kind == "index" {
				name = filepath.Join(strings.TrimSuffix(name, extension), safetensors.IndexName)
			}
			put(t, name, data)
		}
	}
}
