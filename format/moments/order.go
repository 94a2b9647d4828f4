package moments

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"weld/format"
	"weld/format/hub"
	"weld/format/lora"
	"weld/format/open"
	"weld/mmapio"
)

// The Trainer of transformers gives an optimizer two groups: parameters with weight decay, and those without, each in the order of
// Module.named_parameters. That is the order in which a model's class makes its modules, which files do not say: here are those of
// some classes, as transformers 5.23 has them. Without groups, or with other ones, the same order holds within each.

// siblings are the modules of models of a few types, in their order; where two stand in one module, they stand in this order.
type siblings struct {
	types []string // of config.json
	order []string
}

var orders = []siblings{
	{
		strings.Fields("arcee cohere cohere2 ernie4_5 exaone4 gemma gemma2 gemma3_text glm glm4 granite helium hunyuan_v1_dense llama ministral mistral nemotron olmo olmo2 olmo3 phi phi3 qwen2 qwen3 seed_oss smollm3 stablelm starcoder2"),
		strings.Fields("model embed_tokens layers norm final_layernorm lm_head self_attn mlp input_layernorm post_attention_layernorm pre_feedforward_layernorm post_feedforward_layernorm " +
			"post_self_attn_layernorm post_mlp_layernorm q_proj k_proj v_proj o_proj dense qkv_proj q_norm k_norm query_layernorm key_layernorm gate_proj gate_up_proj up_proj down_proj fc1 fc2 c_fc c_proj weight bias"),
	},
	{
		[]string{"gpt2"},
		strings.Fields("transformer wte wpe h ln_f lm_head ln_1 attn ln_2 mlp c_attn c_fc c_proj weight bias"),
	},
	{
		[]string{"bloom"},
		strings.Fields("transformer word_embeddings word_embeddings_layernorm h ln_f lm_head input_layernorm self_attention post_attention_layernorm mlp query_key_value dense dense_h_to_4h dense_4h_to_h weight bias"),
	},
}

// Parameters without weight decay, by the names that transformers goes by (trainer_pt_utils.get_parameter_names), and the layer norms of the types
// above that it knows by their class.
var (
	undecayed  = regexp.MustCompile(`(?i)bias|layernorm|rmsnorm|(?:^|\.)norm(?:$|\.)|_norm(?:$|\.)|(?:^|\.)ln_[12f]\.`)
	undecayed4 = regexp.MustCompile(`bias$`) // with versions that do not count a model's own norms
)

// named gives parameters that are numbers the names of the model's that lies beside them.
func (s *states) named(dir string, how []mmapio.Reading) ([]string, error) {
	if names := s.ownNames(); names != nil {
		return names, nil
	}
	c, err := open.Checkpoint(dir, how...)
	if err != nil {
		if err := s.ofAdapter(dir); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%s: the parameters in it have no names, and the model whose order they have is not beside it: %w", s.path, err)
	}
	defer c.Close()
	if _, ok := lora.Adapter(c); ok {
		return nil, s.ofAdapter(dir)
	}
	names, err := parameters(c)
	if err != nil {
		return nil, err
	}
	names, err = s.matched(names, c)
	if err != nil {
		return nil, err
	}
	return names, s.contradicted(names)
}

// contradicted refuses names that are not those which the optimizer was given for some of its parameters.
func (s *states) contradicted(names []string) error {
	given := s.given()
	for i, p := range s.params {
		if name, ok := given[p.key]; ok && name != names[i] {
			return s.fault(format.KindNames, names[i], "parameter %s has this name by its place, and %q in param_names, which lacks those of others", p.key, name)
		}
	}
	return nil
}

// given are the names that the optimizer was given, by the keys of parameters.
func (s *states) given() map[string]string {
	byKey := make(map[string]string)
	for _, g := range s.groups {
		for k, name := range g.names {
			byKey[g.keys[k]] = name
		}
	}
	return byKey
}

// ownNames are those that the optimizer was given.
func (s *states) ownNames() []string {
	byKey := s.given()
	names := make([]string, len(s.params))
	for i, p := range s.params {
		name, ok := byKey[p.key]
		if !ok {
			return nil
		}
		names[i] = name
	}
	return names
}

// parameters are the names of a model's parameters, in the order of Module.named_parameters.
func parameters(c format.Checkpoint) ([]string, error) {
	beside := format.Beside(c)
	fault := func(text string, args ...any) error {
		why := fmt.Errorf("the optimizer beside it has numbers for parameters, and their order is not known: "+text, args...)
		return &format.Error{Path: c.Path(), Kind: format.KindNames, Detail: why.Error()}
	}
	raw, err := beside.Read(hub.ConfigName, hub.MaxSidecar)
	if err != nil {
		return nil, err
	}
	if raw == nil {
		return nil, fault("there is no %s beside the model that says what it is", hub.ConfigName)
	}
	var config struct {
		Type string `json:"model_type"`
		Tied *bool  `json:"tie_word_embeddings"`
	}
	if err := json.Unmarshal(raw, &config); err != nil {
		return nil, fault("%s does not say what the model is (%v)", filepath.Join(c.Path(), hub.ConfigName), err)
	}
	tied := config.Tied != nil && *config.Tied
	names := make([]string, 0, len(c.Tensors()))
	for _, t := range c.Tensors() {
		if !tied || !strings.HasPrefix(t.Name, "lm_head.") { // else the same parameter as the embedding
			names = append(names, t.Name)
		}
	}
	if err := order(names, config.Type); err != nil {
		return nil, fault("%w", err)
	}
	return names, nil
}

