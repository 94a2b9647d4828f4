package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"weld/format"
	"weld/format/model"
	"weld/format/moments"
	"weld/format/quant"
	"weld/scoring"
)

// Inputs are the opened inputs of a merge.
type Inputs struct {
	Opened     []Input
	Base       *Input // nil if there is none
	Models     []*Input
	Importance []*Input // one for each model; nil entries where it has none

	vocabulary vocabulary // that they share, where the recipe asks for a tokenizer
	lists      int64      // tensors in the lists of all inputs, those that are shared once
}

// Input is one of them.
type Input struct {
	Role string // "base", "model", "importance"
	Path string // as in the recipe
	format.Checkpoint
	Statistic scoring.Statistic // what an importance file holds

	stored      format.Checkpoint // as it was opened, which its fingerprint is of
	fingerprint string            // "" where nothing is written
	weights     string            // [weightsDigest], "" until somebody asks

	terms   string        // all that is declared of it
	decoded []string      // schemes that its values are decoded from
	scheme  *quant.Scheme // that they are stored in, and not decoded from; nil if they are plain
	stale   []string      // what says so nevertheless
	foreign string        // of an importance file: which of its tensors are none of the model's, for messages
	strange bool          // its names meet none that are wanted, which has been said
}

// Fingerprint identifies the input where something is written; without an output it is "".
func (s *Input) Fingerprint() string { return s.fingerprint }

// Weights identifies the input's values, in whatever container and type they are.
func (s *Input) Weights() (string, error) { return weightsDigest(s) }

// roleImportance is the role of an importance file.
const roleImportance = "importance"

// open opens every input of the recipe.
func (p *planner) open() (problems []error) {
	p.Opened = make([]Input, 0, 1+2*len(p.Recipe.Models)) // pointers into it stay good
	add := func(role, path string, adapters []string) *Input {
		in, err := p.Inputs.open(role, path, adapters, p.options)
		if err != nil {
			problems = append(problems, err)
			return nil
		}
		p.Notes = appendNew(p.Notes, format.Notes(in.Checkpoint))
		return in
	}
	if p.Recipe.Base != "" {
		p.Base = add("base", p.Recipe.Base, p.Recipe.BaseLora)
	}
	needed := p.method().ReadsImportance(p.Recipe.Params)
	for _, m := range p.Recipe.Models {
		p.Models = append(p.Models, add("model", m.Path, m.Lora))
		path := m.Params.Text("importance")
		if path == "" || !needed {
			p.Importance = append(p.Importance, nil)
			continue
		}
		s := add(roleImportance, path, nil)
		p.Importance = append(p.Importance, s)
		if s != nil {
			var err error
			if s.Statistic, err = statisticOf(s, m.Params.Text("statistic")); err != nil {
				problems = append(problems, err)
			}
		}
	}
	return problems
}

// appendNew adds what an input has to say, each once: a model may serve twice.
func appendNew(notes, more []string) []string {
	for _, n := range more {
		if !slices.Contains(notes, n) {
			notes = append(notes, n)
		}
	}
	return notes
}

// open opens one more input, for which there is room.
func (in *Inputs) open(role, path string, adapters []string, o Options) (*Input, error) {
	var c format.Checkpoint
	var err error
	if role == roleImportance {
		c, err = moments.Open(path, o.Read)
	}
	if c == nil && err == nil {
		c, err = model.Open(path, adapters, o.Read)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", role, err)
	}
	in.Opened = append(in.Opened, Input{Role: role, Path: strings.Join(append([]string{path}, adapters...), "+"), Checkpoint: c, stored: c})
	in.hold(len(in.Opened) - 1)
	in.sayHeld(o)
	return &in.Opened[len(in.Opened)-1], nil
}

// sayHeld tells whoever asked for it what is held by now.
func (in *Inputs) sayHeld(o Options) {
	if o.Held != nil {
		o.Held(in.HeldBytes(0, o.Found))
	}
}

// Close closes the inputs.
func (in *Inputs) Close() error {
	var errs []error
	for i := range in.Opened {
		errs = append(errs, in.Opened[i].Close())
	}
	return errors.Join(errs...)
}

// Schemes are the names of those that the input's values are decoded from, or, where they are copied, are stored in.
func (in *Input) Schemes() []string {
	if in.scheme != nil {
		return append(slices.Clip(in.decoded), in.scheme.Name)
	}
	return in.decoded
}

// Unchanged demands that the inputs are still what was opened.
func (in *Inputs) Unchanged() error {
	for i := range in.Opened {
		if err := format.Unchanged(in.Opened[i].Checkpoint); err != nil {
			return err
		}
	}
	return nil
}

// Reference is the checkpoint that the output resembles.
func (p *Plan) Reference() *Input {
	if p.Base != nil {
		return p.Base
	}
	return p.Models[0]
}
