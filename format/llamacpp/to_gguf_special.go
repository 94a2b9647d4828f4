package llamacpp

import (
	"slices"
	"strings"
)

// partKeys are what single tokens stand for: the word in the Hub, and the key in GGUF.
var partKeys = []struct{ hub, gguf string }{
	{"bos", "bos_token_id"}, {"eos", "eos_token_id"}, {"unk", "unknown_token_id"}, {"sep", "seperator_token_id"}, {"pad", "padding_token_id"}, {"cls", "cls_token_id"}, {"mask", "mask_token_id"},
}

// write writes a vocabulary, and what is said of it.
func (g *GGUF) write(v *spoken, t *hubTokenizer) {
	p := &g.Pairs
	p.Text(modelKey, v.model)
	p.Text(preKey, v.pre)
	p.Texts(tokensKey, v.texts)
	if v.scores != nil {
		p.Float32s(scoresKey, v.scores)
	}
	p.Int32s(typesKey, v.types)
	if v.merges != nil {
		p.Texts(mergesKey, v.merges)
	}
	adds := v.additions(t)
	for _, part := range partKeys {
		if id, ok := g.part(v, part.hub); ok {
			p.Uint32("tokenizer.ggml."+part.gguf, uint32(id))
		}
	}
	p.Bool(addBOSKey, adds.bos)
	p.Bool(addEOSKey, adds.eos)
	if prefix := v.spacePrefix(g.mapping.Name); prefix != nil {
		p.Bool(prefixKey, *prefix)
	}
	if v.template != "" {
		p.Text(templateKey, v.template)
	}
}

// spacePrefix says whether a space goes before a text; nil where nothing is said, and llama.cpp's default holds.
func (v *spoken) spacePrefix(architecture string) *bool {
	said, ok := v.config.all["add_prefix_space"].(bool)
	switch {
	case strings.HasPrefix(architecture, "gemma") && v.model == "llama":
		return new(bool)
	case v.prefix != nil:
		return v.prefix
	case ok && architecture == "llama":
		return &said
	}
	return nil
}

// part is the token that has a part of its own.
func (g *GGUF) part(v *spoken, word string) (id int64, ok bool) {
	content, _ := v.config.all[word+"_token"].(string)
	if object, isObject := v.config.all[word+"_token"].(map[string]any); isObject {
		content, _ = object["content"].(string)
	}
	if i := slices.IndexFunc(v.matched, func(a addedToken) bool { return a.Content == content }); i >= 0 && content != "" {
		return v.matched[i].ID, true
	}
	x, isNumber := g.settings.all[word+"_token_id"].(float64)
	id = int64(x)
	return id, isNumber && float64(id) == x && id >= 0 && id < v.rows
}

// additions are the tokens that are put around a text.
func (v *spoken) additions(t *hubTokenizer) (a additions) {
	said := false
	if t.PostProcessor != nil {
		for _, p := range append([]processorJSON{*t.PostProcessor}, t.PostProcessor.Processors...) {
			if p.Type != "TemplateProcessing" || len(p.Single) < 2 {
				said = said || p.Type == "ByteLevel"
				continue
			}
			said = true
			first, last := p.Single[0].SpecialToken, p.Single[len(p.Single)-1].SpecialToken
			a.bos, a.eos = first != nil, last != nil
		}
	}
	if said {
		return a
	}
	a = additions{bos: v.pieces} // which SentencePiece's tokenizers do
	if bos, ok := v.config.all["add_bos_token"].(bool); ok {
		a.bos = bos
	}
	if eos, ok := v.config.all["add_eos_token"].(bool); ok {
		a.eos = eos
	}
	return a
}
