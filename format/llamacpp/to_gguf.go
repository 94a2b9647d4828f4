package llamacpp

import (
	"bytes"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"weld/format"
	"weld/format/gguf"
)

// GGUF is a model of the Hub as llama.cpp has it.
type GGUF struct {
	Checkpoint format.Checkpoint // with llama.cpp's names, shapes and values
	Pairs      gguf.Pairs        // what the file says of it, but for the types of its tensors
	Notes      []string

	mapping  *mapping
	path     string
	beside   format.Folder
	settings *settings
	wide     map[string]bool
}

// MaxConfig is the most bytes that are read of a config.json.
const MaxConfig = 16 << 20

// llamas are models whose tensors and formulas are Llama's, under another model_type.
var llamas = map[string]string{"mistral": "llama"}

// ToGGUF shows a checkpoint of the Hub as llama.cpp has its model. Its configuration and its tokenizer are beside it, or beside its file. What GGUF has no word for
// is refused. Closing its checkpoint closes values.
func ToGGUF(values format.Checkpoint) (*GGUF, error) {
	return fromFolder(values, besideOf(values))
}

func fromFolder(values format.Checkpoint, beside format.Folder) (*GGUF, error) {
	g := &GGUF{path: values.Path(), beside: beside, mapping: &mapping{Checkpoint: values}}
	if err := g.readConfig(); err != nil {
		return nil, err
	}
	if err := g.describe(); err != nil {
		return nil, err
	}
	if err := g.mapping.find(); err != nil {
		return nil, err
	}
	if err := g.checkRest(); err != nil {
		return nil, err
	}
	if err := g.say(); err != nil {
		return nil, err
	}
	if err := g.sayTokenizer(); err != nil {
		return nil, err
	}
	g.wide = make(map[string]bool)
	for i := range g.mapping.parts {
		if p := &g.mapping.parts[i]; p.wide || p.made != nil {
			g.wide[p.tensor.Name] = true
		}
	}
	var err error
	g.Checkpoint, err = show(values, g.mapping.parts)
	return g, err
}

// besideOf is where the configuration of a checkpoint is: of a single file, in its directory.
func besideOf(c format.Checkpoint) format.Folder {
	beside := format.Beside(c)
	if files := c.Files(); !beside.Exists() && len(files) > 0 {
		beside = format.Directory(filepath.Dir(files[0].Path))
	}
	return beside
}

// StaysFloat32 reports whether llama.cpp computes with a tensor in float32 alone.
func (g *GGUF) StaysFloat32(name string) bool { return g.wide[name] }

// unlike is the error for a model that llama.cpp has otherwise, or not at all.
func (g *GGUF) unlike(kind format.Kind, detail string) error {
	return &format.Error{Path: g.beside.Join(configName), Kind: kind, Detail: detail}
}

// configName is the file that says what a model is.
const configName = "config.json"

// readConfig finds out which model it is.
func (g *GGUF) readConfig() error {
	raw, err := g.beside.Read(configName, MaxConfig)
	if err != nil {
		return err
	}
	if raw == nil {
		return &format.Error{Path: g.path, Kind: format.KindMissing, Detail: "there is no " + configName + " beside it, which says what GGUF has to say of a model: name the directory that has it"}
	}
	if g.settings, err = parseSettings(g.beside.Join(configName), raw); err != nil {
		return err
	}
	kind := g.settings.text("model_type")
	if g.settings.err != nil {
		return g.settings.err
	}
	if of, ok := llamas[kind]; ok {
		kind = of
	}
	i := slices.IndexFunc(architectures, func(a *Architecture) bool { return a.Model == kind })
	if i < 0 {
		return g.unlike(format.KindUnsupported, "its model_type is "+quoted(kind)+", of which weld does not know what llama.cpp calls its tensors; it knows "+models()+": convert it with llama.cpp's convert_hf_to_gguf.py")
	}
	g.mapping.Architecture = architectures[i]
	return nil
}

func quoted(s string) string { return `"` + s[:min(len(s), 80)] + `"` }

// models lists the model_types that are known.
func models() string {
	var names []string
	for _, a := range architectures {
		names = append(names, a.Model)
	}
	for kind := range llamas {
		names = append(names, kind)
	}
	return strings.Join(names, ", ")
}

