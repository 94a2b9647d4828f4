package plan

import (
	"fmt"

	"weld/format"
	"weld/format/model"
	"weld/format/names"
	"weld/format/renamed"
)

// Pair is two checkpoints that are compared. The second has the names of the first, where that leaves no doubt.
type Pair struct {
	Inputs
	Notes []string // what a user should know
}

// OpenPair opens two checkpoints; each is named by one word, path+adapter+…. They must be closed.
func OpenPair(a, b string, o Options) (*Pair, error) {
	p := &Pair{Inputs: Inputs{Opened: make([]Input, 0, 2)}}
	var problems []error
	for _, name := range []string{a, b} {
		path, adapters := model.Split(name)
		in, err := p.open("model", path, adapters, o)
		if err != nil {
			problems = append(problems, err)
		}
		p.Models = append(p.Models, in)
	}
	if len(problems) == 0 { // what cannot be opened is said first
		for i := range p.Opened {
			if err := p.Opened[i].recognise(o.Raw, o); err != nil {
				problems = append(problems, err)
			}
			p.sayHeld(o)
		}
	}
	if len(problems) > 0 {
		p.Close()
		return nil, &InputError{problems}
	}
	p.noteCodes()
	if err := p.meet(); err != nil {
		p.Close()
		return nil, err
	}
	for _, in := range p.Models {
		p.Notes = appendNew(p.Notes, format.Notes(in.Checkpoint))
	}
	return p, nil
}

// noteCodes says which of them are looked at as they are stored.
func (p *Pair) noteCodes() {
	for _, s := range p.Models {
		if s.scheme != nil {
			p.Notes = append(p.Notes, fmt.Sprintf("%s stores its values as %s (%s): codes and scales are compared as they are stored", s.Path, s.scheme.Name, s.scheme.Why))
		}
	}
}

// meet gives the second the names of the first.
func (p *Pair) meet() error {
	a, b := p.Models[0], p.Models[1]
	m := names.Meet(a.Tensors(), b.Tensors(), b.Find)
	if why := unlike(b, a); why != "" && !meetsAny(m, a.Tensors()) {
		p.Notes = append(p.Notes, fmt.Sprintf("%s has none of the names of %s%s", b.Path, a.Path, why))
	}
	if m.Same() {
		return nil
	}
	shown, err := renamed.Show(b.Checkpoint, a.Tensors(), m)
	if err != nil {
		return err
	}
	b.Checkpoint = shown
	p.Notes = append(p.Notes, fmt.Sprintf("%s: names are other than those of %s: %s", b.Path, a.Path, m))
	return nil
}
