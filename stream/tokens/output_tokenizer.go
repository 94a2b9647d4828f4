package tokens

import (
	"fmt"
	"slices"
	"strings"

	"weld/format"
	"weld/format/open"
)

// choose takes the tokenizer that the output's begins with.
func (b *vocabularyBuilder) choose() (err error) {
	if b.spec.Source == SourceBase || b.spec.Source == SourceUnion {
		b.from = b.tokenizers[b.lead]
		if b.files, err = readFiles(b.models[b.lead].Folder); err != nil {
			return err
		}
		limit := b.limits[b.lead]
		for _, id := range b.from.ids {
			if id >= limit {
				b.from, err = strip(b.from, b.files, limit)
				break
			}
		}
		return err
	}
	var dir format.Folder
	for m, model := range b.models {
		if model.Path == b.spec.Source {
			dir, b.from = model.Folder, b.tokenizers[m]
		}
	}
	if b.from == nil {
		if dir, err = open.Folder(b.spec.Source, b.spec.Read); err != nil {
			return fmt.Errorf("tokenizer source: %w", err)
		}
		b.from, err = load(dir, b.known)
	}
	if err == nil && b.from != nil && dir.Exists() {
		b.files, err = readFiles(dir)
	}
	if err == nil && b.files[tokenizerName] == nil {
		err = &format.Error{Path: b.spec.Source, Kind: format.KindMissing, Detail: "the source of the tokenizer has no " + tokenizerName}
	}
	return err
}

// add appends tokens: those of the other models, and those that the recipe names.
func (b *vocabularyBuilder) add() error {
	b.out = b.from
	grown := func() *tokenizer {
		if b.out == b.from {
			b.out = b.from.clone()
		}
		return b.out
	}
	if b.spec.Source == SourceUnion {
		b.union(grown)
	}
	for _, t := range b.spec.Tokens {
		if _, ok := b.out.ids[t.Token]; !ok {
			grown().register(plain(t.Token))
		}
	}
	// The library gives the ids. Where the tokenizer has holes, one may be taken.
	for k := len(b.from.added); k < len(b.out.added); k++ {
		token := b.out.added[k].Content
		if id := b.out.ids[token]; !known(b.from, token) && b.taken(id) {
			return &format.Error{Path: b.from.dir.Path(), Kind: format.KindUnsupported, Detail: fmt.Sprintf(
				"the ids of the tokenizer have holes, so that token %q cannot be added: the tokenizers library would give it the id %d of another token", clip(token), id)}
		}
	}
	return nil
}

func known(t *tokenizer, token string) bool { _, ok := t.ids[token]; return ok }

// taken reports whether a token of the original tokenizer has the id.
func (b *vocabularyBuilder) taken(id int32) bool {
	if id >= b.from.next() {
		at, _ := slices.BinarySearchFunc(b.from.regular, id, func(e regularToken, id int32) int { return int(e.id) - int(id) })
		return at < len(b.from.regular) && b.from.regular[at].id == id
	}
	return true
}

// union adds the tokens of all models: the regular ones, then the added ones, each by
// model and id. Merges are not united.
func (b *vocabularyBuilder) union(grown func() *tokenizer) {
	first := make(map[string]addedToken) // the first definition of each added token
	conflicts := make(map[string]bool)
	each := func(visit func(m int, t *tokenizer)) {
		visit(b.lead, b.from)
		for m, t := range b.tokenizers {
			if m != b.lead && t != b.tokenizers[b.lead] {
				visit(m, t)
			}
		}
	}
	each(func(m int, t *tokenizer) {
		for _, a := range t.added {
			if t.ids[a.Content] >= b.limits[m] {
				continue
			}
			if before, ok := first[a.Content]; !ok {
				first[a.Content] = a
			} else if before != a {
				conflicts[a.Content] = true
			}
		}
	})
	regular := 0
	each(func(m int, t *tokenizer) {
		for _, e := range t.regular {
			if _, isAdded := first[e.text]; isAdded || e.id >= b.limits[m] || e.text == "" || known(b.out, e.text) {
				continue
			}
			grown().register(plain(e.text))
			regular++
		}
	})
	each(func(m int, t *tokenizer) {
		for _, a := range t.byID() {
			if _, is := b.out.isAdded[a.Content]; !is && t.ids[a.Content] < b.limits[m] {
				grown().register(first[a.Content])
			}
		}
	})
	if regular > 0 {
		b.note("%d regular tokens that %s lacks are added whole; merges of other tokenizers are not taken over, so that text rarely becomes these tokens", regular, b.models[b.lead].Path)
	}
	if len(conflicts) > 0 {
		b.note("%d added tokens are defined differently by different models; the first definition is taken: %s", len(conflicts), some(conflicts))
	}
}

// some lists a few tokens for a note, in order.
func some(set map[string]bool) string {
	var list []string
	for t := range set {
		list = append(list, t)
	}
	slices.Sort(list)
	if len(list) > 8 {
		list = append(list[:8:8], "…")
	}
	for k, t := range list {
		list[k] = clip(t)
	}
	return strings.Join(list, " ")
}

// write makes the files of the output, and reads them again to see that they say what
// is meant.
func (b *vocabularyBuilder) write() error {
	b.v.Files = b.files
	if b.out == b.from {
		return nil
	}
	if err := extend(b.out, b.files); err != nil {
		return err
	}
	again, err := reload(b.from.dir, b.files)
	if err != nil {
		return fmt.Errorf("read the new tokenizer: %w", err)
	}
	if len(again.ids) != len(b.out.ids) {
		return fmt.Errorf("%s: the new tokenizer has %d tokens instead of %d", b.from.dir.Path(), len(again.ids), len(b.out.ids))
	}
	for token, id := range b.out.ids {
		if got, ok := again.ids[token]; !ok || got != id {
			return fmt.Errorf("%s: token %q of the new tokenizer has the id %d instead of %d", b.from.dir.Path(), clip(token), got, id)
		}
	}
	return nil
}
