package stream

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weld/format"
)

const embedding, head = "model.embed_tokens.weight", "lm_head.weight"

// saveCodedVocabulary makes a model whose embedding, of one row for each token, is codes with scales.
func saveCodedVocabulary(t *testing.T, dir, tokens string, seed byte, more ...tensor) {
	t.Helper()
	saveVocabulary(t, dir, tokens)
	codes := make([]byte, 2*len(tokens))
	for i := range codes {
		codes[i] = byte(0x30 + (int(seed)*7+i*5)%32)
	}
	append(checkpoint{
		raw(embedding, format.F8E4M3, codes, int64(len(tokens)), 2), floats(embedding+"_scale_inv", format.F32, []float64{0.5 + float64(seed)}, 1),
		floats("model.norm.weight", format.BF16, []float64{1, 2}, 2),
	}, more...).save(t, filepath.Join(dir, "model.safetensors"))
	write(t, filepath.Join(dir, "config.json"), fmt.Appendf(nil, `{"vocab_size": %d, "tie_word_embeddings": true, "quantization_config": {"quant_method": "fp8"}}`, len(tokens)))
}

// Rows are taken from embeddings of codes, also by what copies everything else.
func TestVocabularyOfCodes(t *testing.T) {
	t.Chdir(t.TempDir())
	saveCodedVocabulary(t, "a", "abcd", 1)
	saveCodedVocabulary(t, "b", "xyab", 2)
	p, err := planText("merge_method: passthrough\ntokenizer_source: union\nbase_model: b\nmodels: [{model: a}]\n", "out")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Merge(context.Background()); err != nil {
		t.Fatal(err)
	}
	rows := func(dir string, scale float64) []float64 {
		values := readAll(t, filepath.Join(dir, "model.safetensors"))[embedding]
		for i := range values {
			values[i] *= scale
		}
		return values
	}
	want := append(rows("b", 2.5)[:4:4], rows("a", 1.5)...) // the tokens x and y of b, and all of a
	if got := readAll(t, "out")[embedding]; !slices.Equal(got, want) {
		t.Errorf("%v, not %v", got, want)
	}
	if config := string(read(t, "out/config.json")); strings.Contains(config, "quantization_config") {
		t.Errorf("config.json is %s", config)
	}
}

// An output layer that only another model has is stored plainly beside embeddings that are codes: the configuration of these says nothing of it.
func TestUntiedHeadOfCodes(t *testing.T) {
	t.Chdir(t.TempDir())
	saveCodedVocabulary(t, "a", "abcd", 1)
	saveCodedVocabulary(t, "b", "abcd", 2, floats(head, format.BF16, []float64{1, 2, 3, 4, 5, 6, 7, 8}, 4, 2))
	p, err := planText("merge_method: linear\nmodels: [{model: a, parameters: {weight: 0.5}}, {model: b, parameters: {weight: 0.5}}]\n", "out")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if !slices.ContainsFunc(p.Notes, func(n string) bool { return strings.Contains(n, `"lm_head.weight" is stored plainly, as BF16`) }) {
		t.Errorf("%q", p.Notes)
	}
	if _, err := p.Merge(context.Background()); err != nil {
		t.Fatal(err)
	}
	merged, _ := load(t, read(t, "out/model.safetensors"))
	if x := merged.find(embedding); x == nil || x.DType != format.F8E4M3 || merged.find(embedding+"_scale_inv") == nil {
		t.Errorf("the embedding is %v", x)
	}
	x := merged.find(head)
	if x == nil || x.DType != format.BF16 || merged.find(head+"_scale_inv") != nil {
		t.Fatalf("the output layer is %v", x)
	}
	a, _ := load(t, read(t, "a/model.safetensors"))
	codes := make([]float32, 8)
	format.Decode(format.F8E4M3, codes, a.find(embedding).data)
	values := make([]float64, 8)
	for i := range values {
		values[i] = (float64(codes[i])*1.5 + float64(i+1)) / 2
	}
	if want := floats(head, format.BF16, values, 4, 2); !bytes.Equal(x.data, want.data) {
		t.Errorf("%x, not %x", x.data, want.data)
	}
	if config := string(read(t, "out/config.json")); !strings.Contains(config, `"tie_word_embeddings": false`) || !strings.Contains(config, "quantization_config") {
		t.Errorf("config.json is %s", config)
	}
}

// An output layer that is stored in a scheme of its own is refused for that, and not for the scheme that the rest is decoded from.
func TestHeadInASchemeOfItsOwn(t *testing.T) {
	t.Chdir(t.TempDir())
	own := []tensor{raw(head, format.I8, []byte{1, 2, 3, 4, 5, 6, 7, 8}, 4, 2), floats("lm_head.weight_scale", format.F32, []float64{1, 2, 3, 4}, 4, 1)}
	saveCodedVocabulary(t, "a", "abcd", 1, own...)
	saveCodedVocabulary(t, "b", "abcd", 2)
	said := []string{`a: tensor "lm_head.weight": I8`, "in a scheme of its own, packed codes with scales", `"lm_head.weight_scale" beside it`, "beside fp8, which is decoded", "merge a copy"}
	for _, text := range []string{
		"merge_method: linear\nmodels: [{model: b}, {model: a}]\n",
		"merge_method: task_arithmetic\nbase_model: a\nmodels: [{model: b}]\n",
	} {
		_, err := planText(text, "")
		refusedScheme(t, err, said...)
	}
	write(t, "adapter/adapter_config.json", []byte(`{"peft_type": "LORA", "r": 1, "lora_alpha": 1, "target_modules": ["q_proj"]}`))
	checkpoint{floats("base_model.model.model.q_proj.lora_A.weight", format.F32, []float64{1, 2}, 1, 2)}.save(t, "adapter/adapter_model.safetensors")
	_, err := planText("merge_method: passthrough\nmodels: [{model: a+adapter}]", "")
	refusedScheme(t, err, `"lm_head.weight"`, "in a scheme of its own, packed codes with scales", "base of the adapter")
}
