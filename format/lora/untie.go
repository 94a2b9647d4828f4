package lora

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"weld/format"
	"weld/format/hub"
	"weld/format/names"
)

// In a model that ties its output layer to its embedding, both are one tensor. An adapter wraps each by
// itself: what it does to one is not done to the other, whose tensor stays what it was, and the result is a model
// with two. Only rows that are trained for the embedding alone (trainable_token_indices) are trained for both, and
// so is all of it under ensure_weight_tying, but magnitudes. (PEFT 0.21's merge_and_unload adds products to
// the tensor that both share; what is right is what its live model computes.)

// untie shows a base with an output layer of its own where the adapter makes it differ from the embedding.
func (m *matching) untie(base format.Checkpoint) (format.Checkpoint, error) {
	at := names.NewFinder(base.Tensors(), base.Find)
	pair, embedding, ok := headOf(base)
	if !ok {
		return base, m.tiedUnknown(at, base)
	}
	how, err := tyingOf(base, pair.Head)
	if err != nil {
		return nil, err
	}
	heads, embeddings := m.touchingHead(pair.Head), m.touching(at, embedding)
	switch {
	case len(heads)+len(embeddings) == 0, how == apart, len(heads) == 0 && m.onlyRows(embeddings):
		return base, nil
	case how == unsaid && len(heads) == 0:
		m.note("%s: no %s says whether %s ties an output layer to %s, which the adapter changes; if it does, the output layer changes with it", m.adapter.Path(), hub.ConfigName, base.Path(), pair.Embedding)
		return base, nil
	case len(embeddings) > 0 && m.together(heads):
		m.drop(heads)
		m.note("%s: %s and %s were trained as one: they change together, and the model stays tied", m.adapter.Path(), pair.Embedding, pair.Head)
		return base, nil
	}
	m.note("%s: the adapter changes %s, and in %s both are one tensor: %s is written as one of its own, and tie_word_embeddings is false",
		m.adapter.Path(), changedOf(pair, len(heads) > 0, len(embeddings) > 0), base.Path(), pair.Head)
	d := derive(base, hub.SetUntied)
	for i, t := range base.Tensors() {
		if t.Name != pair.Head {
			d.show(i, t.Name)
		}
	}
	d.show(embedding, pair.Head)
	return d, nil
}

func (m *matching) note(text string, args ...any) {
	m.notes = append(m.notes, fmt.Sprintf(text, args...))
}

// together reports whether what an adapter holds for an output layer is what it holds for the embedding that
// stands for it: so it is under ensure_weight_tying, but for magnitudes, and in adapters of nothing but rows. Where PEFT
// does not tie in spite of the word, as with embeddings by other names than embed_tokens (GPT-2, BLOOM), the adapter holds nothing
// for the output layer.
func (m *matching) together(heads []touch) bool {
	return m.config.tied && !m.config.dora && len(heads) > 0 || m.config.method == methodTokens
}

// changedOf says which of two tensors an adapter changes.
func changedOf(pair hub.TiedHead, head, embedding bool) string {
	switch {
	case head && embedding:
		return pair.Embedding + " and " + pair.Head + ", each by itself"
	case head:
		return pair.Head + " and not " + pair.Embedding
	}
	return pair.Embedding + " and not " + pair.Head
}

// headOf finds the embedding of a base that an output layer may be tied to.
func headOf(base format.Checkpoint) (pair hub.TiedHead, embedding int, ok bool) {
	for _, pair := range hub.TiedHeads {
		if i, ok := base.Find(pair.Embedding); ok {
			return pair, i, true
		}
	}
	return hub.TiedHead{}, 0, false
}

// tying is how a base has its output layer.
type tying uint8

const (
	apart  tying = iota // a tensor of its own, or none at all
	tied                // by the tensor of the embedding
	unsaid              // it has none, and no configuration that says why
)

// tyingOf reads it from the configuration, or, where that says nothing, from the architecture: many tie
// by default, and their files have no output layer then.
func tyingOf(base format.Checkpoint, head string) (tying, error) {
	config, err := format.Beside(base).Read(hub.ConfigName, hub.MaxSidecar)
	if err != nil {
		return apart, err
	}
	_, has := base.Find(head)
	said, word := declaredTied(config)
	switch {
	case said && word, !said && !has && headed(config):
		return tied, nil
	case !has && config == nil:
		return unsaid, nil
	}
	return apart, nil
}

// declaredTied reads tie_word_embeddings, at the top of a configuration or beside the language model's.
func declaredTied(config []byte) (said, tied bool) {
	var c struct {
		Tied *bool `json:"tie_word_embeddings"`
		Text struct {
			Tied *bool `json:"tie_word_embeddings"`
		} `json:"text_config"`
	}
	if json.Unmarshal(config, &c) != nil {
		return false, false
	}
	for _, word := range []*bool{c.Tied, c.Text.Tied} {
		if word != nil {
			return true, *word
		}
	}
	return false, false
}

// headed reports whether a configuration is that of a model with an output layer over its vocabulary.
func headed(config []byte) bool {
	var c struct {
		Architectures []string `json:"architectures"`
	}
	return json.Unmarshal(config, &c) == nil && slices.ContainsFunc(c.Architectures, func(name string) bool {
		return strings.HasSuffix(name, "ForCausalLM") || strings.HasSuffix(name, "LMHeadModel") || strings.HasSuffix(name, "ForConditionalGeneration")
	})
}

// touch is what an adapter has for a tensor: one that replaces it, or a site.
type touch struct {
	whole int // a tensor of the adapter
	site  *moduleSite
}

// touching lists what the adapter has for a tensor of the base, by whatever name.
func (m *matching) touching(at *names.Finder, target int) []touch {
	return m.touches(func(name string) bool { i, _, ok := at.Find(name); return ok && i == target })
}

// touchingHead is touching for an output layer, which a base may not have as a tensor.
func (m *matching) touchingHead(head string) []touch {
	return m.touches(func(name string) bool { return ends(name, head) || ends(head, name) })
}

func (m *matching) touches(is func(name string) bool) (list []touch) {
	for _, w := range m.wholes {
		if is(w.target) {
			list = append(list, touch{whole: w.tensor})
		}
	}
	for _, s := range m.ordered() {
		if is(s.module + ".weight") {
			list = append(list, touch{site: s})
		}
	}
	return list
}

// onlyRows reports whether an adapter trains rows alone, which a tied model has in both places.
func (m *matching) onlyRows(list []touch) bool {
	return !slices.ContainsFunc(list, func(t touch) bool { return t.site == nil || !has(t.site.slots, "trainable_tokens_delta") })
}

// drop leaves out what an adapter has for an output layer.
func (m *matching) drop(list []touch) {
	for _, t := range list {
		if t.site != nil {
			delete(m.sites, t.site.siteKey)
		} else {
			m.wholes = slices.DeleteFunc(m.wholes, func(w whole) bool { return w.tensor == t.whole })
		}
	}
}
