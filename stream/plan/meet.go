package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"weld/format"
	"weld/format/lora"
	"weld/format/names"
	"weld/format/renamed"
)

// This file shows inputs whose tensors have other names than they are looked for by under the names that
// are wanted, before the plan looks at a tensor.

// meetNames gives the models the names of the checkpoint that the output resembles, and importance files
// those of their models. Layers of a stack have names of their own in each model, and so do modules.
func (p *planner) meetNames() (problems []error) {
	ref := p.Reference()
	for _, m := range p.Models {
		if m == ref || p.Recipe.Slices != nil || p.Recipe.Modules != nil {
			continue
		}
		if err := p.meet(m, ref); err != nil {
			problems = append(problems, err)
		}
	}
	for i, file := range p.Importance {
		if file == nil {
			continue
		}
		if err := p.meet(file, p.Models[i]); err != nil {
			problems = append(problems, err)
		}
	}
	return problems
}

// meet shows s under the names of like, as far as they meet by other rules than being the same. It is an error
// if none does, or if a rule gives a name to several tensors.
func (p *planner) meet(s, like *Input) error {
	wanted := like.Tensors()
	m := names.Meet(wanted, s.Tensors(), s.Find)
	if len(m.Doubts) > 0 {
		s.strange = true
		return p.doubtful(s, like, m)
	}
	if !anyFloat(wanted) || len(s.Tensors()) == 0 {
		return nil
	}
	if !meetsAny(m, wanted) && !sharesNames(s, p.Reference()) {
		s.strange = true
		one, other := s.Role, like.Role
		if one == other {
			one, other = "it", like.Path
		}
		return &format.Error{Path: s.Path, Kind: format.KindNames, Detail: fmt.Sprintf("none of the %d tensors is one of %s, by any rule: %s has %s, %s has %s%s",
			len(s.Tensors()), like.Path, one, fewQuoted(s.Tensors(), m.Unused()), other, fewQuoted(wanted, m.Missing()), unlike(s, like))}
	}
	s.foreign = foreign(s, m)
	if name, ok := unmerged(s, like, m); ok {
		return &format.Error{Path: s.Path, Tensor: name, Kind: format.KindUnsupported, Detail: "an adapter's, beside the tensors of the model that it wraps: without it they are those of before training; merge_and_unload before saving makes a model"}
	}
	if m.Same() {
		return nil
	}
	shown, err := renamed.Show(s.Checkpoint, wanted, m)
	if err != nil {
		return err
	}
	s.Checkpoint = shown
	p.note("%s: names are other than those of %s: %s", s.Path, like.Path, m)
	return nil
}

// unlike says why names of two inputs cannot meet, where the containers tell.
func unlike(s, like *Input) string {
	switch {
	case (s.inGGUF() != nil) != (like.inGGUF() != nil):
		return "; GGUF has llama.cpp's names, and is merged and compared with GGUF: weld convert MODEL.gguf DIRECTORY gives it those of the Hub"
	case format.HasComponents(s.Checkpoint) != format.HasComponents(like.Checkpoint):
		return "; only one of the two has components: name one of their directories as the model"
	}
	return ""
}

// doubtful is the error for names that could be several.
func (p *planner) doubtful(s, like *Input, m *names.Meeting) error {
	var errs []error
	for _, d := range m.Doubts {
		errs = append(errs, &format.Error{Path: s.Path, Kind: format.KindNames, Detail: fmt.Sprintf("%v of %s; weld does not choose", d, like.Path)})
	}
	return errors.Join(errs...)
}

// unmerged finds what an adapter adds in a model that was saved in PEFT's wrapper, whose layers stand for those that
// like has without it.
func unmerged(s, like *Input, m *names.Meeting) (name string, ok bool) {
	if s.Role == roleImportance || !slices.ContainsFunc(m.Moves(), func(v names.Move) bool { return strings.Contains(v.From, "base_layer") }) {
		return "", false
	}
	for _, j := range m.Unused() {
		if name := s.Tensors()[j].Name; lora.Adds(name) {
			return name, true
		}
	}
	return "", false
}

// meetsAny reports whether any tensor that weld computes with was found.
func meetsAny(m *names.Meeting, wanted []format.Tensor) bool {
	for i, t := range wanted {
		if t.Computable() && m.Found(i) {
			return true
		}
	}
	return false
}

// sharesNames reports whether two inputs have a name in common.
func sharesNames(s, other *Input) bool {
	return slices.ContainsFunc(other.Tensors(), func(t format.Tensor) bool {
		_, ok := s.Find(t.Name)
		return ok
	})
}

func anyFloat(tensors []format.Tensor) bool {
	for _, t := range tensors {
		if t.Computable() {
			return true
		}
	}
	return false
}

// foreign says which tensors of a source are none of those that are looked for; "" where all of those were found.
func foreign(s *Input, m *names.Meeting) string {
	if len(m.Missing()) == 0 || len(m.Unused()) == 0 {
		return ""
	}
	return fmt.Sprintf("; the file's %s meet none by any rule", fewQuoted(s.Tensors(), m.Unused()))
}

// fewQuoted lists names of tensors: all where they are few, else the first and their number.
func fewQuoted(tensors []format.Tensor, of []int) string {
	var quoted []string
	for _, i := range of[:min(len(of), mostNames)] {
		quoted = append(quoted, fmt.Sprintf("%q", tensors[i].Name))
	}
	text := strings.Join(quoted, ", ")
	if more := len(of) - mostNames; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
