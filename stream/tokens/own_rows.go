package tokens

import (
	"errors"
	"fmt"
	"slices"

	"weld/format"
)

// permute finds each row of the output in each model.
func (b *vocabularyBuilder) permute() error {
	size := int64(0)
	for _, id := range b.out.ids {
		size = max(size, int64(id)+1)
	}
	if size == 0 {
		return &format.Error{Path: b.from.dir.Path(), Kind: format.KindSize, Detail: "the tokenizer has no tokens"}
	}
	if pad := int64(b.spec.PadToMultipleOf); pad > 1 {
		size = (size + pad - 1) / pad * pad
	}
	texts, doubles := make([]string, size), 0
	b.v.Size, b.v.token = size, make([]bool, size)
	name := func(text string, id int32) {
		if b.v.token[id] {
			doubles++
			return
		}
		texts[id], b.v.token[id] = text, true
		b.v.Tokens++
	}
	for _, a := range b.out.added { // what is found first in a text names the row
		name(a.Content, b.out.ids[a.Content])
	}
	for _, e := range b.out.regular {
		if _, is := b.out.isAdded[e.text]; !is {
			name(e.text, e.id)
		}
	}
	b.noteSpareRows()
	if doubles > 0 {
		b.note("%d tokens share the id of another one; the row of an id is that of its added token, or else of the first", doubles)
	}
	type key struct {
		t     *tokenizer
		limit int32
	}
	done := make(map[key][]int32)
	for m, t := range b.tokenizers {
		k := key{t, b.limits[m]}
		if done[k] == nil {
			done[k] = b.rowsOf(t, b.limits[m], texts)
		}
		b.v.own = append(b.v.own, done[k])
	}
	return nil
}

// rowsOf finds the rows of the output in one model. A row without a token is the
// model's of the same number if no token of the model uses that.
func (b *vocabularyBuilder) rowsOf(t *tokenizer, limit int32, texts []string) []int32 {
	own := make([]int32, len(texts))
	for r := range own {
		own[r] = int32(r)
	}
	for _, id := range t.ids {
		if int(id) < len(own) {
			own[id] = -1
		}
	}
	for r, text := range texts {
		if !b.v.token[r] {
			continue
		}
		own[r] = -1
		if id, ok := t.ids[text]; ok && id < limit {
			own[r] = id
		}
	}
	return own
}

// resolve finds the rows that the recipe names.
func (b *vocabularyBuilder) resolve() error {
	var errs []error
	for _, s := range b.spec.Tokens {
		if s.FromToken != "" {
			id, ok := b.tokenizers[s.FromModel].ids[s.FromToken]
			if !ok {
				errs = append(errs, fmt.Errorf("tokenizer: token %q is to have the row of %q, which %s does not have", s.Token, s.FromToken, b.models[s.FromModel].Path))
			}
			s.FromToken, s.FromID = "", int(id)
		}
		b.v.requested[b.out.ids[s.Token]] = s
	}
	return errors.Join(errs...)
}

// group finds the embeddings.
func (b *vocabularyBuilder) group() error {
	v := b.v
	v.groups = make(map[string]*group)
	for m, model := range b.models {
		for i, t := range model.Tensors() {
			if !IsEmbedding(t) {
				continue
			}
			if t.Shape[0] < v.used[m] {
				b.note("%s: tensor %q has %d rows, fewer than the %d tokens of the vocabulary, and is left as it is", model.Path, clip(t.Name), t.Shape[0], v.used[m])
				continue
			}
			g := v.groups[t.Name]
			if g == nil {
				g = &group{tensor: slices.Repeat([]int{-1}, len(b.models))}
				v.groups[t.Name] = g
			}
			g.tensor[m] = i
		}
	}
	if len(v.groups) == 0 {
		return &format.Error{Path: b.models[b.lead].Path, Kind: format.KindMissing, Detail: "no tensor has the name of an embedding and a row for each token"}
	}
	b.tie()
	return v.assign()
}

// tie has the embedding of a model that has no output layer stand for it, if others have one.
func (b *vocabularyBuilder) tie() {
	for _, name := range b.v.groupNames() {
		g := b.v.groups[name]
		for m, model := range b.models {
			if _, has := model.Find(name); has || model.Tied == nil {
				continue
			}
			i, ok := model.Tied(name)
			if !ok || model.Tensors()[i].Shape[0] < b.v.used[m] {
				continue
			}
			g.tensor[m] = i
			b.note("%s: %q is tied to %q, whose rows stand for it, since other models have one", model.Path, clip(name), clip(model.Tensors()[i].Name))
		}
	}
}
