package plan

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/dustin/go-humanize"

	"weld/format"
	"weld/format/gguf"
	"weld/format/quant"
	"weld/format/safetensors"
	"weld/mmapio"
	"weld/stream/destination"
)

// Output is where the merged checkpoint goes, and what it has beside its tensors.
type Output struct {
	Path      string
	Container destination.Container
	Layout    *safetensors.Layout   // whose tensors are those of the plan; nil where GGUF is not
	GGUF      *gguf.Layout          // likewise
	Files     []SmallFile           // beside the weights, in the order in which they are written
	Size      int64                 // bytes of the files with tensors, before compression
	Encoded   []quant.EncodedTarget // tensors that are stored as codes, by their numbers in the layout
	carried   int64                 // bytes of the files that are carried
}

// EncodingBytes bounds what so many workers hold while they encode: stripes of values and, where bytes are written in order, what waits
// for the codes before it.
func (o *Output) EncodingBytes(workers int) int64 {
	if len(o.Encoded) == 0 {
		return 0
	}
	var stripe, waiting int64
	for _, t := range o.Encoded {
		stripe, waiting = max(stripe, t.StripeBytes()), max(waiting, t.WaitingBytes())
	}
	if !o.Container.Grows() {
		return int64(workers+1) * (stripe + quant.JoiningBytes)
	}
	return int64(workers) * (2*stripe + waiting) // one that waits for its turn, and one that its neighbour has begun
}

// rewritable reports whether values can be written again where they were: they lie as they are, and nothing is made of them on the way.
func (o *Output) rewritable() bool {
	return o != nil && o.GGUF == nil && len(o.Encoded) == 0 && !o.Container.Grows()
}

// layOut places every tensor in the output, and orders the plan by it.
func (p *planner) layOut(encoded []encoding) error {
	out := p.Output
	if out == nil {
		return nil
	}
	if out.Container == destination.GGUF {
		return p.layOutGGUF(encoded)
	}
	limit := p.options.ShardSize
	if !out.Container.HoldsFiles() {
		limit = safetensors.OneShard
	}
	metadata, err := p.metadata()
	if err != nil {
		return err
	}
	parts, err := p.outputParts()
	if err != nil {
		return err
	}
	if out.Layout, err = safetensors.Lay(safetensors.Contents{
		Count: len(p.Tensors), Metadata: metadata, Parts: parts,
		Tensor: func(i int) format.Tensor { return p.Tensors[i].Tensor },
		Behind: func(i int) bool { return p.Tensors[i].behind },
	}, limit); err != nil {
		return fmt.Errorf("output %s: %w", out.Path, err)
	}
	if order := out.Layout.Order(); !slices.IsSorted(order) {
		ordered := make([]Tensor, len(p.Tensors))
		for at, i := range order {
			ordered[at] = p.Tensors[i]
		}
		p.Tensors = ordered
	}
	out.Layout.Settle()
	out.Size = out.Layout.Size()
	if err := out.checkSpace(); err != nil { // before what lies beside the reference is looked at
		return err
	}
	if err := p.listFiles(); err != nil {
		return err
	}
	if err := out.checkSpace(); err != nil {
		return err
	}
	p.noteSpace()
	return nil
}

// checkSpace demands that the disk can hold the output.
func (o *Output) checkSpace() error {
	parent := filepath.Dir(filepath.Clean(o.Path))
	if free, ok := mmapio.FreeSpace(parent); ok && free < o.leastSize() {
		return fmt.Errorf("output %s: %s are needed, %s are free in %s", o.Path, humanize.Bytes(uint64(o.leastSize())), humanize.Bytes(uint64(free)), parent)
	}
	return nil
}

// noteSpace says where the disk may turn out to be too small in the end: nobody knows before how well values compress.
func (p *planner) noteSpace() {
	out, parent := p.Output, filepath.Dir(filepath.Clean(p.Output.Path))
	if free, ok := mmapio.FreeSpace(parent); ok && free < out.mostSize() {
		p.note("output %s: up to %s are needed, if its values hardly compress; %s are free in %s", out.Path, humanize.Bytes(uint64(out.mostSize())), humanize.Bytes(uint64(free)), parent)
	}
}

// mostSize is the disk space that the output takes where nothing of it compresses.
func (o *Output) mostSize() int64 {
	if !o.Container.HoldsFiles() {
		return o.Size
	}
	return o.Size + o.carried
}

// leastSize is the disk space that the output surely takes.
func (o *Output) leastSize() int64 {
	switch o.Container {
	case destination.Compressed:
		return o.Size / 2 // weights compress to between 66% and 90%
	case destination.Pack:
		return o.Size / 4 // float32 that holds bfloat16 takes a third
	case destination.Patch:
		return 0
	}
	return o.mostSize()
}

// identity tells an input from others, in what an output says about itself.
type identity struct {
	Role        string `json:"role"`
	Path        string `json:"path"`
	Bytes       int64  `json:"bytes"`
	Fingerprint string `json:"fingerprint"`
}

// metadata is what the output says about itself.
func (p *planner) metadata() (map[string]string, error) {
	var inputs []identity
	for i := range p.Opened {
		s := &p.Opened[i]
		in := identity{Role: s.Role, Path: s.Path}
		for _, f := range s.Files() {
			in.Bytes += f.Info.Size()
		}
		var err error
		if s.fingerprint, err = fingerprint(s); err != nil {
			return nil, err
		}
		in.Fingerprint = s.fingerprint
		inputs = append(inputs, in)
	}
	if p.options.Conversion != nil {
		return p.converted(inputs[0]), nil
	}
	return map[string]string{
		"format":      "pt",
		versionKey:    p.options.Version,
		"weld.recipe": string(p.Recipe.YAML()),
		"weld.inputs": marshalled(inputs),
	}, nil
}

// versionKey is where an output says which weld wrote it.
const versionKey = "weld.version"

// marshalled is JSON of strings and numbers, which always is some.
func marshalled(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}
