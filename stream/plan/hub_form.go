package plan

import (
	"slices"
	"strings"

	"weld/format"
	"weld/format/hub"
	"weld/format/llamacpp"
	"weld/stream/destination"
)

// This file gives a model that is converted between GGUF and a directory of the Hub the form that it has on the other side.

// inHubForm is why codes of GGUF are not stored so in a directory.
const inHubForm = "directories of the Hub do not have them so"

// toHub shows a model in GGUF as the Hub has it, where it is converted into what holds files beside tensors.
func (p *planner) toHub(in *Input) error {
	file := in.inGGUF()
	container, err := destination.ContainerOf(p.out)
	if file == nil || p.out == "" || err != nil || !container.HoldsFiles() {
		return nil
	}
	if p.hub, err = llamacpp.ToHub(in.Checkpoint, file); err != nil {
		return err
	}
	in.Checkpoint = p.hub.Checkpoint
	p.note("%s: tensors get the names and the order of the Hub, and %s is written from the metadata", in.Path, hub.ConfigName)
	return nil
}

// fromHub shows a model of the Hub as llama.cpp has it, where it is converted into GGUF.
func (p *planner) fromHub(in *Input) error {
	if !p.intoGGUF() || in.inGGUF() != nil {
		return nil
	}
	if in.scheme != nil {
		return notPlain(in, ", nor stores in GGUF")
	}
	g, err := llamacpp.ToGGUF(in.Checkpoint)
	if err != nil {
		return err
	}
	p.gguf, in.Checkpoint = g, g.Checkpoint
	p.note("%s: tensors get the names and the order of llama.cpp, and the metadata is written from %s", in.Path, hub.ConfigName)
	for _, note := range g.Notes {
		p.note("%s", note)
	}
	return nil
}

// noteOfLlamaCpp says that tensors of a model in GGUF have names that nothing but llama.cpp knows, where the output is not in GGUF.
func (p *planner) noteOfLlamaCpp() {
	ref := p.Reference()
	file, c := ref.inGGUF(), p.options.Conversion
	if p.Output == nil || p.Output.Container == destination.GGUF || file == nil || p.hub != nil || llamacpp.IsAdapter(file) || c != nil && len(c.Rename) > 0 {
		return
	}
	if c == nil {
		p.note("%s: the output has the names and the order of llama.cpp, and no configuration: for a directory of the Hub name an output that ends with .gguf, and weld convert that", ref.Path)
		return
	}
	p.note("%s: the output has the names and the order of llama.cpp: a directory as the output gets those of the Hub, where weld knows the architecture", ref.Path)
}

// generate writes what a model out of GGUF has beside its tensors.
func (p *planner) generate() error {
	if p.hub == nil {
		return nil
	}
	files, err := p.hub.FilesBeside(p.mostType())
	if err != nil {
		return err
	}
	for _, note := range p.hub.Notes {
		p.note("%s", note)
	}
	if most := p.mostType(); p.config != nil && !p.asksForType() && most != format.F32 && slices.ContainsFunc(p.Tensors, func(t Tensor) bool { return t.Action != Beside && t.DType == format.F32 }) {
		name := strings.TrimPrefix(most.Torch(), "torch.")
		p.note("%s: norms and other vectors stay float32, and transformers loads a quantised model in the types of its files, beside weights of %s: --dtype %s stores all that is plain so", p.Models[0].Path, name, name)
	}
	p.generated = make(map[string][]byte, len(files))
	for _, f := range files {
		p.generated[f.Name] = f.Content
	}
	if config := p.generated[hub.ConfigName]; p.config != nil {
		p.generated[hub.ConfigName], _ = hub.SetQuantization(config, p.config)
	}
	return nil
}

// mostType is the type of most elements of the output that are computed with: what a configuration says of all.
func (p *planner) mostType() format.DType {
	count := make(map[format.DType]int64)
	for i := range p.Tensors {
		t := &p.Tensors[i]
		d := t.DType
		if t.Action == Encode {
			d = t.From.Tensors()[t.Index].StoredDType()
		}
		if d.Computable() {
			count[d] += t.Elements()
		}
	}
	most := format.F32
	for _, d := range []format.DType{format.F32, format.BF16, format.F16} {
		if count[d] > count[most] {
			most = d
		}
	}
	return most
}
