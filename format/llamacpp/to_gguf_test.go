package llamacpp

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weld/format"
	"weld/format/gguf"
	"weld/mmapio"
)

// directory writes what lies beside a golden in the Hub, with other members of its configuration; a nil one is taken away.
func directory(t *testing.T, h *Hub, changed map[string]any) format.Folder {
	t.Helper()
	files, err := h.FilesBeside(format.BF16)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, f := range files {
		if f.Name == configName && len(changed) > 0 {
			var config map[string]any
			if err := json.Unmarshal(f.Content, &config); err != nil {
				t.Fatal(err)
			}
			for key, value := range changed {
				config[key] = value
				if _, none := value.(gone); none {
					delete(config, key)
				}
			}
			f.Content, _ = json.Marshal(config)
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return format.Directory(dir)
}

// said are the keys of a file, and their values as they are stored.
func said(t *testing.T, pairs gguf.Pairs) map[string]string {
	t.Helper()
	l, err := gguf.NewLayout(gguf.Metadata{Own: pairs}, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := l.WriteHeader(&file); err != nil {
		t.Fatal(err)
	}
	return pairsOf(t, file.Bytes())
}

func pairsOf(t *testing.T, raw []byte) map[string]string {
	t.Helper()
	h, err := gguf.ReadHeader("written", bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, p := range h.Pairs {
		all[p.Key] = string(binary.LittleEndian.AppendUint32(nil, uint32(p.Type))) + string(raw[p.Begin:p.Begin+p.Size])
	}
	return all
}

// What llama.cpp wrote comes out again, by way of the Hub: tensors to the bit, and what is said of the model to the type. Names of the model, counts of parameters,
// types of the file, and tokens that only texts of two parts need are not compared; nor are scores, of which the merges keep the order.
func TestThereAndBack(t *testing.T) {
	skipped := []string{"general.name", "general.size_label", "general.file_type", "general.quantization_version", "tokenizer.ggml.add_sep_token", "tokenizer.ggml.add_eos_token", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.scores", "tokenizer.ggml.add_space_prefix"}
	for _, name := range goldens {
		t.Run(name, func(t *testing.T) {
			file := opened(t, filepath.Join("testdata", name+".gguf"))
			h, err := ToHub(file, file)
			if err != nil {
				t.Fatal(err)
			}
			g, err := fromFolder(h.Checkpoint, directory(t, h, nil))
			if err != nil || len(g.Notes) > 0 {
				t.Fatal(err, g)
			}
			if len(g.Checkpoint.Tensors()) != len(file.Tensors()) {
				t.Errorf("%d tensors, want %d", len(g.Checkpoint.Tensors()), len(file.Tensors()))
			}
			for i, x := range file.Tensors() {
				j, ok := g.Checkpoint.Find(x.Name)
				if !ok {
					t.Errorf("%s is not there", x.Name)
					continue
				}
				got := g.Checkpoint.Tensors()[j]
				if got.DType != x.DType || !slices.Equal(got.Shape, x.Shape) || !bytes.Equal(bytesOf(t, g.Checkpoint, j), bytesOf(t, file, i)) {
					t.Errorf("%s is another: %v %v, want %v %v", x.Name, got.DType, got.Shape, x.DType, x.Shape)
				}
				if g.StaysFloat32(x.Name) != (x.DType == format.F32) {
					t.Errorf("%s stays in float32: %v", x.Name, g.StaysFloat32(x.Name))
				}
			}
			raw, err := os.ReadFile(filepath.Join("testdata", name+".gguf"))
			if err != nil {
				t.Fatal(err)
			}
			got, want := said(t, g.Pairs), pairsOf(t, raw)
			for key := range want {
				if !slices.Contains(skipped, key) && got[key] != want[key] && !absentAndDefault(key, got) {
					t.Errorf("%s is %q, want %q", key, got[key], want[key])
				}
			}
			for key := range maps.Keys(got) {
				if _, ok := want[key]; !ok && !slices.Contains(skipped, key) && !strings.HasSuffix(key, "attention.key_length") && !strings.HasSuffix(key, "attention.value_length") {
					t.Errorf("%s is said, and llama.cpp does not", key)
				}
			}
		})
	}
}

// absentAndDefault reports keys that say what holds without them.
func absentAndDefault(key string, got map[string]string) bool {
	_, said := got[key]
	return !said && strings.HasSuffix(key, ".rope.scaling.original_context_length")
}

// A vocabulary of SentencePiece is what llama.cpp makes of it.
func TestSentencePieces(t *testing.T) {
	for name, added := range map[string]string{"llama": "{}", "gemma": `{"4":{"content":"<turn>","special":true}}`} {
		file := opened(t, filepath.Join("testdata", name+".gguf"))
		h, err := ToHub(file, file)
		if err != nil {
			t.Fatal(err)
		}
		beside := directory(t, h, nil)
		pieces, err := os.ReadFile(filepath.Join("testdata", name+".model"))
		if err != nil {
			t.Fatal(err)
		}
		for file, content := range map[string]string{sentencePieceName: string(pieces), tokenizerConfigName: `{"add_bos_token":true,"add_eos_token":false,"added_tokens_decoder":` + added + `}`} {
			if err := os.WriteFile(beside.Join(file), []byte(content), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Remove(beside.Join(tokenizerName)); err != nil {
			t.Fatal(err)
		}
		g, err := fromFolder(h.Checkpoint, beside)
		if err != nil || len(g.Notes) > 0 {
			t.Fatal(err, g)
		}
		raw, err := os.ReadFile(filepath.Join("testdata", name+".gguf"))
		if err != nil {
			t.Fatal(err)
		}
		got, want := said(t, g.Pairs), pairsOf(t, raw)
		for key := range want {
			if strings.HasPrefix(key, tokenizerKeys) && key != templateKey && key != "tokenizer.ggml.eot_token_id" && got[key] != want[key] {
				t.Errorf("%s: %s is %q, want %q", name, key, got[key], want[key])
			}
		}
		// However it is cut short, it is damaged or has fewer pieces, and nothing panics.
		for n := range len(pieces) {
			v := &spoken{rows: 73}
			if err := v.takePieces(pieces[:n]); err == nil && v.types[72] != unusedToken {
				t.Fatalf("%s: %d of %d bytes are whole", name, n, len(pieces))
			}
		}
	}
}

// What a configuration says and llama.cpp computes otherwise, and what it does not say, is refused by its key.
func TestConfigurationsRefused(t *testing.T) {
	for _, c := range []struct {
		name    string
		changed map[string]any
		kind    format.Kind
		says    string
	}{
		{"llama", map[string]any{"model_type": "falcon"}, format.KindUnsupported, `its model_type is "falcon", of which weld does not know what llama.cpp calls its tensors; it knows llama, mixtral, qwen2`},
		{"llama", map[string]any{"model_type": gone{}}, format.KindUnsupported, `its model_type is ""`},
		{"llama", map[string]any{"model_type": 3}, format.KindMetadata, "model_type is 3, and no text"},
		{"llama", map[string]any{"hidden_size": gone{}}, format.KindMetadata, "hidden_size is not there, and GGUF has it"},
		{"llama", map[string]any{"hidden_size": "8"}, format.KindMetadata, "hidden_size is 8, and no size"},
		{"llama", map[string]any{"hidden_size": 8.5}, format.KindMetadata, "hidden_size is 8.5, and no size"},
		{"llama", map[string]any{"hidden_size": -8}, format.KindMetadata, "hidden_size is -8, and no size"},
		{"llama", map[string]any{"hidden_size": 1e18}, format.KindMetadata, "hidden_size is 1e+18, and no size"},
		{"llama", map[string]any{"hidden_size": 16}, format.KindShape, "model.embed_tokens.weight"},
		{"llama", map[string]any{"num_hidden_layers": 3}, format.KindNames, `"model.layers.2.input_layernorm.weight": llama has such a tensor, and it is not there`},
		{"llama", map[string]any{"num_hidden_layers": 1}, format.KindNames, `no model of llama in llama.cpp has what this is; a directory without it, as weld convert --drop '^model\.layers\.1\.`},
		{"llama", map[string]any{"num_attention_heads": 0}, format.KindMetadata, "num_attention_heads is 0, and no size"},
		{"llama", map[string]any{"num_key_value_heads": 3}, format.KindMetadata, "num_key_value_heads is 3, which does not divide 4 heads"},
		{"llama", map[string]any{"num_key_value_heads": 4}, format.KindShape, "self_attn.k_proj.weight"},
		{"llama", map[string]any{"num_key_value_heads": gone{}}, format.KindShape, "4 heads and 4 groups of 2"},
		{"llama", map[string]any{"head_dim": 3}, format.KindMetadata, "heads have 3 rows, which are turned in pairs"},
		{"llama", map[string]any{"vocab_size": 80}, format.KindShape, "model.embed_tokens.weight"},
		{"llama", map[string]any{"hidden_act": "gelu"}, format.KindMetadata, "hidden_act is gelu, and llama.cpp computes with silu: a file in GGUF would be another model"},
		{"llama", map[string]any{"partial_rotary_factor": 0.5}, format.KindMetadata, "partial_rotary_factor is 0.5, and llama.cpp computes with 1"},
		{"llama", map[string]any{"rms_norm_eps": gone{}}, format.KindMetadata, "rms_norm_eps is not there"},
		{"llama", map[string]any{"rms_norm_eps": []int{1}}, format.KindMetadata, "rms_norm_eps is [1], and no number"},
		{"llama", map[string]any{"max_position_embeddings": gone{}}, format.KindMetadata, "max_position_embeddings is not there"},
		{"llama", map[string]any{"rope_scaling": map[string]any{"rope_type": "dynamic", "factor": 2}}, format.KindMetadata, `rope_type is "dynamic": llama.cpp is known to stretch rotations by linear, yarn and llama3`},
		{"llama", map[string]any{"rope_scaling": map[string]any{"type": "linear"}}, format.KindMetadata, "factor is not there"},
		{"llama", map[string]any{"rope_scaling": map[string]any{"rope_type": "yarn", "factor": 2, "mscale": 0.7}}, format.KindMetadata, "mscale is 0.7, and llama.cpp computes with null"},
		{"llama", map[string]any{"rope_parameters": map[string]any{"rope_type": "llama3", "factor": 2, "low_freq_factor": 4, "high_freq_factor": 1, "original_max_position_embeddings": 64}}, format.KindMetadata, "which stretch nothing"},
		{"llama", map[string]any{"rope_parameters": map[string]any{"rope_type": "llama3", "factor": 2}}, format.KindMetadata, "low_freq_factor is not there"},
		{"llama3", map[string]any{"tie_word_embeddings": false}, format.KindNames, `"lm_head.weight": it is not there, and config.json does not say that embeddings are tied`},
		{"llama3", map[string]any{"tie_word_embeddings": "yes"}, format.KindMetadata, "tie_word_embeddings is yes, and no truth value"},
		{"mixtral", map[string]any{"num_local_experts": 4}, format.KindShape, "block_sparse_moe.gate.weight"},
		{"mixtral", map[string]any{"num_experts_per_tok": gone{}}, format.KindMetadata, "num_experts_per_tok is not there"},
		{"qwen2", map[string]any{"use_sliding_window": true}, format.KindMetadata, "use_sliding_window is true, and llama.cpp computes with false"},
		{"qwen2", map[string]any{"rope_scaling": map[string]any{"rope_type": "llama3", "factor": 2}}, format.KindMetadata, "rope_type is llama3, and llama.cpp has that of llama alone"},
		{"qwen2moe", map[string]any{"norm_topk_prob": true}, format.KindMetadata, "norm_topk_prob is true, and llama.cpp computes with false"},
		{"qwen3moe", map[string]any{"norm_topk_prob": gone{}}, format.KindMetadata, "norm_topk_prob is false, and llama.cpp computes with true"},
		{"gemma2", map[string]any{"query_pre_attn_scalar": 8}, format.KindMetadata, "query_pre_attn_scalar is 8, and llama.cpp computes with 4"},
		{"gemma2", map[string]any{"layer_types": []string{"full_attention", "full_attention"}}, format.KindMetadata, "layer_types has full_attention for layer 0, and llama.cpp computes with sliding_attention"},
		{"gemma3", map[string]any{"layer_types": gone{}, "sliding_window_pattern": 4}, format.KindMetadata, "sliding_window_pattern is 4"},
		{"gemma3", map[string]any{"attn_logit_softcapping": 50}, format.KindMetadata, "attn_logit_softcapping is 50, and llama.cpp computes with null"},
		{"gemma3", map[string]any{"sliding_window": gone{}}, format.KindMetadata, "sliding_window is not there"},
	} {
		h := inHub(t, c.name)
		_, err := fromFolder(h.Checkpoint, directory(t, h, c.changed))
		if err == nil || format.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s with %v: %s: %v\nwant %s: %s", c.name, c.changed, format.KindOf(err), err, c.kind, c.says)
		}
	}
	h := inHub(t, "llama")
	if _, err := fromFolder(h.Checkpoint, format.Directory(t.TempDir())); format.KindOf(err) != format.KindMissing {
		t.Errorf("without a configuration: %v", err)
	}
	for _, text := range []string{"", "[1]", "null", "{"} {
		beside := directory(t, h, nil)
		if err := os.WriteFile(beside.Join(configName), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := fromFolder(h.Checkpoint, beside); format.KindOf(err) != format.KindJSON {
			t.Errorf("a configuration %q: %v", text, err)
		}
	}
}

// A tokenizer that GGUF cannot say is left out, and a note says why.
func TestTokenizersThatAreNotSaid(t *testing.T) {
	h := inHub(t, "llama3")
	for change, says := range map[[2]string]string{
		{`"type":"BPE"`, `"type":"Unigram"`}:                    `tokenizer.json is a model of "Unigram", and those of BPE are known`,
		{`{1,3}`, `{1,2}`}:                                      "llama.cpp is not known to cut text as pre_tokenizer of tokenizer.json says",
		{`"behavior":"Isolated"`, `"behavior":"Removed"`}:       "llama.cpp is not known to cut text as pre_tokenizer of tokenizer.json says (Split)",
		{`"merges":[["d","e"]`, `"merges":[["d"]`}:              "tokenizer.json is no JSON: merge 0 is not of two tokens",
		{`"merges":[["d","e"]`, `"merges":[["d e","e"]`}:        "a merge is not of two tokens without spaces",
		{`"merges":[`, `"merges":{"a":[`}:                       "tokenizer.json is no JSON",
		{`"vocab":{`, `"vocab":{"far":5000,`}:                   `token 5000 is "far", and embeddings have 96 rows`,
		{`"byte_fallback":false`, `"byte_fallback":true`}:       "",
		{`"version":"1.0"`, `"version":"1.0`}:                   "tokenizer.json is no JSON",
		{`"ignore_merges":true`, `"ignore_merges":false`}:       "llama.cpp is not known to cut text",
		{`"added_tokens":[`, `"added_tokens":[{"id":-1},`}:      `token -1 is ""`,
		{`"pre_tokenizer":{`, `"pre_tokenizer":null,"other":{`}: "pre_tokenizer of tokenizer.json says nothing of how text is cut",
	} {
		beside := directory(t, h, nil)
		raw, err := os.ReadFile(beside.Join(tokenizerName))
		if err != nil || !bytes.Contains(raw, []byte(change[0])) {
			t.Fatalf("there is no %s: %v", change[0], err)
		}
		if err := os.WriteFile(beside.Join(tokenizerName), bytes.Replace(raw, []byte(change[0]), []byte(change[1]), 1), 0o666); err != nil {
			t.Fatal(err)
		}
		g, err := fromFolder(h.Checkpoint, beside)
		switch {
		case err != nil:
			t.Errorf("%s: %v", change[1], err)
		case says != "" && (len(g.Notes) != 1 || !strings.Contains(g.Notes[0], says)):
			t.Errorf("%s: notes %q, want %q", change[1], g.Notes, says)
		}
	}
	beside := directory(t, h, nil)
	if err := os.Remove(beside.Join(tokenizerName)); err != nil {
		t.Fatal(err)
	}
	g, err := fromFolder(h.Checkpoint, beside)
	if err != nil || len(g.Notes) != 1 || !strings.Contains(g.Notes[0], "there is neither tokenizer.json nor tokenizer.model beside it") {
		t.Error(err, g)
	}
}

// withHead is a model of the Hub with an output layer: its embeddings, or nearly those.
type withHead struct {
	format.Checkpoint
	embeddings int
	other      bool
}

func (c withHead) Tensors() []format.Tensor {
	head := c.Checkpoint.Tensors()[c.embeddings]
	head.Name = "lm_head.weight"
	return append(slices.Clone(c.Checkpoint.Tensors()), head)
}

func (c withHead) Find(name string) (int, bool) {
	if name == "lm_head.weight" {
		return len(c.Checkpoint.Tensors()), true
	}
	return c.Checkpoint.Find(name)
}

func (c withHead) View(i int, off, n int64) (mmapio.View, error) {
	if i < len(c.Checkpoint.Tensors()) {
		return c.Checkpoint.View(i, off, n)
	}
	view, err := c.Checkpoint.View(c.embeddings, off, n)
	if err != nil || !c.other {
		return view, err
	}
	defer view.Release()
	data := slices.Clone(view.Data)
	data[len(data)-1] ^= 1
	return mmapio.View{Data: data}, nil
}

// An output layer beside embeddings that config.json ties is left out where it is the same matrix. Another one is the model's: transformers computes with it.
func TestOutputLayersBesideTiedEmbeddings(t *testing.T) {
	for _, c := range []struct {
		name        string
		tied, other bool
		written     bool
		says        string
	}{
		{"llama3", true, false, false, ""},
		{"llama3", true, true, true, "lm_head.weight is not model.embed_tokens.weight, though config.json says that they are one"},
		{"llama3", false, false, true, ""},
		{"gemma", true, false, false, ""},
		{"gemma", false, false, false, ""},
		{"gemma", true, true, false, `"lm_head.weight": it is not model.embed_tokens.weight, and llama.cpp computes the output of gemma with that alone: a file in GGUF would be another model`},
		{"gemma", false, true, false, `"lm_head.weight": it is not model.embed_tokens.weight, and llama.cpp computes the output of gemma with that alone: a file in GGUF would be another model`},
	} {
		h := inHub(t, c.name)
		embeddings, _ := h.Checkpoint.Find("model.embed_tokens.weight")
		g, err := fromFolder(withHead{h.Checkpoint, embeddings, c.other}, directory(t, h, map[string]any{"tie_word_embeddings": c.tied}))
		said, written := "", false
		if err != nil {
			said = err.Error()
		} else {
			said = strings.Join(g.Notes, " ")
			_, written = g.Checkpoint.Find("output.weight")
		}
		if written != c.written || (said == "") != (c.says == "") || !strings.Contains(said, c.says) {
			t.Errorf("%s, tied: %v, other: %v: an output layer is written: %v, and said is %q; want %q", c.name, c.tied, c.other, written, said, c.says)
		}
	}
}
