package plan

import (
	"fmt"
	"maps"
	"slices"

	"weld/format"
	"weld/format/hub"
	"weld/stream/recipe"
	"weld/stream/tokens"
)

// This file gives all inputs one vocabulary, where the recipe asks for a tokenizer, before
// the plan looks at a tensor.

// vocabulary is the one that the inputs share.
type vocabulary struct {
	files  map[string][]byte // tokenizer files of the output
	rows   int64             // of the embeddings
	digest string            // of where they come from
}

// align wraps the inputs so that their embeddings have the same rows, and keeps the tokenizer
// files for the output.
func (p *planner) align() error {
	if p.Recipe.Tokenizer == nil {
		p.noteTokenizers()
		if p.Recipe.ChatTemplate == "" {
			return nil
		}
	}
	models, base := p.vocabularies()
	p.vocabulary.files = make(map[string][]byte)
	if t := p.Recipe.Tokenizer; t != nil {
		v, err := tokens.Build(p.vocabularySpec(t, base), models, base)
		if err != nil {
			return fmt.Errorf("tokenizer: %w", err)
		}
		p.Notes = append(p.Notes, v.Notes...)
		p.vocabulary.rows = v.Size
		p.vocabulary.digest = fmt.Sprintf("%x", v.Digest())
		maps.Copy(p.vocabulary.files, v.Files)
		if err := p.wrap(v, base); err != nil {
			return fmt.Errorf("tokenizer: %w", err)
		}
	}
	return p.template(models)
}

// noteTokenizers notes vocabularies that are not the reference's: rows of embeddings are merged by their
// numbers, whatever tokens they are of.
func (p *planner) noteTokenizers() {
	ref := p.Reference()
	if !slices.ContainsFunc(ref.Tensors(), tokens.IsEmbedding) {
		return
	}
	for _, m := range p.Models {
		if m.Path == ref.Path {
			continue
		}
		if how := tokens.Difference(format.Beside(m.Checkpoint), format.Beside(ref.Checkpoint)); how != "" {
			p.note("%s: its tokenizer is not that of %s: %s; rows of embeddings are merged by their ids, and by tokens with tokenizer_source: union, or base", m.Path, ref.Path, how)
		}
	}
}

// vocabularies lists the models for package tokens, and which of them is the base: −1 for none.
// A base that is not one of the models follows them.
func (p *planner) vocabularies() (models []tokens.TokenizedModel, base int) {
	base = -1
	for i, m := range p.Models {
		models = append(models, ofVocabulary(m))
		if p.Base != nil && m.Path == p.Base.Path {
			base = i
		}
	}
	if p.Base != nil && base < 0 {
		base = len(models)
		models = append(models, ofVocabulary(p.Base))
	}
	return models, base
}

func ofVocabulary(s *Input) tokens.TokenizedModel {
	c := s.Checkpoint
	tied := func(head string) (int, bool) { return tiedTo(c, head) }
	return tokens.TokenizedModel{Path: s.Path, Folder: format.Beside(c), Checkpoint: c, Tied: tied}
}

func (p *planner) vocabularySpec(t *recipe.Tokenizer, base int) tokens.Spec {
	spec := tokens.Spec{Source: t.Source, PadToMultipleOf: t.PadToMultipleOf, Read: p.options.Read}
	for _, x := range t.Tokens {
		from := tokens.RowSource{Token: x.Token, Force: x.Force, FromModel: -1, FromID: -1}
		if x.Kind == recipe.TokenZero {
			from.Zero = true
		}
		if x.Kind == recipe.TokenOfModel || x.Kind == recipe.OtherToken {
			from.FromModel = x.Model
			if x.Model < 0 {
				from.FromModel = base
			}
		}
		if x.Kind == recipe.OtherToken {
			from.FromToken = x.SourceToken
			if x.TokenID != nil {
				from.FromID = *x.TokenID
			}
		}
		spec.Tokens = append(spec.Tokens, from)
	}
	return spec
}

// wrap puts the vocabulary between the plan and its inputs.
func (p *planner) wrap(v *tokens.Vocabulary, base int) error {
	for i, m := range p.Models {
		c, err := v.Wrap(i)
		if err != nil {
			return err
		}
		m.Checkpoint = c
		if file := p.Importance[i]; file != nil {
			shown, err := v.WrapImportance(i, file.Checkpoint)
			if err != nil {
				return err // what is opened stays, and is closed
			}
			file.Checkpoint = shown
		}
	}
	if p.Base != nil {
		c, err := v.WrapTwin(base, p.Base.Checkpoint)
		if err != nil {
			return err
		}
		p.Base.Checkpoint = c
	}
	return nil
}

// template finds the chat template for the output.
func (p *planner) template(models []tokens.TokenizedModel) error {
	if p.Recipe.ChatTemplate == "" {
		return nil
	}
	const configName = "tokenizer_config.json"
	config := p.vocabulary.files[configName]
	if config == nil {
		var err error
		if config, err = format.Beside(p.Reference().Checkpoint).Read(configName, hub.MaxSidecar); err != nil {
			return fmt.Errorf("chat_template: %w", err)
		}
	}
	files, err := tokens.ChatTemplate(p.Recipe.ChatTemplate, models, config)
	if err != nil {
		return err
	}
	maps.Copy(p.vocabulary.files, files)
	return nil
}

// replaced reports whether a file beside the reference is not carried, since the recipe's tokenizer
// has its own.
func (p *planner) replaced(name string) bool {
	if _, own := p.vocabulary.files[name]; own {
		return true
	}
	if _, own := p.generated[name]; own {
		return true
	}
	return p.Recipe.Tokenizer != nil && tokens.IsTokenizerFile(name)
}