// describe finds the sizes that shapes follow from.
func (g *GGUF) describe() error {
	s, d := g.settings, g.mapping
	d.layers, d.heads = s.size("num_hidden_layers", 0), s.size("num_attention_heads", 0)
	d.groups = s.size("num_key_value_heads", d.heads)
	d.sizes[one], d.sizes[embedding], d.sizes[forward] = 1, s.size("hidden_size", 0), s.size("intermediate_size", 0)
	d.sizes[head] = s.size("head_dim", max(1, d.sizes[embedding]/d.heads))
	d.sizes[queries], d.sizes[keys] = d.heads*d.sizes[head], d.groups*d.sizes[head]
	d.sizes[vocabulary] = s.size("vocab_size", 0)
	switch d.Model {
	case "mixtral":
		d.sizes[experts] = s.size("num_local_experts", 0)
	case "qwen2_moe", "qwen3_moe":
		name := "num_experts"
		if s.all[name] == nil { // as transformers 5 calls them of some models
			name = "num_local_experts"
		}
		d.sizes[experts] = s.size(name, 0)
		d.sizes[expertForward] = s.size("moe_intermediate_size", 0)
	}
	if d.Model == "qwen2_moe" {
		d.sizes[sharedForward] = s.size("shared_expert_intermediate_size", 0)
	}
	if d.heads%d.groups != 0 {
		s.fail("num_key_value_heads is %d, which does not divide %d heads", d.groups, d.heads)
	}
	if d.sizes[head]%2 != 0 {
		s.fail("heads have %d rows, which are turned in pairs", d.sizes[head])
	}
	g.checkFormulas()
	return s.err
}

// checkFormulas refuses what would be computed otherwise.
func (g *GGUF) checkFormulas() {
	s, d := g.settings, g.mapping
	if strings.HasPrefix(d.Model, "gemma") {
		g.checkGemma()
	} else {
		s.only("hidden_act", "silu", "silu")
	}
	s.only("partial_rotary_factor", 1.0, 1.0)
	if strings.HasPrefix(d.Model, "qwen") {
		s.only("use_sliding_window", false, false, nil)
	}
	switch d.Model {
	case "qwen2_moe":
		s.only("norm_topk_prob", false, false)
	case "qwen3_moe":
		s.only("norm_topk_prob", false, true)
	}
	if window, ok := s.number("sliding_window"); ok && (d.Model == "llama" || d.Model == "mixtral") {
		g.Notes = append(g.Notes, g.path+": layers look at a window of "+single(window).text()+" tokens (sliding_window), and in llama.cpp at all of them: longer texts are read otherwise")
	}
}

// checkGemma refuses what llama.cpp computes otherwise of Gemma.
func (g *GGUF) checkGemma() {
	s, d := g.settings, g.mapping
	act := "hidden_activation"
	if s.all[act] == nil {
		act = "hidden_act"
	}
	s.only(act, "gelu_pytorch_tanh", "gelu_pytorch_tanh", "gelu") // Gemma's first configurations said gelu, and meant the other
	if d.Model == "gemma" {
		return
	}
	s.only("use_bidirectional_attention", nil, nil, false)
	largest := int64(gemma2Largest)
	if d.Model == "gemma3_text" {
		largest = gemma3Largest
		s.only("attn_logit_softcapping", nil, nil)
	}
	scale := d.sizes[head]
	if d.layers == largest {
		scale = d.sizes[embedding] / d.heads
	}
	s.only("query_pre_attn_scalar", 256.0, float64(scale))
	g.checkLayerTypes()
}

// checkLayerTypes demands the pattern of layers that llama.cpp takes.
func (g *GGUF) checkLayerTypes() {
	period := 2
	if g.mapping.Model == "gemma3_text" {
		period = 6
		if g.settings.all["layer_types"] == nil {
			g.settings.only("sliding_window_pattern", 6.0, 6.0)
		}
	}
	types, _ := g.settings.all["layer_types"].([]any)
	for i, t := range types {
		if want := map[bool]string{true: "full_attention", false: "sliding_attention"}[(i+1)%period == 0]; t != want {
			g.settings.fail("layer_types has %v for layer %d, and llama.cpp computes with %s", t, i, want)
		}
	}
}

// text is the number as it is printed.
func (x single) text() string {
	raw, err := x.MarshalJSON()
	if err != nil {
		return "?"
	}
	return strings.TrimSuffix(string(raw), ".0")
}

// droppable are endings of tensors that are no part of a model: what transformers computes anew, and saved once.
var droppable = []string{".rotary_emb.inv_freq", ".attention.masked_bias"}

// checkRest refuses tensors that no row of the table names.
func (g *GGUF) checkRest() error {
	tied := g.settings.truth("tie_word_embeddings", strings.HasPrefix(g.mapping.Model, "gemma"))
	if g.settings.err != nil {
		return g.settings.err
	}
	if tied, err := g.tied(tied); err != nil {
		return err
	} else if tied {
		g.mapping.parts = slices.DeleteFunc(g.mapping.parts, func(p part) bool { return p.tensor.Name == ownHead[0].gguf })
	}
	for _, i := range g.mapping.rest() {
		t := g.mapping.Tensors()[i]
		if t.Name == ownHead[0].hub || slices.ContainsFunc(droppable, func(end string) bool { return strings.HasSuffix(t.Name, end) }) {
			continue
		}
		return g.mapping.refuse(t.Name, format.KindNames, "no model of %s in llama.cpp has what this is; "+without(t.Name), g.mapping.Name)
	}
	return nil
}

