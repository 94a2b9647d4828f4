package hub

import (
	"slices"
	"strconv"
	"strings"
)

// Layers of a model may be of several kinds: dense or with experts, of one kind of attention or another. A
// configuration says which are which in few ways: a list with an entry for each layer, a list of layers, a
// text with a letter for each, or numbers such as a period. They are distinguished by the member's key, and not by
// the architecture.

// way is how one member of a configuration, or a pair of them, distinguishes layers.
type way interface {
	// kinds are those of the layers of the model that the configuration is of.
	kinds() []string
	// put writes other kinds; ok is false where this way has no words for them. spare is the number of
	// layers that are stored behind them.
	put(kinds []string, spare int64) (edits []textEdit, ok bool)
}

// MostLayers is more than any model has, and few enough to try every number. What a configuration says of the
// kinds of more is not looked at.
const MostLayers = 4096

// speaker is a configuration with the size of one of its parts.
type speaker struct {
	doc           []byte
	all           []member
	layers, spare int64 // those that count, and those that are stored behind them
}

// wayOf says how a member speaks of layers: not at all (nil), or in a way that cannot be followed (unsure).
func (c speaker) wayOf(m member) (w way, unsure bool) {
	if m.start == m.end || c.layers > MostLayers || strings.Contains(m.key, "mtp") { // of layers that predict further tokens
		return nil, false
	}
	switch c.doc[m.start] {
	case '[':
		return c.list(m)
	case '"':
		return c.letters(m)
	}
	return c.rule(m), false
}

// Keys of lists and texts.
var (
	// perLayerKeys have an entry for each layer where they hold a list, as have all with "layer" or "block"
	// in their names.
	perLayerKeys = []string{
		"sliding_window_pattern", "activation_sparsity_pattern", "ffn_multipliers", "intermediate_size",
		"num_attention_heads", "num_key_value_heads", "num_query_heads", "num_kv_heads",
		"attn_type_list", "attention_window", "indexer_types",
	}
	// namingKeys name the layers of a kind.
	namingKeys = []string{
		"mlp_only_layers", "moe_layers", "full_attn_idxs", "attn_layer_indices", "cross_attention_layers", "hybrid_layer_ids",
		"local_layer_ids", "rope_scaling_layers", "ple_layer_ids", "global_attn_indexes", "fullatt_block_indexes",
		"window_block_indexes", "window_block_indices", "look_ahead_layers", "look_backward_layers",
	}
	// cycledKeys are repeated until there is an entry for each layer.
	cycledKeys = []string{"block_types", "sliding_window_pattern", "index_topk_pattern"}
	// pointingKeys have an entry for each layer that names another layer.
	pointingKeys = []string{"kv_source_layers"}
)

// list says by a list's key and entries what it says of layers. As many entries as layers alone say nothing:
// eos_token_id has two, and so may a model have layers. Numbers that are all different and all of layers may
// name some.
func (c speaker) list(m member) (w way, unsure bool) {
	items, ok := entries(c.doc, m.span)
	speaks := strings.Contains(m.key, "layer") || strings.Contains(m.key, "block")
	known := slices.Contains(perLayerKeys, m.key)
	of, numbers := c.layersIn(items)
	switch n := int64(len(items)); {
	case !ok:
		return nil, false
	case slices.Contains(namingKeys, m.key) && len(of) == len(items):
		return named{c, m, items, of}, false
	case slices.Contains(cycledKeys, m.key) && n > 0 && n < c.layers:
		return cycled{c, m, items, true}, false
	case n == 0 || !speaks && !known && !strings.Contains(m.key, "index") && !strings.Contains(m.key, "indices"):
		return nil, false
	case !speaks && !known: // what takes the outputs of single layers
		return nil, numbers
	case n != c.layers && (n != c.layers+c.spare || c.spare == 0):
		return nil, speaks
	case speaks && numbers || slices.Contains(pointingKeys, m.key):
		return nil, true
	}
	return each{c, m, items}, false
}

