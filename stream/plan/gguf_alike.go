package plan

import (
	"fmt"

	"weld/format"
)

// This file compares what models in GGUF say of themselves: names and shapes alone do not tell that tensors mean the same in two models.

// architectureKey is where GGUF says what the tensors of a model mean.
const architectureKey = "general.architecture"

// headKeys, behind the architecture's name, say how rows of queries and keys are grouped: converters order them by it.
var headKeys = []string{".attention.head_count", ".attention.head_count_kv", ".attention.key_length", ".rope.dimension_count"}

// vocabularyKey has the tokens of which embeddings have rows.
const vocabularyKey = "tokenizer.ggml.tokens"

// checkArchitecture refuses models in GGUF that are of another architecture than the reference, or have other heads, and notes another
// vocabulary.
func (p *planner) checkArchitecture() (problems []error) {
	ref := p.Reference()
	for _, s := range p.Models {
		if s == ref || s.inGGUF() == nil || ref.inGGUF() == nil {
			continue
		}
		if err := p.alike(s, ref); err != nil {
			problems = append(problems, err)
		}
	}
	return problems
}

// alike demands that a model in GGUF means by its tensors what another does.
func (p *planner) alike(s, ref *Input) error {
	architecture := format.Metadata(ref.Checkpoint)[architectureKey]
	keys := []string{architectureKey}
	for _, key := range headKeys {
		keys = append(keys, architecture+key)
	}
	for _, key := range keys {
		same, known, err := s.inGGUF().SameValue(ref.inGGUF(), key)
		if err != nil {
			return err
		}
		if known && !same {
			return &format.Error{Path: s.Path, Kind: format.KindMetadata, Detail: fmt.Sprintf("%s is %s, and that of %s is %s: tensors of the same names are not the same in both",
				key, format.Metadata(s.Checkpoint)[key], ref.Path, format.Metadata(ref.Checkpoint)[key])}
		}
	}
	same, known, err := s.inGGUF().SameValue(ref.inGGUF(), vocabularyKey)
	if err == nil && known && !same {
		p.note("%s: its vocabulary (%s) is another than that of %s: rows of embeddings stand for other tokens", s.Path, vocabularyKey, ref.Path)
	}
	return err
}
