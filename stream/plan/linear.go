package plan

import (
	"regexp"
	"slices"
	"strings"

	"weld/format"
	"weld/format/hub"
	"weld/format/quant"
	"weld/stream/layers"
)

// Files do not say of which class a module is. A weight is taken for that of a Linear module in a layer of a language model, which
// schemes of codes are for, by its shape and name: M.weight of two dimensions, in a layer with a number, with nothing in
// its name that speaks of another kind of module, or of one that libraries never convert.

// Parts of names that speak against a Linear module, or against one that is converted.
var (
	otherModules = regexp.MustCompile(`embed|norm|conv|bias|vision|visual|image|audio|speech`) // anywhere in a part
	neverCoded   = []string{
		"wte", "wpe", "head", // embeddings, output layers
		"gate", "router", "ffn_gate_inp", "ffn_gate_inp_shexp", // of experts, whose choice is never rounded
		"vit", "vpm", "apm", "resampler", // towers
		"eh_proj", "weights_proj", // DeepSeek's: vLLM has them plain
	}
	neverEnds = []string{"_head", "expert_gate"}
)

// linears tells the weights of Linear modules in layers of a language model.
type linears struct{ turned func(name string) bool }

// linearsOf are those of a model with a config.json.
func linearsOf(config []byte) linears { return linears{quant.Turned(config)} }

// has reports whether a tensor is one.
func (l linears) has(name string, shape []int64) bool {
	module, weight := strings.CutSuffix(name, ".weight")
	if !weight || len(shape) != 2 || !hasNumber(module) || l.turned(name) {
		return false
	}
	if part, _ := layers.SubmodelOf(name); part == hub.Vision || part == hub.Audio || part == hub.Projector {
		return false
	}
	for part := range strings.SplitSeq(module, ".") {
		if otherModules.MatchString(part) || slices.Contains(neverCoded, part) || slices.ContainsFunc(neverEnds, func(end string) bool { return strings.HasSuffix(part, end) }) {
			return false
		}
	}
	return true
}

// hasNumber reports whether a module is in a list of modules.
func hasNumber(module string) bool {
	for part := range strings.SplitSeq(module, ".") {
		if part != "" && strings.Trim(part, "0123456789") == "" {
			return true
		}
	}
	return false
}

// moduleNamed is the module that a tensor belongs to.
func moduleNamed(tensor string) string { return tensor[:max(0, strings.LastIndexByte(tensor, '.'))] }

// expertsOf is the list of experts that a module belongs to; "" for none. Libraries convert all of them or none.
func expertsOf(module string) string {
	head, tail, ok := strings.Cut(module, ".experts.")
	if number, _, _ := strings.Cut(tail, "."); !ok || strings.Trim(number, "0123456789") != "" {
		return ""
	}
	return head + ".experts"
}

// expertsIn reports whether a tensor belongs to a list of experts.
func expertsIn(tensor string) bool { return strings.Contains(tensor, ".experts.") }

// embeddings are modules that no library takes for Linear ones, and need not be named.
var embeddings = []string{"embed_tokens", "wte", "wpe", "word_embeddings", "embed_in", "tok_embeddings"}

// plainModules are the modules whose tensors of several dimensions stay plain, in the order of the tensors, and lists of experts that are of such
// alone. A configuration that names them names nothing that is stored as codes. coded are the modules that are.
func plainModules(tensors []format.Tensor, coded []string) (plain []string) {
	around := make(map[string]bool) // and what lies around them
	for _, module := range coded {
		for at := module; at != "" && !around[at]; at = moduleNamed(at) {
			around[at] = true
		}
	}
	add := func(module string) {
		if module != "" && !around[module] {
			around[module] = true // once
			plain = append(plain, module)
		}
	}
	for _, t := range tensors {
		if module := moduleNamed(t.Name); len(t.Shape) > 1 && !slices.Contains(embeddings, module[strings.LastIndexByte(module, '.')+1:]) {
			add(expertsOf(moduleNamed(t.Name)))
			add(moduleNamed(t.Name))
		}
	}
	add(tiedHead)
	return plain
}

// tiedHead is the output layer that a model has in memory also where its files have none.
const tiedHead = "lm_head"
