package tokens

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"weld/format"
	"weld/format/hub"
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

	models    []TokenizedModel
	base      int
	token     []bool    // by row: it belongs to a token
	own       [][]int32 // by model and row: the model's row, −1 for none; shared between models
	used      []int64   // by model: rows that an embedding must have
	requested map[int32]RowSource
	groups    map[string]*group

	mu      sync.Mutex
	rowMaps map[rowMapKey]*rowMap
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
	b := &vocabularyBuilder{spec: spec, models: models, lead: max(base, 0), known: make(map[[sha256.Size]byte]*tokenizer)}
	b.v = &Vocabulary{models: models, base: base, requested: make(map[int32]RowSource), rowMaps: make(map[rowMapKey]*rowMap)}
	for _, step := range []func() error{b.load, b.limit, b.choose, b.add, b.write, b.permute, b.resolve, b.group} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return b.v, nil
}

// vocabularyBuilder holds what only the building needs: the tokens themselves.
type vocabularyBuilder struct {
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

func (b *vocabularyBuilder) note(text string, args ...any) {
	b.v.Notes = append(b.v.Notes, fmt.Sprintf(text, args...))
}

// load reads all tokenizers.
func (b *vocabularyBuilder) load() error {
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
func (b *vocabularyBuilder) limit() error {
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
func (b *vocabularyBuilder) noteSpareRows() {
	lead := b.models[b.lead]
	if rows := rowsOfEmbeddings(lead); rows > b.v.Size {
		b.note("%s: %d rows of embeddings become %d: the spare rows behind the tokens are left out; pad_to_multiple_of: %d keeps them", lead.Path, rows, b.v.Size, rows)
	}
}
