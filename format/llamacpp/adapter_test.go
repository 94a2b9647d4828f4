package llamacpp

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weld/format"
	"weld/format/formattest"
	"weld/format/gguf"
)

// inFolder is a checkpoint with files beside it.
type inFolder struct {
	format.Checkpoint
	beside format.Folder
}

func (f inFolder) Beside() format.Folder { return f.beside }

// hubBase is a golden as a directory of the Hub.
func hubBase(t *testing.T, name string, changed map[string]any) format.Checkpoint {
	t.Helper()
	h := inHub(t, name)
	return inFolder{format.Checkpoint(bare{h.Checkpoint}), directory(t, h, changed)}
}

// bare hides what a checkpoint shows.
type bare struct{ format.Checkpoint }

// An adapter that llama.cpp made of PEFT's is that of PEFT's again: names, order of rows, experts, to the bit.
func TestAdapters(t *testing.T) {
	for _, name := range []string{"llama", "mixtral"} {
		file := opened(t, filepath.Join("testdata", name+".lora.gguf"))
		a, err := ForBase(file, file, hubBase(t, name, nil))
		if err != nil {
			t.Fatal(err)
		}
		want := formattest.Open(t, filepath.Join("testdata", name+".lora.safetensors"))
		if len(want.Tensors()) != len(a.Checkpoint.Tensors()) || len(want.Tensors()) < 20 {
			t.Errorf("%s: %d tensors, want %d", name, len(a.Checkpoint.Tensors()), len(want.Tensors()))
		}
		for i, x := range want.Tensors() {
			j, ok := a.Checkpoint.Find(x.Name)
			if !ok {
				t.Errorf("%s: %s is not there", name, x.Name)
				continue
			}
			narrow := make([]byte, x.Bytes())
			values := make([]float32, x.Elements())
			format.Decode(format.F32, values, bytesOf(t, a.Checkpoint, j))
			format.Encode(format.BF16, narrow, values)
			if got := a.Checkpoint.Tensors()[j]; !slices.Equal(got.Shape, x.Shape) || !bytes.Equal(narrow, bytesOf(t, want, i)) {
				t.Errorf("%s: %s is another: %v, want %v", name, x.Name, got.Shape, x.Shape)
			}
		}
		var config struct {
			R     int
			Alpha float64 `json:"lora_alpha"`
			Type  string  `json:"peft_type"`
		}
		if err := json.Unmarshal(a.Config, &config); err != nil || config.R != 2 || config.Alpha != 6 || config.Type != "LORA" {
			t.Errorf("%s: %s, %v", name, a.Config, err)
		}
	}
}

// Rows of b have the order of the tensor's, where that has one of its own; rows of a are the rank's.
func TestOrderOfFactors(t *testing.T) {
	for name, head := range map[string]int64{"llama3": 8, "qwen2": 0} {
		of := []format.Tensor{factor("blk.0.attn_k.weight.lora_a", 8, 8), factor("blk.0.attn_k.weight.lora_b", 16, 8)}
		file := adapterFile(t, asLora("lora", map[string]string{"llama3": "llama", "qwen2": "qwen2"}[name], 4), of...)
		a, err := ForBase(file, file, hubBase(t, name, nil))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range a.Checkpoint.(*view).parts {
			want := order{}
			if strings.HasSuffix(p.tensor.Name, peftB) && head > 0 {
				want = order{head: head, toHub: true}
			}
			if p.order != want {
				t.Errorf("%s: %s has rows in the order %v, want %v", name, p.tensor.Name, p.order, want)
			}
		}
	}
}

