package plan

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"weld/format"
	"weld/format/names"
	"weld/format/quant"
	"weld/format/renamed"
	"weld/stream/destination"
	"weld/stream/recipe"
)

// Conversion says which tensors of a recipe's only model the output has, and what they are called there. An expression is matched with the
// names that the model shows: of what is stored as codes, that of the weight, and what belongs to it follows. The zero value takes all
// tensors as they are called.
type Conversion struct {
	Only   []*regexp.Regexp // of which one matches what is taken; none for everything
	Drop   []*regexp.Regexp // of which none does
	Rename []names.Substitution
	Made   bool // the model is what the program has just made, and the output does not say what it was converted from
}

// chooses reports whether anything is said.
func (c *Conversion) chooses() bool { return len(c.Only)+len(c.Drop)+len(c.Rename) > 0 }

// The flags that say it, for messages.
const (
	OnlyFlag   = "--only"
	DropFlag   = "--drop"
	RenameFlag = "--rename"
)

// convert shows the model with the tensors that the output is to have, under their names there.
func (p *planner) convert() error {
	c := p.options.Conversion
	if c == nil {
		return nil
	}
	in := p.Models[0]
	if err := errors.Join(p.toHub(in), p.fromHub(in)); err != nil {
		return err
	}
	if !c.chooses() {
		p.noteWrapped(in.Path, in.Tensors())
		return nil
	}
	weights, err := in.takenApart()
	if err != nil {
		return err
	}
	chosen, err := p.choose(in.Path, weights.Tensors())
	if err != nil {
		return err
	}
	shown := in.Checkpoint
	switch stored := in.blocksShown(); {
	case in.scheme != nil:
		shown, err = p.pickStored(in, weights.(*quant.Decoded), chosen)
	case stored != nil:
		shown, err = in.pickBlocks(stored, chosen)
	default:
		shown = renamed.Pick(shown, chosen)
	}
	if err != nil {
		return err
	}
	in.Checkpoint = shown
	p.noteWrapped(in.Path, in.Tensors())
	return nil
}

// choose is what tensors are called in the output, by their indexes; "" for those that are left out.
func (p *planner) choose(path string, tensors []format.Tensor) ([]string, error) {
	c := p.options.Conversion
	chosen := make([]string, len(tensors))
	only, drop, rename := make([]bool, len(c.Only)), make([]bool, len(c.Drop)), make([]bool, len(c.Rename))
	for i, t := range tensors {
		taken := matchesAny(c.Only, only, t.Name) || len(c.Only) == 0
		if matchesAny(c.Drop, drop, t.Name) || !taken {
			p.LeftOut++
			continue
		}
		chosen[i] = t.Name
		for k, s := range c.Rename {
			name, matched := s.Apply(chosen[i])
			chosen[i], rename[k] = name, rename[k] || matched
		}
		if chosen[i] == "" {
			return nil, wrongFlag(RenameFlag, "nothing is left of the name %q", t.Name)
		}
	}
	if p.LeftOut == len(tensors) && len(tensors) > 0 {
		flag := OnlyFlag
		if len(c.Only) == 0 {
			flag = DropFlag
		}
		return nil, wrongFlag(flag, "none of the %d tensors of %s is left: they have names such as %q", len(tensors), path, tensors[len(tensors)/2].Name)
	}
	p.noteIdle(path, OnlyFlag, only, func(k int) string { return c.Only[k].String() })
	p.noteIdle(path, DropFlag, drop, func(k int) string { return c.Drop[k].String() })
	p.noteIdle(path, RenameFlag, rename, func(k int) string { return c.Rename[k].String() })
	return chosen, checkNames(chosen, tensors)
}

// matchesAny reports whether a name matches any expression, and marks those that it does.
func matchesAny(list []*regexp.Regexp, matched []bool, name string) (any bool) {
	for k, e := range list {
		if e.MatchString(name) {
			matched[k], any = true, true
		}
	}
	return any
}

// noteIdle says which expressions of a flag match nothing.
func (p *planner) noteIdle(path, flag string, matched []bool, text func(k int) string) {
	for k, ok := range matched {
		if !ok {
			p.note("%s %s: no tensor of %s has such a name", flag, text(k), path)
		}
	}
}

// checkNames refuses names that two tensors would have, or that no tensor can have.
func checkNames(chosen []string, tensors []format.Tensor) error {
	first := make(map[string]int, len(chosen))
	var problems recipe.Problems
	for i, name := range chosen {
		if name == "" {
			continue
		}
		if j, taken := first[name]; taken && len(problems) < mostNames {
			problems = append(problems, wrongFlag(RenameFlag, "%q and %q would both be %q", tensors[j].Name, tensors[i].Name, name)...)
		}
		if name == "__metadata__" {
			problems = append(problems, wrongFlag(RenameFlag, "%q would be %q, which no tensor of a safetensors file can be called", tensors[i].Name, name)...)
		}
		first[name] = i
	}
	if len(problems) > 0 {
		return problems
	}
	return nil
}

// wrongFlag is the error of a flag that does not fit what is converted.
func wrongFlag(flag, text string, args ...any) recipe.Problems {
	return recipe.Problems{{Position: recipe.Position{Flag: flag}, Text: fmt.Sprintf(text, args...)}}
}

// noteWrapped proposes to take away what wrappers of training left in the names.
func (p *planner) noteWrapped(path string, tensors []format.Tensor) {
	rid := names.Wrapped(tensors)
	if len(rid) == 0 {
		return
	}
	for i, s := range rid {
		rid[i] = RenameFlag + " '" + s + "'"
	}
	flags := strings.Join(rid, " ")
	if p.options.Conversion == nil {
		p.note("%s: a wrapper of training is left in the names, such as %s, and the output has them as well: weld convert %s takes it away", path, tensors[0].Name, flags)
		return
	}
	p.note("%s: a wrapper of training is left in the names, such as %s: %s takes it away", path, tensors[0].Name, flags)
}

// convertsFile reports a conversion into a file that has tensors alone: what needs no configuration can be converted so, as an adapter.
func (p *planner) convertsFile() bool {
	container, err := destination.ContainerOf(p.out)
	return p.options.Conversion != nil && err == nil && !container.HoldsFiles()
}
