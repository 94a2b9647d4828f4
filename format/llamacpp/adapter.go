package llamacpp

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"weld/format"
	"weld/format/gguf"
)

// An adapter in GGUF has two factors for a tensor, NAME.lora_a [rank, in] and NAME.lora_b [out, rank], and adapter.lora.alpha: what is added is
// alpha/rank · b·a, or b·a where alpha is 0 (llama-adapter.h). Rows of b have the order of the tensor's.

// The keys of adapters.
const (
	adapterTypeKey = "adapter.type"
	alphaKey       = "adapter.lora.alpha"
	activatedKey   = "adapter.alora.invocation_tokens"
)

// The endings of factors, and what PEFT calls them.
const (
	endA, endB   = ".lora_a", ".lora_b"
	peftA, peftB = ".lora_A.weight", ".lora_B.weight"
	peftPrefix   = "base_model.model."
)

// IsAdapter reports whether a file says that it is an adapter.
func IsAdapter(file *gguf.Checkpoint) bool {
	v, _ := file.Value(typeKey)
	kind, _ := v.Text()
	return kind == "adapter"
}

// Adapter is an adapter in GGUF as PEFT has it.
type Adapter struct {
	Checkpoint format.Checkpoint // under PEFT's names
	Config     []byte            // what adapter_config.json would say
}

// adapting makes an adapter for a base.
type adapting struct {
	*mapping // of the base, where it is of the Hub; else without an architecture
	file     *gguf.Checkpoint
	ranks    map[string]int64 // of each module
	halves   map[string]string
}

// ForBase shows an adapter under PEFT's names, for a base: in GGUF, or of the Hub with its configuration beside it. values are those of
// file, decoded. Closing the adapter's checkpoint closes values.
func ForBase(values format.Checkpoint, file *gguf.Checkpoint, base format.Checkpoint) (*Adapter, error) {
	a := &adapting{mapping: &mapping{Checkpoint: values, toHub: true}, file: file, ranks: make(map[string]int64), halves: make(map[string]string)}
	alpha, err := a.check(base)
	if err != nil {
		return nil, err
	}
	for i, t := range values.Tensors() {
		if err := a.add(i, t); err != nil {
			return nil, err
		}
	}
	for module, half := range a.halves {
		return nil, a.refuse(half, format.KindNames, "the other factor for %q is not there", module)
	}
	if len(a.ranks) == 0 {
		return nil, &format.Error{Path: file.Path(), Kind: format.KindNames, Detail: "it says that it is an adapter, and has no factors"}
	}
	config, err := a.config(alpha)
	if err != nil {
		return nil, err
	}
	shown, err := show(values, a.parts)
	return &Adapter{shown, config}, err
}

// check demands an adapter of a kind that is added to weights, and a base that it is for; it gives alpha.
func (a *adapting) check(base format.Checkpoint) (alpha float64, err error) {
	refuse := func(kind format.Kind, text string, args ...any) (float64, error) {
		return 0, &format.Error{Path: a.file.Path(), Kind: kind, Detail: fmt.Sprintf(text, args...)}
	}
	text := func(c *gguf.Checkpoint, key string) string {
		v, _ := c.Value(key)
		s, _ := v.Text()
		return s
	}
	if kind := text(a.file, adapterTypeKey); kind != "lora" {
		return refuse(format.KindUnsupported, "%s is %q, and weld adds adapters of lora to weights", adapterTypeKey, kind)
	}
	if _, ok := a.file.Value(activatedKey); ok {
		return refuse(format.KindUnsupported, "an activated adapter (%s) acts on some tokens alone and cannot be merged", activatedKey)
	}
	if v, ok := a.file.Value(alphaKey); ok {
		if alpha, ok = v.Float(); !ok || math.IsNaN(alpha) || math.IsInf(alpha, 0) {
			return refuse(format.KindMetadata, "%s is %v, and no number", alphaKey, v)
		}
	}
	name := text(a.file, architectureKey)
	if in := gguf.Within(base); in != nil {
		if of := text(in, architectureKey); of != name {
			return refuse(format.KindMetadata, "it is for models of %q, and %s is one of %q", name, base.Path(), of)
		}
		return alpha, nil
	}
	g := &GGUF{path: base.Path(), beside: besideOf(base), mapping: a.mapping}
	if err := g.readConfig(); err != nil {
		return 0, err
	}
	if err := g.describe(); err != nil {
		return 0, err
	}
	if a.Name != name {
		return refuse(format.KindMetadata, "it is for models of %q, and %s is one of %q", name, base.Path(), a.Name)
	}
	return alpha, nil
}