// adapterFile writes an adapter of matrices of zeros: names and shapes.
func adapterFile(t *testing.T, say func(p *gguf.Pairs), tensors ...format.Tensor) *gguf.Checkpoint {
	t.Helper()
	var p gguf.Pairs
	say(&p)
	l, err := gguf.NewLayout(gguf.Metadata{Own: p}, len(tensors), func(i int) gguf.Described {
		return gguf.Described{Name: tensors[i].Name, DType: format.F32, Shape: tensors[i].Shape}
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "adapter.gguf")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := gguf.NewWriter(l, file); err != nil {
		t.Fatal(err)
	}
	if err := file.Truncate(l.Size); err != nil {
		t.Fatal(err)
	}
	return opened(t, path)
}

// asLora says what an adapter of llama's says, alpha as well if it is not 0.
func asLora(kind, of string, alpha float32) func(p *gguf.Pairs) {
	return func(p *gguf.Pairs) {
		p.Text(typeKey, "adapter")
		p.Text(architectureKey, of)
		p.Text(adapterTypeKey, kind)
		p.Float32(alphaKey, alpha)
	}
}

func factor(name string, shape ...int64) format.Tensor {
	return format.Tensor{Name: name, DType: format.F32, Shape: shape}
}

// On a base in GGUF names are the base's. Without alpha the product is added as it is, whatever the rank.
func TestAdapterOfGGUF(t *testing.T) {
	base := opened(t, filepath.Join("testdata", "llama.gguf"))
	file := adapterFile(t, asLora("lora", "llama", 0), factor("blk.0.attn_q.weight.lora_a", 3, 8), factor("blk.0.attn_q.weight.lora_b", 8, 3), factor("output.weight.lora_b", 73, 2), factor("output.weight.lora_a", 2, 8))
	a, err := ForBase(file, file, base)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, x := range a.Checkpoint.Tensors() {
		names = append(names, x.Name)
	}
	if want := "base_model.model.blk.0.attn_q.lora_A.weight base_model.model.blk.0.attn_q.lora_B.weight base_model.model.output.lora_B.weight base_model.model.output.lora_A.weight"; strings.Join(names, " ") != want {
		t.Errorf("%q", names)
	}
	if want := `{"alpha_pattern":{"output":2},"bias":"none","lora_alpha":3,"peft_type":"LORA","r":3,"rank_pattern":{"output":2}}`; string(a.Config) != want {
		t.Errorf("%s, want %s", a.Config, want)
	}
}

// What is no adapter of lora's, or not the base's, is refused.
func TestAdaptersRefused(t *testing.T) {
	inGGUF := opened(t, filepath.Join("testdata", "llama.gguf"))
	llama, mixtral := hubBase(t, "llama", nil), hubBase(t, "mixtral", nil)
	qa, qb := factor("blk.0.attn_q.weight.lora_a", 2, 8), factor("blk.0.attn_q.weight.lora_b", 8, 2)
	lora := asLora("lora", "llama", 4)
	for _, c := range []struct {
		base    format.Checkpoint
		say     func(p *gguf.Pairs)
		tensors []format.Tensor
		kind    format.Kind
		says    string
	}{
		{inGGUF, asLora("lora", "qwen2", 4), []format.Tensor{qa, qb}, format.KindMetadata, `it is for models of "qwen2", and testdata/llama.gguf is one of "llama"`},
		{llama, asLora("lora", "qwen2", 4), []format.Tensor{qa, qb}, format.KindMetadata, `it is for models of "qwen2"`},
		{llama, asLora("control", "llama", 4), []format.Tensor{qa, qb}, format.KindUnsupported, `adapter.type is "control", and weld adds adapters of lora to weights`},
		{llama, lora, nil, format.KindNames, "it says that it is an adapter, and has no factors"},
		{llama, lora, []format.Tensor{qa}, format.KindNames, `"blk.0.attn_q.weight.lora_a": the other factor for "blk.0.attn_q.weight" is not there`},
		{llama, lora, []format.Tensor{qa, factor(qb.Name, 8, 3)}, format.KindShape, "its rank is 3, and that of the other factor 2"},
		{llama, lora, []format.Tensor{qa, factor(qb.Name, 8, 1)}, format.KindShape, "its rank is 1, and that of the other factor 2"},
		{llama, lora, []format.Tensor{qa, factor(qb.Name, 7, 2)}, format.KindShape, "7 rows are no whole heads of 2"},
		{llama, lora, []format.Tensor{factor("blk.0.attn_norm.weight", 8)}, format.KindUnsupported, "an adapter's tensor that is no factor"},
		{llama, lora, []format.Tensor{factor("blk.0.attn_q.bias.lora_a", 2, 8)}, format.KindShape, "and a factor for a matrix was expected"},
		{llama, lora, []format.Tensor{factor("blk.0.attn_q.weight.lora_a", 0, 8), factor("blk.0.attn_q.weight.lora_b", 8, 0)}, format.KindShape, `"blk.0.attn_q.weight.lora_a": shape [0 8], and a factor for a matrix was expected`},
		{llama, lora, []format.Tensor{factor("blk.0.attn_q.weight.lora_a", 8)}, format.KindShape, "and a factor for a matrix was expected"},
		{llama, lora, []format.Tensor{factor("blk.0.attn_q.weight.lora_a", 1, 2, 8)}, format.KindShape, "and a matrix was expected"},
		{llama, lora, []format.Tensor{factor("token_embd.weight.lora_a", 73, 2)}, format.KindUnsupported, "an adapter for embeddings"},
		{llama, lora, []format.Tensor{factor("blk.9.attn_q.weight.lora_a", 2, 8)}, format.KindNames, `no model of llama in the Hub has a matrix that "blk.9.attn_q.weight" is`},
		{llama, lora, []format.Tensor{factor("blk.x.attn_q.weight.lora_a", 2, 8)}, format.KindNames, "blk.x.attn_q.weight"},
		{llama, lora, []format.Tensor{factor("blk.0.attn_norm.weight.lora_a", 2, 8)}, format.KindNames, `has a matrix that "blk.0.attn_norm.weight" is`},
		{mixtral, lora, []format.Tensor{factor("blk.0.ffn_up_exps.weight.lora_a", 4, 2, 8)}, format.KindShape, "one factor for each of 3 experts was expected"},
		{inGGUF, lora, []format.Tensor{factor("blk.0.ffn_up_exps.weight.lora_a", 4, 2, 8)}, format.KindUnsupported, "an adapter for stacked experts: weld convert the base into a directory"},
		{hubBase(t, "llama", map[string]any{"model_type": "bert"}), lora, []format.Tensor{qa, qb}, format.KindUnsupported, `its model_type is "bert"`},
		{llama, func(p *gguf.Pairs) { lora(p); p.Int32s(activatedKey, []int32{1}) }, []format.Tensor{qa, qb}, format.KindUnsupported, "an activated adapter"},
		{llama, func(p *gguf.Pairs) {
			p.Text(typeKey, "adapter")
			p.Text(architectureKey, "llama")
			p.Text(adapterTypeKey, "lora")
			p.Text(alphaKey, "much")
		}, []format.Tensor{qa, qb}, format.KindMetadata, "adapter.lora.alpha is much, and no number"},
	} {
		file := adapterFile(t, c.say, c.tensors...)
		_, err := ForBase(file, file, c.base)
		if err == nil || format.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: %s: %v\nwant %s: %s", c.tensors, format.KindOf(err), err, c.kind, c.says)
		}
		if !IsAdapter(file) || IsAdapter(inGGUF) {
			t.Error("what is an adapter is not told from a model")
		}
	}
}
