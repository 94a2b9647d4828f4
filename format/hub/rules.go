package hub

import (
	"slices"
	"strconv"
	"strings"
)

// law says by the numbers of a configuration of which of two kinds layer i of n is.
type law struct {
	holds func(v []int64, i, n int64) bool
	least int64 // number that is written: architectures divide by steps
}

// Laws that architectures have, as transformers 5.23 computes them.
var (
	fromOn   = law{func(v []int64, i, _ int64) bool { return i >= v[0] }, 0}
	upTo     = law{func(v []int64, i, _ int64) bool { return i <= v[0] || v[0] == -1 }, 0}
	lastOf   = law{func(v []int64, i, n int64) bool { return i >= n-v[0] }, 0}
	everyEnd = law{func(v []int64, i, _ int64) bool { return v[0] > 0 && (i+1)%v[0] == 0 }, 1}
	every    = law{func(v []int64, i, _ int64) bool { return v[0] > 0 && i%v[0] == 0 }, 1}
	periodic = law{func(v []int64, i, _ int64) bool { return v[0] > 0 && i%v[0] == v[1] }, 1}
)

// laws are those of single numbers. Where architectures understand a key in different ways, all of them have
// to come out right.
var laws = map[string][]law{
	"first_k_dense_replace": {fromOn}, "num_dense_layers": {fromOn}, "moe_layer_start_index": {fromOn}, "max_window_layers": {fromOn},
	"moe_layer_end_index":  {upTo},
	"num_kv_shared_layers": {lastOf},
	"decoder_sparse_step":  {everyEnd}, "encoder_sparse_step": {everyEnd}, "moe_layer_interval": {everyEnd}, "interleave_moe_layer_step": {everyEnd}, "full_attention_interval": {everyEnd},
	"layer_group_size": {everyEnd}, "sliding_window_pattern": {everyEnd}, "no_rope_layer_interval": {everyEnd},
	"moe_layer_freq": {every}, "global_attn_every_n_layers": {everyEnd, every},
}

// gates are keys that switch a number off.
var gates = map[string]string{"max_window_layers": "use_sliding_window"}

// Endings of the keys of a pair.
const (
	periodEnding = "_layer_period"
	offsetEnding = "_layer_offset"
)

// Keys of the models that list exceptions from a step.
const (
	stepKey      = "decoder_sparse_step"
	exceptionKey = "mlp_only_layers"
)

// rule is the way of numbers.
type rule struct {
	speaker
	members []member
	values  []int64
	laws    []law
}

// rule reports whether a member is a number that says which layers are of which kind; nil if not.
func (c speaker) rule(m member) way {
	value, err := strconv.ParseInt(string(c.doc[m.start:m.end]), 10, 64)
	if err != nil {
		return nil
	}
	r := rule{c, []member{m}, []int64{value}, laws[m.key]}
	if stem, ok := strings.CutSuffix(m.key, periodEnding); ok {
		offset, ok := c.beside(m, stem+offsetEnding)
		if !ok {
			return nil
		}
		second, err := strconv.ParseInt(string(c.doc[offset.start:offset.end]), 10, 64)
		if err != nil {
			return nil
		}
		return rule{c, []member{m, offset}, []int64{value, second}, []law{periodic}}
	}
	if r.laws == nil || c.off(m) {
		return nil
	}
	if exceptions, ok := c.exceptions(m); ok {
		return sparse{r, exceptions}
	}
	return r
}

// off reports a number that has no effect, by what stands beside it.
func (c speaker) off(m member) bool {
	gate, ok := c.beside(m, gates[m.key])
	return ok && string(c.doc[gate.start:gate.end]) == "false"
}

// beside finds a member of the same object.
func (c speaker) beside(m member, key string) (member, bool) {
	i := slices.IndexFunc(c.all, func(x member) bool { return x.key == key && slices.Equal(x.path, m.path) })
	if i < 0 {
		return member{}, false
	}
	return c.all[i], true
}

func (w rule) kinds() []string { return w.under(w.values, w.layers) }

// under are the kinds of n layers by other numbers.
func (w rule) under(values []int64, n int64) []string {
	kinds := make([]string, n)
	for i := range kinds {
		kinds[i] = w.kind(values, int64(i), n)
	}
	return kinds
}

// kind is a letter for each law: whether it holds.
func (w rule) kind(values []int64, i, n int64) string {
	kind := make([]byte, len(w.laws))
	for k, law := range w.laws {
		kind[k] = no
		if law.holds(values, i, n) {
			kind[k] = yes
		}
	}
	return string(kind)
}

const yes, no = 'y', 'n'

// say reports whether some numbers give the kinds.
func (w rule) say(values []int64, kinds []string) bool {
	for i, kind := range kinds {
		if w.kind(values, int64(i), int64(len(kinds))) != kind {
			return false
		}
	}
	return true
}

func (w rule) put(kinds []string, _ int64) ([]textEdit, bool) {
	values, ok := w.solve(kinds)
	var edits []textEdit
	for i, m := range w.members {
		if ok && values[i] != w.values[i] {
			edits = append(edits, textEdit{m.span, strconv.AppendInt(nil, values[i], 10)})
		}
	}
	return edits, ok
}

// solve finds numbers that give the kinds: those that are there if they do, else the smallest.
func (w rule) solve(kinds []string) (values []int64, ok bool) {
	if w.say(w.values, kinds) {
		return w.values, true
	}
	n := int64(len(kinds))
	if len(w.values) == 2 { // a period is no longer than to where the kinds begin again
		for p := int64(1); p <= n; p++ {
			for o := range p {
				if values = []int64{p, o}; w.say(values, kinds) {
					return values, true
				}
			}
		}
		return nil, false
	}
	for v := w.laws[0].least; v < n+2; v++ {
		if values = []int64{v}; w.say(values, kinds) {
			return values, true
		}
	}
	return nil, false
}

// sparse are a step, and a list of layers that are dense whatever it says.
type sparse struct {
	rule
	but named
}

// exceptions finds the list beside a step.
func (c speaker) exceptions(step member) (named, bool) {
	m, ok := c.beside(step, exceptionKey)
	if step.key != stepKey || !ok || c.doc[m.start] != '[' {
		return named{}, false
	}
	w, _ := c.list(m)
	but, ok := w.(named)
	return but, ok
}

func (w sparse) kinds() []string {
	kinds := w.rule.kinds()
	for i, dense := range w.but.kinds() {
		if dense == string(yes) {
			kinds[i] = string(no)
		}
	}
	return kinds
}

// put leaves the step where it is no contradiction, else says all by the list.
func (w sparse) put(kinds []string, _ int64) ([]textEdit, bool) {
	if slices.Equal(kinds, w.kinds()) {
		return nil, true
	}
	dense := make([]string, len(kinds))
	stepped := w.under(w.values, int64(len(kinds)))
	keep := true
	for i, kind := range kinds {
		dense[i] = string(no)
		if kind == string(no) && stepped[i] == string(yes) {
			dense[i] = string(yes)
		}
		keep = keep && !(kind == string(yes) && stepped[i] == string(no))
	}
	if keep {
		return w.but.put(dense, 0)
	}
	edits := []textEdit{{w.members[0].span, []byte("1")}}
	return append(edits, w.but.relist(w.but.m, w.but.items, numbersOf(kinds, string(no)))...), true
}
