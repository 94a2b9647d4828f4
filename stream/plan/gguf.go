package plan

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"weld/format"
	"weld/format/gguf"
	"weld/format/quant"
	"weld/format/safetensors"
	"weld/stream/destination"
)

// This file lays out an output in GGUF. What it says of the model (architecture, vocabulary) is the reference's word, which has to be in GGUF
// itself; so are the types of tensors, unless the recipe asks for another one.

// intoGGUF reports whether the output is to be in GGUF.
func (p *planner) intoGGUF() bool {
	container, err := destination.ContainerOf(p.out)
	return p.out != "" && err == nil && container == destination.GGUF
}

// inGGUF is the checkpoint in GGUF that an input was opened as; nil if it is none.
func (s *Input) inGGUF() *gguf.Checkpoint { return gguf.Within(s.stored) }

// asksForType reports whether the recipe says which type the output has.
func (p *planner) asksForType() bool {
	return p.Recipe.DType != format.Invalid || p.Recipe.OutDType != format.Invalid
}

// checkGGUF refuses an output in GGUF whose metadata nobody knows, or whose tensors are in types that weld does not write.
func (p *planner) checkGGUF() error {
	if p.Output == nil || p.Output.Container != destination.GGUF {
		return nil
	}
	ref := p.Reference()
	if p.gguf != nil {
		return nil
	}
	if ref.inGGUF() == nil {
		return &format.Error{Path: ref.Path, Kind: format.KindUnsupported, Detail: fmt.Sprintf(
			"the output %s would have the metadata of this checkpoint (architecture, vocabulary), which is not in GGUF: name a directory as the output, and weld convert that", p.Output.Path)}
	}
	if p.asksForType() || p.Recipe.Params.Text(Quantize.Key) == quantizeNone || p.blocksAsked() != nil {
		return nil
	}
	for i := range p.Tensors {
		t := &p.Tensors[i]
		view, shown := t.From.Checkpoint.(*quant.Decoded)
		if t.Action != Fuse || !shown || !t.decoded() {
			continue
		}
		if _, ok := t.encoding(); !ok {
			name, _, _ := view.Scheme(int(t.Index))
			return &format.Error{Path: t.From.Path, Tensor: t.Name, Kind: format.KindScheme, Detail: fmt.Sprintf(
				"stored as %s, which weld reads and does not write; with dtype: bfloat16 or float16, or quantize: none, the output has plain values, and with quantize: %s those of blocks", name, strings.Join(gguf.Written(), ", "))}
		}
	}
	return nil
}

// staysFloat32 reports whether a tensor of an output in GGUF is of float32 whatever the recipe asks for: llama.cpp computes with norms and
// biases in no other type.
func (p *planner) staysFloat32(t format.Tensor) bool {
	if p.gguf != nil && p.gguf.StaysFloat32(t.Name) {
		return true
	}
	return len(t.Shape) < 2 && t.DType == format.F32 && p.intoGGUF()
}

// described is a tensor as it is stored in GGUF.
func (p *planner) described(i int) gguf.Described {
	t := &p.Tensors[i]
	d := gguf.Described{Name: t.Name, DType: t.DType, Shape: t.Shape}
	switch t.Action {
	case Encode:
		d.Blocks, d.Shape = p.inBlocks[i].InBlocks()
	case Copy:
		if b, shape := format.BlocksOf(t.From.Checkpoint, int(t.Index)); b != nil {
			d.Blocks, d.Shape = b, shape
		}
	}
	return d
}

// layOutGGUF places every tensor in a file in GGUF, in the order of the plan. encoded are those that are stored in blocks, in that order.
func (p *planner) layOutGGUF(encoded []encoding) error {
	p.inBlocks = make([]*quant.Encoding, len(p.Tensors))
	for i := range p.Tensors {
		if p.Tensors[i].Action == Encode {
			p.inBlocks[i], encoded = encoded[0].Encoding, encoded[1:]
		}
	}
	metadata, err := p.metadata()
	if err != nil {
		return err
	}
	m := gguf.Metadata{Base: p.Reference().inGGUF(), Texts: make(map[string]string), FileType: p.fileType()}
	if p.gguf != nil {
		m.Own, m.Numbers = p.gguf.Pairs, map[string]uint32{gguf.QuantizationVersionKey: gguf.QuantizationVersion, gguf.FileTypeKey: gguf.FileType(p.mostType())}
	}
	if b := p.blocksAsked(); b != nil {
		m.Numbers = map[string]uint32{gguf.QuantizationVersionKey: gguf.QuantizationVersion, gguf.FileTypeKey: gguf.FileTypeOf(b)}
	}
	for _, key := range []string{versionKey, "weld.recipe", "weld.inputs"} {
		m.Texts[key] = metadata[key]
	}
	m.Keep = func(key string) bool { return !strings.HasPrefix(key, "weld.") } // how the base was made
	if p.options.Conversion != nil {                                           // which makes no other model
		m.Keep, m.Texts = nil, map[string]string{versionKey: metadata[versionKey], "weld.conversion": metadata["weld.conversion"]}
	}
	out := p.Output
	if out.GGUF, err = gguf.NewLayout(m, len(p.Tensors), p.described); err != nil {
		return fmt.Errorf("output %s: %w", out.Path, err)
	}
	out.Size = out.GGUF.Size
	return out.checkSpace()
}

// fileType is the type that most tensors have now; −1 for that of the reference.
func (p *planner) fileType() int64 {
	if d := p.Recipe.OutDType; d != format.Invalid {
		return int64(gguf.FileType(d))
	}
	if d := p.Recipe.DType; d != format.Invalid {
		return int64(gguf.FileType(d))
	}
	for i := range p.Tensors {
		if t := &p.Tensors[i]; t.Action == Fuse && t.decoded() {
			return int64(gguf.FileType(t.DType))
		}
	}
	return -1
}

// Shards are the files with tensors, in order, by the numbers of the plan.
func (p *Plan) Shards() []safetensors.Shard {
	if l := p.Output.GGUF; l != nil {
		return []safetensors.Shard{{HeaderSize: l.HeaderSize, Size: l.Size, Data: l.Data(), Last: len(p.Tensors)}}
	}
	return p.Output.Layout.Shards
}

// where is the number of the file that holds a tensor, and where its bytes begin there.
func (o *Output) where(tensor int) (shard int, begin int64) {
	if o.GGUF != nil {
		return 0, o.GGUF.Begin(tensor)
	}
	return o.Layout.Where(tensor)
}

// headerDigest tells the header of a file from others.
func (o *Output) headerDigest(shard int) [sha256.Size]byte {
	if o.GGUF == nil {
		return sha256.Sum256(o.Layout.Header(shard))
	}
	sum := sha256.New()
	if err := o.GGUF.WriteHeader(sum); err != nil { // the base cannot be read any more, which the run will say
		sum.Reset()
	}
	return [sha256.Size]byte(sum.Sum(nil))
}
