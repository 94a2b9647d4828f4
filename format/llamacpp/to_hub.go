package llamacpp

import (
	"slices"

	"weld/format"
	"weld/format/gguf"
)

// Hub is a model in GGUF as the Hub has it.
type Hub struct {
	Checkpoint format.Checkpoint // with the Hub's names, shapes and values
	Notes      []string

	mapping *mapping
	file    *gguf.Checkpoint
	config  object
}

// instead is what to do with what cannot be a directory of the Hub.
const instead = "; converted into a *.safetensors, its tensors keep the names and the order that llama.cpp gives them"

// ToHub shows a checkpoint as the Hub has its model: values are those of file, decoded where it stores them as codes. What cannot be shown
// truly is refused. Closing the Hub's checkpoint closes values.
func ToHub(values format.Checkpoint, file *gguf.Checkpoint) (*Hub, error) {
	m, err := readArchitecture(file)
	if err != nil {
		return nil, err
	}
	h := &Hub{file: file, mapping: &mapping{Checkpoint: values, toHub: true}}
	if err := h.describe(m); err != nil {
		return nil, err
	}
	if err := h.mapping.find(); err != nil {
		return nil, err
	}
	scaling, err := h.rotation(m)
	if err != nil {
		return nil, err
	}
	for _, i := range h.mapping.rest() {
		if t := values.Tensors()[i]; t.Name != ropeFactors {
			return nil, h.mapping.refuse(t.Name, format.KindNames, "no model of %s in the Hub has what this is%s", h.mapping.Model, instead)
		}
	}
	if err := h.configure(m, scaling); err != nil {
		return nil, err
	}
	h.Checkpoint, err = show(values, h.mapping.parts)
	return h, err
}

// readArchitecture finds out what a file says of whom.
func readArchitecture(file *gguf.Checkpoint) (*metadata, error) {
	m := &metadata{file: file, read: make(map[string]bool)}
	if v, ok := file.Value(typeKey); ok {
		if kind, _ := v.Text(); kind != "model" {
			return nil, m.refuse(format.KindUnsupported, "%s is %v, and a model was expected", typeKey, v)
		}
	}
	v, _ := file.Value(architectureKey)
	m.name, _ = v.Text()
	if named(m.name, false) == nil && named(m.name, true) == nil {
		return nil, m.refuse(format.KindUnsupported, "its architecture is %q, of which weld does not know what the Hub calls its tensors; it knows %s%s", m.name, Known(), instead)
	}
	return m, nil
}

// describe finds the sizes that shapes follow from.
func (h *Hub) describe(m *metadata) error {
	moe := false
	if v, ok := m.get("expert_count"); ok {
		n, isNumber := v.Int()
		if !isNumber || n < 0 || n > mostSize {
			m.fail("expert_count", "is %v, and no number of experts", v)
		}
		moe = n > 0
	}
	a := named(m.name, moe)
	if a == nil {
		return m.refuse(format.KindUnsupported, "%s.expert_count: models of %s are known %s", m.name, m.name, map[bool]string{true: "without experts only", false: "with experts only"}[moe])
	}
	d := h.mapping
	d.Architecture = a
	d.layers, d.heads = m.size("block_count", 0), m.size("attention.head_count", 0)
	d.groups = m.size("attention.head_count_kv", d.heads)
	d.sizes[one], d.sizes[embedding], d.sizes[forward] = 1, m.size("embedding_length", 0), m.size("feed_forward_length", 0)
	d.sizes[head] = m.size("attention.key_length", max(1, d.sizes[embedding]/d.heads))
	d.sizes[queries], d.sizes[keys] = d.heads*d.sizes[head], d.groups*d.sizes[head]
	switch value, rotated := m.size("attention.value_length", d.sizes[head]), m.size("rope.dimension_count", d.sizes[head]); {
	case m.err != nil:
		return m.err
	case value != d.sizes[head]:
		m.fail("attention.value_length", "is %d, and that of keys %d: %s has one for both", value, d.sizes[head], a.Model)
	case rotated != d.sizes[head]:
		m.fail("rope.dimension_count", "is %d, and heads have %d rows: %s turns all of them", rotated, d.sizes[head], a.Model)
	case d.heads%d.groups != 0:
		m.fail("attention.head_count_kv", "is %d, which does not divide %d heads", d.groups, d.heads)
	case d.sizes[head]%2 != 0:
		m.fail("attention.key_length", "is %d, and rows of a head are turned in pairs", d.sizes[head])
	}
	h.describeExperts(m)
	h.describeVocabulary(m)
	return m.err
}

// describeExperts finds the sizes of experts.
func (h *Hub) describeExperts(m *metadata) {
	d := h.mapping
	if !d.moe {
		m.only("expert_used_count", 0)
		return
	}
	d.sizes[experts] = m.size("expert_count", 0)
	if used := m.size("expert_used_count", 0); used > d.sizes[experts] {
		m.fail("expert_used_count", "is %d of %d experts", used, d.sizes[experts])
	}
	if d.Name == "llama" { // whose experts are as large as feed_forward_length says
		m.only("expert_feed_forward_length", float64(d.sizes[forward]))
		return
	}
	d.sizes[expertForward] = m.size("expert_feed_forward_length", h.shown("blk.0.ffn_gate_exps.weight", 1))
	if d.Name == "qwen2moe" {
		d.sizes[sharedForward] = m.size("expert_shared_feed_forward_length", h.shown("blk.0.ffn_gate_shexp.weight", 0))
	}
}

// shown is a dimension of a tensor, for what older files do not say.
func (h *Hub) shown(tensor string, dimension int) int64 {
	i, ok := h.mapping.Find(tensor)
	if shape := []int64(nil); ok {
		if shape = h.mapping.Tensors()[i].Shape; dimension < len(shape) {
			return min(shape[dimension], mostSize)
		}
	}
	return 0
}

// describeVocabulary finds how many tokens embeddings have rows for.
func (h *Hub) describeVocabulary(m *metadata) {
	rows := h.shown("token_embd.weight", 0)
	if h.mapping.sizes[vocabulary] = rows; rows == 0 {
		rows = 1 // which the shape will be held to
		h.mapping.sizes[vocabulary] = rows
		return
	}
	if n := m.size("vocab_size", rows); n != rows {
		m.fail("vocab_size", "is %d, and embeddings have %d rows", n, rows)
	}
	if v, ok := h.file.Value(tokensKey); ok && (v.Type != gguf.Array || v.Of != gguf.String || v.Len != rows) && m.err == nil {
		m.err = m.refuse(format.KindMetadata, "%s has %d elements, and embeddings have %d rows: it is of another model", tokensKey, v.Len, rows)
	}
}

// configureTokens says which tokens have a part of their own.
func (h *Hub) configureTokens(c *object) {
	for _, s := range specialKeys {
		v, ok := h.file.Value(s.gguf)
		if id, isNumber := v.Int(); ok && isNumber && id >= 0 && id < h.mapping.sizes[vocabulary] && s.hub != "unk_token" {
			c.set(s.hub+"_id", id)
		}
	}
}

// FilesBeside are what a directory of the Hub has beside tensors of a type: the configuration, and the tokenizer where the file says enough of it. What
// is missing is said in Notes.
func (h *Hub) FilesBeside(dtype format.DType) ([]File, error) {
	config := slices.Clone(h.config)
	config.set("dtype", dtype.Torch())
	config.set("torch_dtype", dtype.Torch())
	content, err := config.file()
	if err != nil {
		return nil, err
	}
	tokenizer, err := h.tokenizer()
	return append([]File{{"config.json", content}}, tokenizer...), err
}
