package plan

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"weld/format"
	"weld/format/gguf"
	"weld/format/quant"
	"weld/format/renamed"
)

// This file has what belongs to a weight follow it, where a conversion chooses among values that are copied as they are stored.

// takenApart shows which tensors of an input are one weight: the input itself where nothing of it is left in a scheme.
func (s *Input) takenApart() (format.Checkpoint, error) {
	if s.scheme == nil {
		return s.Checkpoint, nil
	}
	declared, err := quant.Beside(s.stored)
	if err != nil {
		return nil, err
	}
	shown, err := quant.Show(s.Checkpoint, declared)
	if err != nil {
		return nil, err
	}
	_, whole := shown.(*quant.Decoded)
	if left, _, err := quant.RecognizeIn(shown, declared); left != nil || !whole || err != nil {
		return nil, &format.Error{Path: s.Path, Tensor: s.scheme.Codes.Name, Kind: format.KindScheme, Detail: fmt.Sprintf(
			"values are stored in a scheme that weld does not take apart, %s (%s): it cannot tell which tensors belong together; convert it without %s, %s and %s, which copies all as it is",
			s.scheme.Name, s.scheme.Why, OnlyFlag, DropFlag, RenameFlag)}
	}
	return shown, nil
}

// pickStored shows an input that is copied as it is stored with the weights that are chosen, and what belongs to each. What is
// declared of the scheme must say the same of it under the new names.
func (p *planner) pickStored(in *Input, weights *quant.Decoded, chosen []string) (format.Checkpoint, error) {
	stored := in.Tensors()
	called := make([]string, len(stored))
	for i, w := range weights.Tensors() {
		if chosen[i] == "" {
			continue
		}
		for _, part := range weights.Parts(i) {
			name, ok := partName(stored[part].Name, w.Name, chosen[i])
			if !ok || called[part] != "" && called[part] != name {
				return nil, wrongFlag(RenameFlag, "%q cannot be %q: its values are stored as %s in %q, whose name says so", w.Name, chosen[i], in.scheme.Name, stored[part].Name)
			}
			called[part] = name
		}
	}
	if err := checkNames(called, stored); err != nil {
		return nil, err
	}
	shown := renamed.Pick(in.Checkpoint, called)
	if len(p.options.Conversion.Rename) == 0 {
		return shown, nil
	}
	p.noteDeclaredModules(in, weights, chosen)
	return shown, in.sameScheme(shown, chosen)
}

// blocksShown is the checkpoint in GGUF that an input shows the values of; nil if it is none.
func (s *Input) blocksShown() *gguf.Checkpoint {
	shown, ok := s.Checkpoint.(*quant.Decoded)
	if !ok {
		return nil
	}
	c, _ := shown.Unwrap().(*gguf.Checkpoint)
	return c
}

// pickBlocks shows the values of some tensors in blocks, under their names in the output: nothing lies beside them, so that they can be stored as they
// were.
func (s *Input) pickBlocks(stored *gguf.Checkpoint, chosen []string) (format.Checkpoint, error) {
	declared, err := quant.Beside(s.stored)
	if err != nil {
		return nil, err
	}
	return quant.Show(renamed.Pick(stored, chosen), declared)
}

// partName is the name of a part of a weight that gets another one. Parts are called as the weight is, with an ending, or as something else in
// its module. ok is false where the new name does not say how the part would be called.
func partName(part, weight, now string) (name string, ok bool) {
	if ending, same := strings.CutPrefix(part, weight); same {
		return now + ending, true
	}
	module := func(s string) int { return strings.LastIndexByte(s, '.') + 1 }
	inside, same := strings.CutPrefix(part, weight[:module(weight)])
	if !same || weight[module(weight):] != now[module(now):] {
		return "", false
	}
	return now[:module(now)] + inside, true
}

// sameScheme demands that what is declared takes the same weights from a checkpoint under new names.
func (s *Input) sameScheme(shown format.Checkpoint, chosen []string) error {
	declared, err := quant.Beside(s.stored)
	if err != nil {
		return err
	}
	again, err := quant.Show(shown, declared)
	if err != nil {
		return wrongFlag(RenameFlag, "%s stores its values as %s (%s), which goes by names: %v; --quantize none makes plain values of them", s.Path, s.scheme.Name, s.scheme.Why, err)
	}
	want := slices.DeleteFunc(slices.Clone(chosen), func(name string) bool { return name == "" })
	slices.Sort(want)
	got := make([]string, 0, len(want))
	for _, t := range again.Tensors() {
		got = append(got, t.Name)
	}
	slices.Sort(got)
	if !slices.Equal(want, got) {
		return wrongFlag(RenameFlag, "%s stores its values as %s (%s), which is not found under the new names; --quantize none makes plain values of them", s.Path, s.scheme.Name, s.scheme.Why)
	}
	return nil
}

// quotedName is a string of a configuration.
var quotedName = regexp.MustCompile(`"([^"\\]+)"`)

// noteDeclaredModules says that the configuration of a scheme names a module that has another name in the output.
func (p *planner) noteDeclaredModules(in *Input, weights *quant.Decoded, chosen []string) {
	declared := make(map[string]bool)
	for _, m := range quotedName.FindAllStringSubmatch(in.terms, -1) {
		declared[m[1]] = true
	}
	for i, t := range weights.Tensors() {
		if chosen[i] == "" || chosen[i] == t.Name {
			continue
		}
		for at, r := range t.Name {
			if r == '.' && declared[t.Name[:at]] && !strings.HasPrefix(chosen[i], t.Name[:at+1]) {
				p.note("%s: its configuration says how values of the module %s are stored, which has another name in the output: correct it there", in.Path, t.Name[:at])
				return
			}
		}
	}
}