// without says how a model gets rid of a tensor: what a conversion into GGUF leaves out by itself has to have a name there.
func without(tensor string) string {
	return "a directory without it, as weld convert --drop '^" + strings.ReplaceAll(regexp.QuoteMeta(tensor), "%", "%%") + "$' writes one, can be converted"
}

// tied reports whether the output layer is the embeddings. An output layer of other values is one of its own whatever config.json says: transformers computes with
// it, too.
func (g *GGUF) tied(said bool) (bool, error) {
	m, name := g.mapping, ownHead[0].hub
	head, there := m.Find(name)
	own := slices.ContainsFunc(m.outside, func(r row) bool { return r.hub == name })
	switch {
	case !there && !said:
		return false, m.refuse(name, format.KindNames, "it is not there, and %s does not say that embeddings are tied (tie_word_embeddings)", configName)
	case !there:
		return true, nil
	case own && !said:
		return false, nil
	}
	embeddings, _ := m.Find(around[0].hub)
	same, err := sameBytes(m.Checkpoint, head, embeddings)
	switch {
	case err != nil || same:
		return same, err
	case !own:
		return false, m.refuse(name, format.KindNames, "it is not %s, and llama.cpp computes the output of %s with that alone: a file in GGUF would be another model", around[0].hub, m.Name)
	}
	g.Notes = append(g.Notes, g.path+": "+name+" is not "+around[0].hub+", though "+configName+" says that they are one (tie_word_embeddings): it is written, as transformers reads it")
	return false, nil
}

// sameBytes reports whether two tensors are the same to the byte.
func sameBytes(c format.Checkpoint, i, j int) (bool, error) {
	a, b := c.Tensors()[i], c.Tensors()[j]
	if a.DType != b.DType || !slices.Equal(a.Shape, b.Shape) {
		return false, nil
	}
	const piece = 1 << 20
	for at := int64(0); at < a.Bytes(); at += piece {
		n := min(piece, a.Bytes()-at)
		one, err := c.View(i, at, n)
		if err != nil {
			return false, err
		}
		other, err := c.View(j, at, n)
		if err != nil {
			one.Release()
			return false, err
		}
		same := bytes.Equal(one.Data, other.Data)
		one.Release()
		other.Release()
		if !same {
			return false, nil
		}
	}
	return true, nil
}

// say writes what GGUF says of the model.
func (g *GGUF) say() error {
	s, d, p := g.settings, g.mapping, &g.Pairs
	key := func(name string) string { return d.Name + "." + name }
	size := func(name string, n int64) { p.Uint32(key(name), uint32(n)) }
	p.Text(architectureKey, d.Name)
	p.Text(typeKey, "model")
	p.Text("general.name", filepath.Base(filepath.Clean(g.path)))
	size("block_count", d.layers)
	size("context_length", s.size("max_position_embeddings", 0))
	size("embedding_length", d.sizes[embedding])
	size("feed_forward_length", d.sizes[forward])
	size("attention.head_count", d.heads)
	size("attention.head_count_kv", d.groups)
	p.Float32(key("attention.layer_norm_rms_epsilon"), float32(s.needed("rms_norm_eps", math.NaN())))
	if s.all["head_dim"] != nil || d.sizes[head]*d.heads != d.sizes[embedding] {
		size("attention.key_length", d.sizes[head])
		size("attention.value_length", d.sizes[head])
	}
	if d.Name == "llama" {
		size("vocab_size", d.sizes[vocabulary])
		size("rope.dimension_count", d.sizes[head])
	}
	if d.moe {
		size("expert_count", d.sizes[experts])
		size("expert_used_count", s.size("num_experts_per_tok", 0))
	}
	if n := d.sizes[expertForward]; n > 0 {
		size("expert_feed_forward_length", n)
	}
	if n := d.sizes[sharedForward]; n > 0 {
		size("expert_shared_feed_forward_length", n)
	}
	if strings.HasPrefix(d.Model, "gemma") && d.Model != "gemma" {
		g.sayGemma(key)
	}
	g.sayRotation(key)
	return s.err
}

// sayGemma writes what only Gemma 2 and 3 have.
func (g *GGUF) sayGemma(key func(string) string) {
	s, p := g.settings, &g.Pairs
	if g.mapping.Model == "gemma2" {
		p.Float32(key("attn_logit_softcapping"), float32(s.needed("attn_logit_softcapping", math.NaN())))
		p.Float32(key("final_logit_softcapping"), float32(s.needed("final_logit_softcapping", math.NaN())))
		p.Uint32(key("attention.sliding_window"), uint32(s.size("sliding_window", 0)))
		return
	}
	if x, ok := s.number("final_logit_softcapping"); ok {
		p.Float32(key("final_logit_softcapping"), float32(x))
	}
	p.Uint32(key("attention.sliding_window"), uint32(s.size("sliding_window", 0)))
}
