package tokens

import (
	"errors"
	"fmt"

	"weld/format"
	"weld/mmapio"
)

// The sources of a tokenizer that are no models.
const (
	SourceBase  = "base"
	SourceUnion = "union"
)

// Spec is what a recipe says of the tokenizer.
type Spec struct {
	Source          string // [SourceBase], [SourceUnion], or a model as in the recipe
	PadToMultipleOf int    // rows of the output are a multiple of it; 0 and 1 pad nothing
	Tokens          []RowSource
	Read            mmapio.Reading // of a source that is none of the models
}

// RowSource says where the row of one token comes from; the token is added to the
// vocabulary if it is not there. Without Zero and with FromModel −1 it says no more than
// that the token is to be there.
type RowSource struct {
	Token     string
	Force     bool   // in every model, those included that have the token
	Zero      bool   // a row of zeros
	FromModel int    // index in the models, −1 for none
	FromToken string // the row of another token of that model; "" for none
	FromID    int    // the row of that number; −1 for none
}

// TokenizedModel is one input: its checkpoint, and where its tokenizer files are.
type TokenizedModel struct {
	Path   string // as in the recipe
	Folder format.Folder
	format.Checkpoint
	// Tied finds the embedding that the model uses as an output layer of this name, for want
	// of one of its own. It may be nil.
	Tied func(head string) (i int, ok bool)
}

func (t RowSource) automatic() bool { return !t.Zero && t.FromModel < 0 }

// check reports what no input could make right.
func (s Spec) check(models int) error {
	var errs []error
	bad := func(text string, args ...any) { errs = append(errs, fmt.Errorf("tokenizer: "+text, args...)) }
	if s.Source == "" {
		bad("source is empty; it is %q, %q or a model", SourceBase, SourceUnion)
	}
	if s.PadToMultipleOf < 0 || s.PadToMultipleOf > maxID {
		bad("pad_to_multiple_of is %d", s.PadToMultipleOf)
	}
	seen := make(map[string]bool)
	for _, t := range s.Tokens {
		switch {
		case t.Token == "":
			bad("a token is empty")
		case seen[t.Token]:
			bad("token %q appears twice", t.Token)
		case t.FromModel < -1 || t.FromModel >= models:
			bad("token %q: model %d is none of the %d", t.Token, t.FromModel, models)
		case t.Zero && t.FromModel >= 0:
			bad("token %q has two sources, zero and a model", t.Token)
		case t.FromModel < 0 && (t.FromToken != "" || t.FromID >= 0):
			bad("token %q: the row of a token needs the model that it is of", t.Token)
		case t.FromToken != "" && t.FromID >= 0:
			bad("token %q: only one of token and token_id can say which row it gets", t.Token)
		case t.FromID < -1:
			bad("token %q: token_id is %d", t.Token, t.FromID)
		case t.Force && t.automatic():
			bad("token %q: force needs a source", t.Token)
		}
		seen[t.Token] = true
	}
	return errors.Join(errs...)
}