// order brings parameters of a model of a type into the order of Module.named_parameters.
func order(names []string, model string) error {
	k := slices.IndexFunc(orders, func(o siblings) bool { return slices.Contains(o.types, model) })
	if k < 0 {
		return fmt.Errorf("weld knows that of models of the types %s; this one is %q. Trained with named parameters (torch 2.6: AdamW(model.named_parameters())), an optimizer keeps their names", strings.Join(types(), ", "), model)
	}
	rank := make(map[string]int, len(orders[k].order))
	for i, part := range orders[k].order {
		rank[part] = i
	}
	keys := make(map[string][]int, len(names))
	for _, name := range names {
		for part := range strings.SplitSeq(name, ".") {
			at, known := rank[part]
			if n, err := strconv.Atoi(part); err == nil {
				at, known = n, true
			}
			if !known {
				return fmt.Errorf("%q is no parameter that models of the type %s are known to have", name, model)
			}
			keys[name] = append(keys[name], at)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return slices.Compare(keys[a], keys[b]) })
	return nil
}

// types are those whose order is known.
func types() (list []string) {
	for _, o := range orders {
		list = append(list, o.types...)
	}
	slices.Sort(list)
	return list
}

// matched gives each of the numbered parameters its name: the numbers are in the order of the groups, and of names within each. It is an error if no
// division of the names into groups fits the sizes of the groups and the shapes of states, or if several do that name them otherwise.
func (s *states) matched(names []string, c format.Checkpoint) ([]string, error) {
	keys := make([]string, 0, len(names))
	var sizes []int
	for _, g := range s.groups {
		sizes = append(sizes, len(g.keys))
		keys = append(keys, g.keys...)
	}
	switch n, of := len(keys), len(names); {
	case n < of:
		return nil, s.fault(format.KindNames, "", "it has %d parameters, and %s has %d: %d were frozen in the training, if it is of that model, and the parameters have numbers, which do not say which. With named parameters (torch 2.6: AdamW(model.named_parameters())) an optimizer says it", n, c.Path(), of, of-n)
	case n > of:
		return nil, s.fault(format.KindNames, "", "it has %d parameters, and %s has %d: it is of another model, or of this one with something that was added to it", n, c.Path(), of)
	}
	var fits [][]string
	var worst error
	for _, without := range []*regexp.Regexp{undecayed, undecayed4, nil} {
		order, ok := divided(names, without, sizes)
		if !ok {
			continue
		}
		called := make(map[string]string, len(keys))
		for i, key := range keys {
			called[key] = order[i]
		}
		list := make([]string, len(s.params))
		for i, p := range s.params {
			list[i] = called[p.key]
		}
		if err := s.fit(list, c); err != nil {
			worst = cmp.Or(worst, err)
		} else if !slices.ContainsFunc(fits, func(other []string) bool { return slices.Equal(other, list) }) {
			fits = append(fits, list)
		}
	}
	switch {
	case len(fits) == 1:
		return fits[0], nil
	case len(fits) > 1:
		return nil, s.fault(format.KindNames, "", "its parameters are numbers, and two orders of those of %s fit them", c.Path())
	case worst != nil:
		return nil, worst
	}
	return nil, s.fault(format.KindNames, "", "its parameters are numbers in groups of %v, into which those of %s are not divided by any rule of transformers", sizes, c.Path())
}

// divided is the order of names in groups of some sizes: those that an expression does not match, then those that it does; or all in one group.
func divided(names []string, without *regexp.Regexp, sizes []int) (order []string, ok bool) {
	if without == nil {
		return names, len(sizes) == 1
	}
	var last []string
	for _, name := range names {
		if without.MatchString(name) {
			last = append(last, name)
			continue
		}
		order = append(order, name)
	}
	return append(order, last...), len(sizes) == 2 && sizes[0] == len(order)
}

// fit demands that states have the shapes of the parameters whose names they get.
func (s *states) fit(names []string, c format.Checkpoint) error {
	for i, p := range s.params {
		j, found := c.Find(names[i])
		if !found {
			return s.fault(format.KindNames, names[i], "parameter %s is none of %s", p.key, c.Path())
		}
		want := c.Tensors()[j].Shape
		if got, ok := s.shape(p); ok && !slices.Equal(got, want) {
			return s.fault(format.KindShape, names[i], "parameter %s has states of the shape %v, and the one in its place in %s is %v", p.key, got, c.Path(), want)
		}
	}
	return nil
}