// layersIn reads entries that are numbers of layers; distinct says that they all are, counted from the end
// too, and that no two are the same.
func (c speaker) layersIn(items []span) (of []int64, distinct bool) {
	seen := make(map[int64]bool)
	for _, e := range items {
		i, err := strconv.ParseInt(string(c.doc[e.start:e.end]), 10, 64)
		if err != nil || i >= c.layers {
			continue
		}
		seen[i] = true
		if i >= 0 {
			of = append(of, i)
		}
	}
	return of, len(seen) == len(items)
}

// letters reports whether a text has a letter for each layer.
func (c speaker) letters(m member) (w way, unsure bool) {
	text := string(c.doc[m.start+1 : m.end-1])
	if !strings.HasSuffix(m.key, "pattern") || text == "" || strings.ContainsFunc(text, func(r rune) bool { return r == '\\' || r > '~' || r <= ' ' }) {
		return nil, false
	}
	items := make([]span, len(text))
	for i := range items {
		items[i] = span{m.start + 1 + i, m.start + 2 + i}
	}
	switch n := int64(len(text)); {
	case n == c.layers:
		return cycled{c, m, items, false}, false
	case n < c.layers && slices.Contains(cycledKeys, m.key):
		return cycled{c, m, items, false}, false
	}
	return nil, true
}

func (c speaker) texts(items []span) []string {
	texts := make([]string, len(items))
	for i, e := range items {
		texts[i] = string(c.doc[e.start:e.end])
	}
	return texts
}

// each is a list with an entry for each layer, those included that are stored behind the ones that count
// where it has as many.
type each struct {
	speaker
	m     member
	items []span
}

func (w each) kinds() []string { return w.texts(w.items[:w.layers]) }

func (w each) put(kinds []string, spare int64) ([]textEdit, bool) {
	behind := w.texts(w.items[w.layers:])
	switch {
	case spare == 0:
		behind = nil
	case len(behind) > 0 && int64(len(behind)) != spare:
		return nil, false
	}
	return w.relist(w.m, w.items, append(slices.Clone(kinds), behind...)), true
}

// relist writes a list in the layout of the one that is there; nothing where it stays as it is.
func (c speaker) relist(m member, items []span, texts []string) []textEdit {
	if slices.Equal(texts, c.texts(items)) {
		return nil
	}
	between, head, tail := ", ", "[", "]"
	if len(items) > 0 {
		head, tail = string(c.doc[m.start:items[0].start]), string(c.doc[items[len(items)-1].end:m.end])
	}
	if len(items) > 1 {
		between = string(c.doc[items[0].end:items[1].start])
	}
	if len(texts) == 0 {
		head, tail = "[", "]"
	}
	return []textEdit{{m.span, []byte(head + strings.Join(texts, between) + tail)}}
}

// named is a list of the layers of a kind.
type named struct {
	speaker
	m     member
	items []span
	of    []int64
}

func (w named) kinds() []string {
	kinds := make([]string, w.layers)
	for i := range kinds {
		kinds[i] = string(no)
		if slices.Contains(w.of, int64(i)) {
			kinds[i] = string(yes)
		}
	}
	return kinds
}

func (w named) put(kinds []string, _ int64) ([]textEdit, bool) {
	if slices.Equal(kinds, w.kinds()) {
		return nil, true
	}
	return w.relist(w.m, w.items, numbersOf(kinds, string(yes))), true
}

// numbersOf lists the layers of a kind.
func numbersOf(kinds []string, kind string) (texts []string) {
	for i, k := range kinds {
		if k == kind {
			texts = append(texts, strconv.Itoa(i))
		}
	}
	return texts
}

// cycled are entries of a list, or letters of a text, that are repeated where there are fewer than layers.
type cycled struct {
	speaker
	m     member
	items []span
	list  bool
}

func (w cycled) kinds() []string { return cycle(w.texts(w.items), int(w.layers)) }

func cycle(texts []string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = texts[i%len(texts)]
	}
	return out
}

func (w cycled) put(kinds []string, _ int64) ([]textEdit, bool) {
	short := int64(len(w.items)) < w.layers
	if slices.Equal(kinds, cycle(w.texts(w.items), len(kinds))) && (short || len(kinds) == len(w.items)) {
		return nil, true
	}
	if w.list {
		return w.relist(w.m, w.items, kinds), true
	}
	return []textEdit{{w.m.span, []byte(`"` + strings.Join(kinds, "") + `"`)}}, true
}
