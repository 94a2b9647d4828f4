package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"weld/format"
	"weld/format/quant"
	"weld/stream/destination"
)

// This file decides whether an output is stored in the scheme of the checkpoint that it resembles, and how.

// encoding is a tensor that is stored as codes, by the names of what is written.
type encoding struct {
	*quant.Encoding
	codes  string
	beside []string
}

// encode has the output stored as the recipe asks, and lists what is written of tensors that are stored as codes: those that the reference
// has so in the same way, where all of them can be, else plainly, since a configuration speaks of all; or in a scheme that is named.
func (p *planner) encode() ([]encoding, error) {
	if b := p.blocksAsked(); b != nil {
		return p.encodeBlocks(b)
	}
	why, n := p.plainly(), quant.FindNamed(p.Recipe.Params.Text(Quantize.Key))
	switch ref := p.Reference(); {
	case n != nil && p.Output != nil && (why != "" || !p.isStoredAs(n)):
		return p.encodeNamed(n)
	case why == "":
		return p.encodeAlike(), nil
	case p.Output != nil && len(ref.decoded) > 0:
		p.note("%s: values are decoded from %s, and stored plainly in the output: %s", ref.Path, strings.Join(ref.decoded, ", "), why)
	}
	return nil, nil
}

// encodeAlike has values stored as the reference stores them.
func (p *planner) encodeAlike() (list []encoding) {
	p.encodes = true
	p.note("%s: values are decoded from %s, and stored in the same way in the output", p.Reference().Path, strings.Join(p.Reference().decoded, ", "))
	p.noteNumberedModules(p.Reference(), strings.Join(p.Reference().stale, ", "), p.Reference().terms)
	weights := 0
	for i := range p.Tensors {
		if t := &p.Tensors[i]; t.Action == Fuse && t.decoded() {
			weights++
		}
	}
	list = make([]encoding, 0, weights)
	tensors := make([]Tensor, 0, len(p.Tensors)+weights) // next to all have one companion
	for i := range p.Tensors {
		t := p.Tensors[i]
		e, ok := t.encoding()
		if !ok {
			tensors = append(tensors, t)
			continue
		}
		weight, now := t.From.Tensors()[t.Index].Name, t.Name
		var x encoding
		x, tensors = t.stored(e, tensors, func(name string) string { return companionName(name, weight, now) })
		list = append(list, x)
	}
	p.Tensors = tensors
	return list
}

// stored adds what is written of a tensor that is stored as codes to those of the output. renamed gives the names of an output from those of
// the encoding.
func (t Tensor) stored(e *quant.Encoding, tensors []Tensor, renamed func(name string) string) (encoding, []Tensor) {
	x, beside := encoding{Encoding: e, codes: renamed(e.Codes.Name)}, &Origins{From: t.From}
	t.Action, t.Tensor = Encode, e.Codes
	t.Name = x.codes
	tensors = append(tensors, t)
	made, behind := inARow(e)
	for _, c := range made {
		c.Name = renamed(c.Name)
		tensors = append(tensors, Tensor{Tensor: c, Origins: beside, Base: -1, Index: -1, Action: Beside, behind: behind})
	}
	for k, c := range e.Companions {
		c.Name = renamed(c.Name)
		x.beside = append(x.beside, c.Name)
		if k >= e.Made() {
			_, from := e.Source(k)
			tensors = append(tensors, Tensor{Tensor: c, Origins: beside, Base: -1, Index: int32(from), Action: Beside})
		}
	}
	return x, tensors
}

// inARow lists what is made with codes, larger elements first, and reports whether it can stand directly behind them: all are aligned
// then, and so is what comes next.
func inARow(e *quant.Encoding) (made []format.Tensor, ok bool) {
	made = e.Companions[:e.Made():e.Made()]
	if len(made) > 1 {
		made = slices.Clone(made)
	}
	slices.SortStableFunc(made, func(a, b format.Tensor) int { return cmp.Compare(b.DType.Align(), a.DType.Align()) })
	at, align := e.Codes.Bytes(), e.Codes.DType.Align()
	for _, c := range made {
		if align = max(align, c.DType.Align()); at%c.DType.Align() != 0 {
			return made, false
		}
		at += c.Bytes()
	}
	return made, at%align == 0
}

// wrapped is why an input is no model for how values are stored.
const wrapped = "it has adapters, another vocabulary, or names of another model"

