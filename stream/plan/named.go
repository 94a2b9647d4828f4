package plan

import (
	"fmt"

	"weld/format"
	"weld/format/quant"
)

// This file has an output stored in a scheme that the recipe names, however the reference is stored.

// encodeNamed has the weights of Linear modules stored in a scheme, and lists what is written. What stays plain is named in the
// configuration.
func (p *planner) encodeNamed(n *quant.Named) ([]encoding, error) {
	for i := range p.Opened {
		if s := &p.Opened[i]; s.scheme != nil {
			return nil, notPlain(s, ", nor stores in another scheme")
		}
	}
	if format.HasComponents(p.Reference().Checkpoint) {
		return nil, &format.Error{Path: p.Reference().Path, Kind: format.KindScheme, Detail: fmt.Sprintf("%s: %s: each of its components has a configuration of its own, which would have to say so: name one component by itself, as a model", Quantize.Key, n.Name)}
	}
	chosen, err := p.chooseWeights(n)
	if err != nil {
		return nil, err
	}
	var list []encoding
	var coded []string
	var plain []format.Tensor
	tensors := make([]Tensor, 0, 2*len(chosen))
	for i, e := range chosen {
		t := p.Tensors[i]
		if e == nil {
			if tensors = append(tensors, t); !t.Calibrated {
				plain = append(plain, t.Tensor)
			}
			continue
		}
		if !p.takes(e) {
			return nil, fmt.Errorf("output %s: %s: %s: %s; a directory or *.safetensors can have them", p.out, Quantize.Key, n.Name, p.disorder(t.Name, e))
		}
		if own, ok := t.encoding(); ok {
			e.Keep(own)
		}
		coded = append(coded, moduleNamed(t.Name))
		var x encoding
		x, tensors = t.stored(e, tensors, func(name string) string { return name })
		list = append(list, x)
	}
	p.Tensors = tensors
	if len(list) == 0 {
		return nil, &format.Error{Path: p.Reference().Path, Kind: format.KindScheme, Detail: fmt.Sprintf(
			"%s: %s: no tensor is the weight of a linear layer, by its name and shape, that can be stored so", Quantize.Key, n.Name)}
	}
	if err := p.checkForeign(plain, coded); err != nil {
		return nil, err
	}
	modules := plainModules(plain, coded)
	p.config = n.Declare(modules)
	p.note("%d of %d tensors are stored as %s in the output: %s; what stays plain is named in its configuration: %s", len(list), len(list)+len(plain), n.Name, n.Help, fewNames(modules))
	if n.Caveat != "" {
		p.note("%s: %s", n.Name, n.Caveat)
	}
	return list, nil
}

// checkForeign refuses a plain tensor that would be read as belonging to the codes of a module.
func (p *planner) checkForeign(plain []format.Tensor, coded []string) error {
	modules := make(map[string]bool, len(coded))
	for _, module := range coded {
		modules[module] = true
	}
	for _, t := range plain {
		for _, weight := range quant.WeightsOf(t.Name) {
			if modules[moduleNamed(weight)] {
				return &format.Error{Path: p.Reference().Path, Tensor: t.Name, Kind: format.KindScheme, Detail: fmt.Sprintf("beside codes it would be read as what belongs to those of %q; without %s, values are stored plainly", weight, Quantize.Key)}
			}
		}
	}
	return nil
}

// chooseWeights says of each tensor how it is stored in a scheme; nil for plainly. They are those that the reference has as codes, and without any the weights of
// Linear modules in layers. Of the experts of a layer all are stored so, or none.
func (p *planner) chooseWeights(n *quant.Named) ([]*quant.Encoding, error) {
	config, err := p.configOf(p.Reference())
	if err != nil {
		return nil, err
	}
	linear := p.linearWeights(linearsOf(config))
	chosen := make([]*quant.Encoding, len(p.Tensors))
	var thick, misfits []string
	plainExperts := make(map[string]bool)
	for i := range p.Tensors {
		t := &p.Tensors[i]
		if len(t.Shape) == 3 && expertsIn(t.Name) {
			thick = append(thick, t.Name)
		}
		if !linear[i] {
			continue
		}
		if e, ok := n.Encoding(t.Tensor); ok {
			chosen[i] = e
			continue
		}
		misfits = append(misfits, t.Name)
		if list := expertsOf(moduleNamed(t.Name)); list != "" {
			plainExperts[list] = true
		}
	}
	for i := range chosen {
		if plainExperts[expertsOf(moduleNamed(p.Tensors[i].Name))] {
			chosen[i] = nil
		}
	}
	p.noteMisfits(n, misfits, len(plainExperts) > 0)
	if len(thick) > 0 {
		p.note("experts in one tensor stay plain, since files do not say which of its dimensions goes in: %s", fewNames(thick))
	}
	return chosen, nil
}

// linearWeights says of each tensor whether it is a weight that schemes are for. A reference with codes says it of its own.
func (p *planner) linearWeights(linear linears) []bool {
	list, codes := make([]bool, len(p.Tensors)), false
	for i := range p.Tensors {
		t := &p.Tensors[i]
		list[i] = len(t.Models) > 0 && t.DType.Computable() && linear.has(t.Name, t.Shape)
		codes = codes || list[i] && t.decoded()
	}
	for i := range p.Tensors {
		list[i] = list[i] && (!codes || p.Tensors[i].decoded())
	}
	return list
}

// noteMisfits says which weights stay plain for their shapes, perhaps with other experts of the same layers.
func (p *planner) noteMisfits(n *quant.Named, misfits []string, experts bool) {
	if len(misfits) == 0 {
		return
	}
	beside := ""
	if experts {
		beside = ", and all experts beside them"
	}
	if n.Group() == 0 {
		p.note("rows of %s are too long to be stored as %s, or there are none%s: they stay plain", fewNames(misfits), n.Name, beside)
		return
	}
	p.note("%s has a scale for each %d columns of a row, which do not divide %s%s: they stay plain", n.Name, n.Group(), fewNames(misfits), beside)
}

// isStoredAs reports whether the reference stores all that it has as codes in a scheme.
func (p *planner) isStoredAs(n *quant.Named) bool {
	view, ok := p.Reference().Checkpoint.(*quant.Decoded)
	if !ok {
		return false
	}
	for i, t := range view.Tensors() {
		if !view.Decodes(i) {
			continue
		}
		own, ok := view.Encoding(i)
		t.DType = t.StoredDType()
		if e, fits := n.Encoding(t); !ok || !fits || !e.Like(own) {
			return false
		}
	}
	return true
}
