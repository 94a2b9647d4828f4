package stream

import (
	"errors"
	"fmt"

	"weld/format"
	"weld/stream/recipe"
)

// This file says what becomes of a tensor that the reference has and a model lacks: a fine-tune that was saved without
// its prediction layers, a buffer that newer libraries no longer write.

// missingKey is a parameter of every method.
var missingKey = recipe.Param{Key: "missing", Kind: recipe.Choice, Choices: []string{"error", "base", "drop"}, Default: "error", Top: true,
	Help: "a tensor that the base (without one, the first model) has and a model lacks: stop, take the base's for it, or leave it out of the output"}

// withMissing adds missingKey to all methods.
func withMissing(all recipe.Schema) recipe.Schema {
	for i := range all {
		all[i].Params = append(all[i].Params[:len(all[i].Params):len(all[i].Params)], missingKey)
	}
	return all
}

// Values of part.index that are no index.
const (
	absent   = -1 // the model does not have the tensor and takes no part
	supplied = -2 // it stands in the output's own source, which the model is read as having too
)

// operand is where a model's tensor is read; −1 where the model takes no part.
func (p *Plan) operand(t *Output, x part) (*Source, int) {
	if x.index == supplied {
		return t.from, int(t.index)
	}
	return p.models[x.model], int(x.index)
}

// errDropped says that a tensor is to be left out.
var errDropped = errors.New("left out of the output")

// supply finds a model's tensor, or what the recipe puts in its place. The error is what is wrong, or
// [errDropped].
func (m *matcher) supply(out *Output, in origin, like format.Tensor) (index int, err error) {
	model := m.models[in.model]
	index, err = m.find(model, in.name, like)
	if format.KindOf(err) != format.KindMissing {
		return index, err
	}
	switch m.Recipe.Params.Text("missing") {
	case "base":
		m.noteTensor(model.Path, in.name, "not there; taken as %s has it (missing: base)", out.from.Path)
		return supplied, nil
	case "drop":
		m.noteDropped(model, in.name)
		return absent, errDropped
	}
	return absent, &format.Error{Path: model.Path, Tensor: in.name, Kind: format.KindMissing, Detail: fmt.Sprintf(
		"%s lacks the tensor, which %s has; missing: base takes it from there, missing: drop leaves it out of the output", model.Role, out.from.Path)}
}

// drops reports whether a tensor that is copied is left out, since a model lacks it.
func (m *matcher) drops(s site) bool {
	if m.Recipe.Params.Text("missing") != "drop" {
		return false
	}
	for _, in := range s.inputs {
		if model := m.models[in.model]; !has(model, in.name) {
			m.noteDropped(model, in.name)
			return true
		}
	}
	return false
}

func (m *matcher) noteDropped(model *Source, name string) {
	m.noteTensor(model.Path, name, "not there; left out of the output (missing: drop)")
}

// has reports whether a source has a tensor, or one that stands for it.
func has(s *Source, name string) bool {
	if _, ok := s.Find(name); ok {
		return true
	}
	_, ok := tiedTo(s.Checkpoint, name)
	return ok
}
