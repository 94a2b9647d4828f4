package plan

import (
	"fmt"
	"slices"
	"strings"

	"weld/format"
	"weld/format/gguf"
	"weld/format/quant"
	"weld/stream/destination"
	"weld/stream/recipe"
)

// This file has an output in GGUF stored in a type of blocks that the recipe names, however the reference is stored. Which tensors that type is for is
// the rule of llama.cpp's quantize with --pure (src/llama-quant.cpp at 007dbbf): every tensor is stored in the one type that is asked for, no
// mixture.

// blocksAsked is the type of blocks that the recipe names for an output in GGUF; nil for none.
func (p *planner) blocksAsked() *format.Blocks {
	if !p.intoGGUF() {
		return nil
	}
	return gguf.FindWritten(p.Recipe.Params.Text(Quantize.Key))
}

// plainParts are parts of the names of matrices that llama.cpp keeps as they are: norms, what chooses experts, and what is small.
var plainParts = []string{
	"_norm.weight", "ffn_gate_inp", "altup", "laurel", "per_layer_model_proj", "ssm_conv1d", "shortconv.conv.weight", "time_mix_first.weight",
	"time_mix_w0.weight", "time_mix_w1.weight", "time_mix_w2.weight", "time_mix_v0.weight", "time_mix_v1.weight", "time_mix_v2.weight",
	"time_mix_a0.weight", "time_mix_a1.weight", "time_mix_a2.weight", "time_mix_g1.weight", "time_mix_g2.weight",
	"time_mix_decay_w1.weight", "time_mix_decay_w2.weight", "time_mix_lerp_fused.weight", "attn_rel_b.weight", ".position_embd.",
}

// takesBlocks reports whether llama.cpp stores a tensor of GGUF in blocks: matrices, and lists of those, that are called weights. Embeddings of tokens
// and the output layer are among them, those of positions and of token types are not.
func takesBlocks(name string, shape []int64) bool {
	if !strings.HasSuffix(name, "weight") || len(shape) < 2 || name == "position_embd.weight" || name == "token_types.weight" {
		return false
	}
	return !slices.ContainsFunc(plainParts, func(part string) bool { return strings.Contains(name, part) })
}

// encodeBlocks has matrices stored in a type of blocks, or where their rows are none of its, in the type that takes its place, and lists what is
// written. What llama.cpp keeps as it is stays as the reference has it.
func (p *planner) encodeBlocks(asked *format.Blocks) ([]encoding, error) {
	for i := range p.Opened {
		if s := &p.Opened[i]; s.scheme != nil {
			return nil, notPlain(s, ", nor stores in another type")
		}
	}
	var list []encoding
	var instead, misfits, plainly []string
	other := ""
	for i := range p.Tensors {
		t := &p.Tensors[i]
		e, ok := p.blocksOf(t, asked)
		switch {
		case ok:
			if b, _ := e.InBlocks(); b != asked && takesBlocks(t.Name, t.Shape) {
				instead, other = append(instead, t.Name), b.Name
			}
			list = append(list, encoding{Encoding: e, codes: t.Name})
			t.Action, t.DType, t.Stored, t.Shape = Encode, e.Codes.DType, format.Invalid, e.Codes.Shape
		case takesBlocks(t.Name, t.Shape) && t.computed():
			misfits = append(misfits, t.Name)
		case len(t.Shape) > 1:
			plainly = append(plainly, t.Name)
		}
	}
	if len(list) == len(instead) {
		return nil, &format.Error{Path: p.Reference().Path, Kind: format.KindShape, Detail: fmt.Sprintf(
			"%s: %s: no tensor is a matrix of weights whose rows are whole blocks of %d values", Quantize.Key, strings.ToLower(asked.Name), asked.Elements)}
	}
	p.note("%d of %d tensors are stored as %s in the output, all matrices of weights alike, as by llama.cpp's quantize with --pure", len(list)-len(instead), len(p.Tensors), asked.Name)
	if len(instead) > 0 {
		p.note("rows of %s are no whole blocks of %d values: stored as %s", fewNames(instead), asked.Elements, other)
	}
	if len(misfits) > 0 {
		p.note("rows of %s are no whole blocks, or too long: they stay plain", fewNames(misfits))
	}
	if len(plainly) > 0 {
		p.note("matrices that llama.cpp keeps as they are stay so: %s", fewNames(plainly))
	}
	return list, nil
}

// computed reports whether the method makes a tensor, or could.
func (t *Tensor) computed() bool { return len(t.Models) > 0 && t.DType.Computable() }

// blocksOf is how a tensor is stored where a type of blocks is asked for; false for plainly. What has the type already keeps its unchanged blocks.
func (p *planner) blocksOf(t *Tensor, asked *format.Blocks) (*quant.Encoding, bool) {
	own, stored := t.encoding()
	if !t.computed() || !takesBlocks(t.Name, t.Shape) {
		return own, stored
	}
	b := gguf.Fitting(asked, t.Shape[len(t.Shape)-1])
	if b == nil {
		return own, stored
	}
	if stored {
		if has, _ := own.InBlocks(); has == b {
			return own, true
		}
	}
	return quant.BlocksEncoding(t.Name, t.Shape, b)
}

// checkAsked refuses what the recipe or the command line alone is wrong about: an output that cannot be stored as it says.
func (p *planner) checkAsked() error {
	wrong := func(key, text string, args ...any) error {
		return p.Recipe.Problem(recipe.Position{Flag: p.flagOf(key)}, "%s: %s", key, fmt.Sprintf(text, args...))
	}
	if p.Recipe.Base == "" && p.Recipe.Params.Text("nonfinite") == "base" {
		return wrong("nonfinite", "base: there is no base model whose values could be taken")
	}
	container, err := destination.ContainerOf(p.out)
	if p.out == "" || err != nil { // which is said where the output is looked at
		return nil
	}
	types := strings.Join(gguf.Written(), ", ")
	name := p.Recipe.Params.Text(Quantize.Key)
	blocks, scheme := gguf.FindWritten(name), quant.FindNamed(name)
	switch {
	case container == destination.GGUF && blocks == nil && scheme != nil:
		return wrong(Quantize.Key, "%s is a scheme of other containers: the output %s can have %s", name, p.out, types)
	case container != destination.GGUF && blocks != nil && scheme == nil:
		return wrong(Quantize.Key, "%s is a type of GGUF, and the output %s would be no GGUF: name it *.gguf", name, p.out)
	case container != destination.GGUF:
		return nil
	}
	if d := p.Recipe.DType; d != format.Invalid && !gguf.HasType(d) {
		return wrong("dtype", "GGUF has no type for %s: the output %s can have float32, float16 or bfloat16, and with quantize %s", d.Torch(), p.out, types)
	}
	return nil
}

// flagOf is the flag that says a key of a conversion, which has no recipe; "" for a merge.
func (p *planner) flagOf(key string) string {
	if p.options.Conversion == nil {
		return ""
	}
	return "--" + strings.ReplaceAll(key, "_", "-")
}