// plainly says why an output is stored plainly; "" where it is not.
func (p *planner) plainly() string {
	ref := p.Reference()
	_, shown := ref.Checkpoint.(*quant.Decoded)
	switch {
	case p.Output == nil || len(ref.decoded) == 0:
		return "values are stored plainly"
	case p.Recipe.Params.Text(Quantize.Key) == quantizeNone:
		return "quantize: none asks for it"
	case p.hub != nil:
		return inHubForm
	case p.gguf != nil:
		return "GGUF does not have them so"
	case format.HasComponents(ref.Checkpoint):
		return "each of its components has a configuration of its own"
	case !shown && p.options.Conversion != nil && p.options.Conversion.chooses():
		return "tensors are chosen or renamed (--only, --drop, --rename)"
	case !shown:
		return wrapped
	case p.asksForType():
		return "a type of the output is asked for"
	case ref.inGGUF() != nil && p.Output.Container == destination.GGUF:
		return "" // types are said of each tensor
	case ref.inGGUF() != nil:
		return "an output that ends with .gguf has them in the same way"
	}
	for i := range p.Tensors {
		t := &p.Tensors[i]
		if t.From != ref && (t.From.terms != ref.terms || !slices.Equal(t.From.decoded, ref.decoded)) { // a configuration speaks of all
			return t.From.Path + " is stored in another manner"
		}
		if _, shown := t.From.Checkpoint.(*quant.Decoded); !shown {
			return t.From.Path + ": " + wrapped
		}
		if t.Action != Fuse || !t.decoded() || t.untied() {
			continue
		}
		e, ok := t.encoding()
		switch {
		case !ok:
			return "weld does not write all of what it decodes there (" + t.Name + ")"
		case t.From != ref && !p.layouts(ref)[e.Layout()]:
			return t.From.Path + " is stored in another manner (" + e.Layout() + ")"
		}
		if !p.takes(e) {
			return p.disorder(t.Name, e)
		}
	}
	return ""
}

// takes reports whether the output takes what is written of a tensor in the order in which it is made.
func (p *planner) takes(e *quant.Encoding) bool {
	_, ok := inARow(e)
	return !p.Output.Container.Grows() || ok && e.Codes.Bytes() > 0 // without codes, nothing would be the last of them
}

// disorder says why the output does not take it.
func (p *planner) disorder(name string, e *quant.Encoding) string {
	return fmt.Sprintf("%s takes bytes in their order, and the scales of %s would not be aligned behind its %d bytes of codes", p.Output.Container, name, e.Codes.Bytes())
}

// layouts are the ways in which an input stores weights.
func (p *planner) layouts(in *Input) map[string]bool {
	if p.layoutsOf == nil {
		p.layoutsOf = make(map[string]bool)
		view := in.Checkpoint.(*quant.Decoded)
		for i := range view.Tensors() {
			if e, ok := view.Encoding(i); ok {
				p.layoutsOf[e.Layout()] = true
			}
		}
	}
	return p.layoutsOf
}

// decoded reports whether the type of a tensor is that of decoded values.
func (t *Tensor) decoded() bool {
	view, ok := t.From.Checkpoint.(*quant.Decoded)
	return ok && view.Decodes(int(t.Index))
}

// encoding is how the input that a tensor takes its type from stores it.
func (t *Tensor) encoding() (*quant.Encoding, bool) {
	if t.Action != Fuse || !t.decoded() || t.untied() {
		return nil, false
	}
	return t.From.Checkpoint.(*quant.Decoded).Encoding(int(t.Index))
}

// companionName is the name of what belongs to a weight, if that has another name: they share the module.
func companionName(name, weight, now string) string {
	module := func(s string) int { return strings.LastIndexByte(s, '.') + 1 }
	if now == weight {
		return name // not a copy: there are as many as weights
	}
	if at := module(weight); strings.HasPrefix(name, weight[:at]) {
		return now[:module(now)] + name[at:]
	}
	return name
}

// checkEncodedNames refuses an output in which a tensor has the name of what is written for the codes of another.
func (p *planner) checkEncodedNames(encodes bool) error {
	if !encodes {
		return nil
	}
	var table format.NameTable
	nameAt := func(i int) string { return p.Tensors[i].Name }
	table.Reserve(len(p.Tensors), nameAt)
	for i := range p.Tensors {
		if _, again := table.Add(nameAt); again {
			return &format.Error{Path: p.Reference().Path, Tensor: nameAt(i), Kind: format.KindScheme, Detail: "the output would have two tensors of this name: one that the model has, and one that codes of a weight need; quantize: none stores values plainly"}
		}
	}
	return nil
}

// target says by number where encoded tensors go, now that the output is laid out.
func (p *planner) target(list []encoding) {
	if len(list) == 0 {
		return
	}
	var table format.NameTable
	nameAt := func(i int) string { return p.Tensors[i].Name }
	table.Reserve(len(p.Tensors), nameAt)
	for range p.Tensors {
		table.Add(nameAt)
	}
	at := func(name string) int {
		i, _ := table.Find(name, nameAt) // it was listed by encode
		return i
	}
	p.Output.Encoded = slices.Grow(p.Output.Encoded, len(list))
	for _, x := range list {
		t := quant.EncodedTarget{Encoding: x.Encoding, Codes: at(x.codes)}
		for _, name := range x.beside {
			t.Companions = append(t.Companions, at(name))
		}
		p.Output.Encoded = append(p.Output.Encoded, t)
	}
}

// undeclares reports whether what is declared of the reference's scheme is not said of the output.
func (p *planner) undeclares() bool {
	return len(p.Reference().stale) > 0 && !p.encodes && !p.caches
}
