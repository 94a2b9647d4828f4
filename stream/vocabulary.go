package stream

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

// align wraps the inputs so that their embeddings have the same rows, and keeps the tokenizer
// files for the output.
func (p *Plan) align() error {
	if p.Recipe.Tokenizer == nil {
		p.noteTokenizers()
		if p.Recipe.ChatTemplate == "" {
			return nil
		}
	}
	models, base := p.vocabularies()
	p.files = make(map[string][]byte)
	if t := p.Recipe.Tokenizer; t != nil {
		v, err := tokens.Build(p.vocabularySpec(t, base), models, base)
		if err != nil {
			return fmt.Errorf("tokenizer: %w", err)
		}
		p.Notes = append(p.Notes, v.Notes...)
		p.rows = v.Size
		maps.Copy(p.files, v.Files)
		if err := p.wrap(v, base); err != nil {
			return fmt.Errorf("tokenizer: %w", err)
		}
	}
	return p.template(models)
}

// noteTokenizers notes vocabularies that are not the reference's: rows of embeddings are merged by their
// numbers, whatever tokens they are of.
func (p *Plan) noteTokenizers() {
	ref := p.reference()
	if !slices.ContainsFunc(ref.Tensors(), tokens.IsEmbedding) {
		return
	}
	for _, m := range p.models {
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
func (p *Plan) vocabularies() (models []tokens.TokenizedModel, base int) {
	base = -1
	for i, m := range p.models {
		models = append(models, ofVocabulary(m))
		if p.base != nil && m.Path == p.base.Path {
			base = i
		}
	}
	if p.base != nil && base < 0 {
		base = len(models)
		models = append(models, ofVocabulary(p.base))
	}
	return models, base
}

func ofVocabulary(s *Source) tokens.TokenizedModel {
	c := s.Checkpoint
	tied := func(head string) (int, bool) { return tiedTo(c, head) }
	return tokens.TokenizedModel{Path: s.Path, Folder: format.Beside(c), Checkpoint: c, Tied: tied}
}

func (p *Plan) vocabularySpec(t *recipe.Tokenizer, base int) tokens.Spec {
	spec := tokens.Spec{Source: t.Source, PadToMultipleOf: t.PadToMultipleOf, Read: p.Options.Read}
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
func (p *Plan) wrap(v *tokens.Vocabulary, base int) error {
	for i, m := range p.models {
		c, err := v.Wrap(i)
		if err != nil {
			return err
		}
		m.Checkpoint = c
		if file := p.importance[i]; file != nil {
			if file.Checkpoint, err = v.WrapImportance(i, file.Checkpoint); err != nil {
				return err
			}
		}
	}
	if p.base != nil {
		c, err := v.WrapTwin(base, p.base.Checkpoint)
		if err != nil {
			return err
		}
		p.base.Checkpoint = c
	}
	return nil
}

// template finds the chat template for the output.
func (p *Plan) template(models []tokens.TokenizedModel) error {
	if p.Recipe.ChatTemplate == "" {
		return nil
	}
	const configName = "tokenizer_config.json"
	config := p.files[configName]
	if config == nil {
		var err error
		if config, err = format.Beside(p.reference().Checkpoint).Read(configName, hub.MaxSidecar); err != nil {
			return fmt.Errorf("chat_template: %w", err)
		}
	}
	files, err := tokens.ChatTemplate(p.Recipe.ChatTemplate, models, config)
	if err != nil {
		return err
	}
	maps.Copy(p.files, files)
	return nil
}

// replaced reports whether a file beside the reference is not carried, since the recipe's tokenizer
// has its own.
func (p *Plan) replaced(name string) bool {
	if _, own := p.files[name]; own {
		return true
	}
	return p.Recipe.Tokenizer != nil && tokens.IsTokenizerFile(name)
}

// fileNames lists the files that the recipe's tokenizer writes.
func (p *Plan) fileNames() []string { return slices.Sorted(maps.Keys(p.files)) }
