package tokens

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"weld/format"
	"weld/format/hub"
	"weld/format/open"
)

// Vocabulary is the one that the output has, and where the rows of its embeddings come
// from. It may be used from any goroutine.
type Vocabulary struct {
	// Size is the number of rows of the output's embeddings, padding included.
	Size int64
	// Tokens is the number of rows that belong to a token.
	Tokens int64
	// Files are the tokenizer files to write into the output's directory, by name. They are
	// copies to the byte where no token was added or taken away.
	Files map[string][]byte
	// Notes say what a user should know.
	Notes []string

	models  []TokenizedModel
	base    int
	token   []bool    // by row: it belongs to a token
	own     [][]int32 // by model and row: the model's row, −1 for none; shared between models
	used    []int64   // by model: rows that an embedding must have
	sources map[int32]RowSource
	groups  map[string]*group

	mu     sync.Mutex
	tables map[tableKey]*table
}

// Build decides on the output's vocabulary and what each model contributes to it. base
// is the index of the base model, −1 if there is none: the first model then gives the
// tokenizer, but is no preferred source of rows.
func Build(spec Spec, models []TokenizedModel, base int) (*Vocabulary, error) {
	if len(models) == 0 || base < -1 || base >= len(models) {
		return nil, fmt.Errorf("tokenizer: base %d of %d models", base, len(models))
	}
	if err := spec.check(len(models)); err != nil {
		return nil, err
	}
	b := &builder{spec: spec, models: models, lead: max(base, 0), known: make(map[[sha256.Size]byte]*tokenizer)}
	b.v = &Vocabulary{models: models, base: base, sources: make(map[int32]RowSource), tables: make(map[tableKey]*table)}
	for _, step := range []func() error{b.load, b.limit, b.choose, b.add, b.write, b.permute, b.resolve, b.group} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return b.v, nil
}

// builder holds what only the building needs: the tokens themselves.
type builder struct {
	spec   Spec
	models []TokenizedModel
	lead   int // the model that gives the tokenizer: the base, or the first
	known  map[[sha256.Size]byte]*tokenizer
	v      *Vocabulary

	tokenizers []*tokenizer // by model
	limits     []int32      // by model: tokens from here on have no row
	files      map[string][]byte
	from       *tokenizer // of the output, before anything is added
	out        *tokenizer
}

func (b *builder) note(text string, args ...any) {
	b.v.Notes = append(b.v.Notes, fmt.Sprintf(text, args...))
}

// load reads all tokenizers.
func (b *builder) load() error {
	var errs []error
	b.tokenizers = make([]*tokenizer, len(b.models))
	for m, model := range b.models {
		t, err := load(model.Folder, b.known)
		if err != nil {
			errs = append(errs, err)
		}
		b.tokenizers[m] = t
		if t != nil && t.moved > 0 {
			b.note("%s: %d added tokens are written with ids that the tokenizers library does not give them; the library's count", model.Path, t.moved)
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	if b.tokenizers[b.lead] == nil {
		model := b.models[b.lead]
		return &format.Error{Path: model.Path, Kind: format.KindMissing, Detail: "the model has no " + tokenizerName + ", and gives the output its tokenizer"}
	}
	for m, t := range b.tokenizers {
		if t == nil {
			b.note("%s: no tokenizer files; its vocabulary is taken to be that of %s", b.models[m].Path, b.models[b.lead].Path)
			b.tokenizers[m] = b.tokenizers[b.lead]
		}
	}
	return nil
}

// limit finds how many rows each model has for tokens: what its config says, but no
// more than are there.
func (b *builder) limit() error {
	for m, model := range b.models {
		rows := rowsOfEmbeddings(model)
		limit := int64(maxID + 1)
		if rows > 0 {
			limit = min(limit, rows)
		}
		if model.Folder.Exists() {
			config, err := model.Folder.Read(hub.ConfigName, hub.MaxSidecar)
			if err != nil {
				return err
			}
			if n, ok := hub.VocabSize(config); ok && n > 0 {
				limit = min(limit, n)
			}
		}
		beyond, used := 0, int64(0)
		for _, id := range b.tokenizers[m].ids {
			if int64(id) >= limit {
				beyond++
			} else {
				used = max(used, int64(id)+1)
			}
		}
		if beyond > 0 {
			b.note("%s: %d tokens of the tokenizer have an id of %d or more and no row in the model; they count as absent", model.Path, beyond, limit)
		}
		b.limits = append(b.limits, int32(limit))
		b.v.used = append(b.v.used, used)
	}
	return nil
}

// rowsOfEmbeddings is the number of rows of a model's largest embedding; 0 if it has none.
func rowsOfEmbeddings(m TokenizedModel) (rows int64) {
	for _, t := range m.Tensors() {
		if IsEmbedding(t) && len(t.Shape) > 1 {
			rows = max(rows, t.Shape[0])
		}
	}
	return rows
}

// noteSpareRows says that the model that the output resembles has rows behind its tokens that the output does not have.
func (b *builder) noteSpareRows() {
	lead := b.models[b.lead]
	if rows := rowsOfEmbeddings(lead); rows > b.v.Size {
		b.note("%s: %d rows of embeddings become %d: the spare rows behind the tokens are left out; pad_to_multiple_of: %d keeps them", lead.Path, rows, b.v.Size, rows)
	}
}

// choose takes the tokenizer that the output's begins with.
func (b *builder) choose() (err error) {
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
func (b *builder) add() error {
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
func (b *builder) taken(id int32) bool {
	if id >= b.from.next() {
		at, _ := slices.BinarySearchFunc(b.from.regular, id, func(e entry, id int32) int { return int(e.id) - int(id) })
		return at < len(b.from.regular) && b.from.regular[at].id == id
	}
	return true
}

// union adds the tokens of all models: the regular ones, then the added ones, each by
// model and id. Merges are not united.
func (b *builder) union(grown func() *tokenizer) {
	first := make(map[string]added) // the first definition of each added token
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
func (b *builder) write() error {
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

// permute finds each row of the output in each model.
func (b *builder) permute() error {
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
func (b *builder) rowsOf(t *tokenizer, limit int32, texts []string) []int32 {
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
func (b *builder) resolve() error {
	var errs []error
	for _, s := range b.spec.Tokens {
		if s.FromToken != "" {
			id, ok := b.tokenizers[s.FromModel].ids[s.FromToken]
			if !ok {
				errs = append(errs, fmt.Errorf("tokenizer: token %q is to have the row of %q, which %s does not have", s.Token, s.FromToken, b.models[s.FromModel].Path))
			}
			s.FromToken, s.FromID = "", int(id)
		}
		b.v.sources[b.out.ids[s.Token]] = s
	}
	return errors.Join(errs...)
}

// group finds the embeddings.
func (b *builder) group() error {
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
func (b *builder) tie() {
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
