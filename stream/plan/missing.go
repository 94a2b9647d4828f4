package plan

import (
	"errors"
	"fmt"

	"weld/format"
	"weld/stream/recipe"
)

// This file says what becomes of a tensor that the reference has and a model lacks: a fine-tune that was saved without
// its prediction layers, a buffer that newer libraries no longer write.

// Missing is a parameter of every method.
var Missing = recipe.Param{Key: "missing", Kind: recipe.Choice, Choices: []string{"error", "base", "drop"}, Default: "error", Top: true,
	Help: "a tensor that the base (without one, the first model) has and a model lacks: stop, take the base's for it, or leave it out of the output"}

// errDropped says that a tensor is to be left out.
var errDropped = errors.New("left out of the output")

// supply finds a model's tensor, or what the recipe puts in its place. The error is what is wrong, or
// [errDropped].
func (m *matcher) supply(out *Tensor, in origin, like format.Tensor) (index int, err error) {
	model := m.Models[in.model]
	index, err = m.find(model, in.name, like)
	if format.KindOf(err) != format.KindMissing {
		return index, err
	}
	switch m.Recipe.Params.Text("missing") {
	case "base":
		m.noteTensor(model.Path, in.name, "not there; taken as %s has it (missing: base)", out.From.Path)
		return supplied, nil
	case "drop":
		m.noteDropped(model, in.name)
		return absent, errDropped
	}
	return absent, &format.Error{Path: model.Path, Tensor: in.name, Kind: format.KindMissing, Detail: fmt.Sprintf(
		"%s lacks the tensor, which %s has; missing: base takes it from there, missing: drop leaves it out of the output", model.Role, out.From.Path)}
}

// drops reports whether a tensor that is copied is left out, since a model lacks it.
func (m *matcher) drops(s request) bool {
	if m.Recipe.Params.Text("missing") != "drop" {
		return false
	}
	for _, in := range s.inputs {
		if model := m.Models[in.model]; !has(model, in.name) {
			m.noteDropped(model, in.name)
			return true
		}
	}
	return false
}

func (m *matcher) noteDropped(model *Input, name string) {
	m.noteTensor(model.Path, name, "not there; left out of the output (missing: drop)")
}

// has reports whether a source has a tensor, or one that stands for it.
func has(s *Input, name string) bool {
	if _, ok := s.Find(name); ok {
		return true
	}
	_, ok := tiedTo(s.Checkpoint, name)
	return ok
}