// add shows one factor.
func (a *adapting) add(i int, t format.Tensor) error {
	of, end := strings.CutSuffix(t.Name, endA)
	peft := peftA
	if !end {
		if of, end = strings.CutSuffix(t.Name, endB); !end {
			return a.refuse(t.Name, format.KindUnsupported, "an adapter's tensor that is no factor: llama.cpp leaves it out, and a model that was trained with it is another")
		}
		peft = peftB
	}
	module, isWeight := strings.CutSuffix(of, ".weight")
	rank := len(t.Shape) - 1
	switch {
	case !isWeight || len(t.Shape) < 2 || slices.Contains(t.Shape, 0):
		return a.refuse(t.Name, format.KindShape, "shape %v, and a factor for a matrix was expected", t.Shape)
	case of == "token_embd.weight":
		return a.refuse(t.Name, format.KindUnsupported, "an adapter for embeddings, whose factors llama.cpp has the other way round: apply it in PEFT, and merge the result")
	}
	if peft == peftA {
		rank--
	}
	if had, again := a.ranks[of]; again && had != t.Shape[rank] {
		return a.refuse(t.Name, format.KindShape, "its rank is %d, and that of the other factor %d", t.Shape[rank], had)
	}
	a.ranks[of] = t.Shape[rank]
	if _, both := a.halves[of]; both {
		delete(a.halves, of)
	} else {
		a.halves[of] = t.Name
	}
	return a.place(i, t, of, module, peft)
}

// place shows a factor under the name of the base's module.
func (a *adapting) place(i int, t format.Tensor, of, module, peft string) error {
	p := part{from: []int{i}, tensor: t}
	if a.Architecture == nil { // names are the base's
		if len(t.Shape) != 2 {
			return a.refuse(t.Name, format.KindUnsupported, "an adapter for stacked experts: weld convert the base into a directory, and add it there")
		}
		p.tensor.Name = peftPrefix + module + peft
		a.parts = append(a.parts, p)
		return nil
	}
	r, layer, ok := a.rowOf(of)
	if !ok || r.how == norm {
		return a.refuse(t.Name, format.KindNames, "no model of %s in the Hub has a matrix that %q is", a.Model, of)
	}
	hub := strings.TrimSuffix(layer+r.hub, ".weight")
	if r.how == stacked {
		return a.splitFactor(i, t, hub, peft)
	}
	if len(t.Shape) != 2 {
		return a.refuse(t.Name, format.KindShape, "shape %v, and a matrix was expected", t.Shape)
	}
	if turned := r.how == queryHeads || r.how == keyHeads; turned && peft == peftB && a.pairs {
		if p.order = (order{head: a.sizes[head], toHub: true}); t.Shape[0]%p.order.head != 0 {
			return a.refuse(t.Name, format.KindShape, "%d rows are no whole heads of %d", t.Shape[0], p.order.head)
		}
	}
	p.tensor.Name = peftPrefix + hub + peft
	a.parts = append(a.parts, p)
	return nil
}

// splitFactor shows a factor of all experts as those of each.
func (a *adapting) splitFactor(i int, t format.Tensor, hub, peft string) error {
	if len(t.Shape) != 3 || t.Shape[0] != a.sizes[experts] {
		return a.refuse(t.Name, format.KindShape, "shape %v, and one factor for each of %d experts was expected", t.Shape, a.sizes[experts])
	}
	for e := range t.Shape[0] {
		name := peftPrefix + strings.Replace(hub, expert, strconv.FormatInt(e, 10), 1) + peft
		a.expert(name, i, e*t.Shape[1]*t.Shape[2], t.Shape[1:])
	}
	return nil
}

// rowOf finds the row of the table that a tensor of llama.cpp's is, and what goes before its name in the Hub.
func (a *adapting) rowOf(name string) (r row, layer string, ok bool) {
	rows := a.outside
	if rest, inside := strings.CutPrefix(name, "blk."); inside {
		number, end, _ := strings.Cut(rest, ".")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n < 0 || n >= a.layers {
			return row{}, "", false
		}
		rows, name, layer = a.layer, end, "model.layers."+number+"."
	}
	for _, r := range rows {
		if r.gguf == name {
			return r, layer, true
		}
	}
	return row{}, "", false
}

// config is what PEFT's configuration would say of it.
func (a *adapting) config(alpha float64) ([]byte, error) {
	most := int64(1)
	for _, r := range a.ranks {
		most = max(most, r)
	}
	ranks, alphas := make(map[string]int64), make(map[string]int64)
	for of, r := range a.ranks {
		if r == most {
			continue
		}
		module := strings.TrimSuffix(of, ".weight")
		if a.Architecture != nil {
			row, layer, _ := a.rowOf(of)
			module = strings.TrimSuffix(layer+row.hub, ".weight")
		}
		module = strings.Replace(regexp.QuoteMeta(module), expert, "[0-9]+", 1)
		ranks[module] = r
		if alpha == 0 {
			alphas[module] = r
		}
	}
	if alpha == 0 { // which is a factor of 1
		alpha = float64(most)
	}
	return json.Marshal(map[string]any{"peft_type": "LORA", "bias": "none", "r": most, "lora_alpha": alpha, "rank_pattern": ranks, "alpha_pattern": alphas})
}
