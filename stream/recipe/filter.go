package recipe

import (
	"fmt"
	"slices"
	"strings"
)

// filterRule is a value for the tensors whose names contain the filter, case and all; ""
// is in every name.
type filterRule struct {
	filter string
	kind   ValueKind
	values gradient
	unsaid bool // the method's default, which nobody wrote
}

// name is what messages call a rule.
func (r filterRule) name() string {
	if r.filter == "" {
		return "without a filter"
	}
	return fmt.Sprintf("with filter %q", r.filter)
}

func (r filterRule) matches(name string) bool { return strings.Contains(name, r.filter) }

// rules are tried in order, and the first that matches decides. Narrower scopes stand
// before wider ones, so that where no filter of a model matches, what the slice says
// counts, then what is said of all, then the default.
type rules []filterRule

// then appends the rules of a wider scope, without those that can never decide: a
// name that contains a later filter may contain an earlier one for certain.
func (rs rules) then(wider rules) rules {
	out := slices.Clip(rs)
	for _, w := range wider {
		if !slices.ContainsFunc(out, func(r filterRule) bool { return strings.Contains(w.filter, r.filter) }) {
			out = append(out, w)
		}
	}
	return out
}

// match is the index of the rule that decides for a tensor, or -1.
func (rs rules) match(name string) int {
	return slices.IndexFunc(rs, func(r filterRule) bool { return r.matches(name) })
}

// total reports that some rule decides for every tensor.
func (rs rules) total() bool { return len(rs) > 0 && rs[len(rs)-1].filter == "" }

// open reports that nobody said what holds for a tensor.
func (rs rules) open(name string) bool {
	i := rs.match(name)
	return i < 0 || rs[i].unsaid
}

// filtered reports rules that do not treat all names alike.
func (rs rules) filtered() bool {
	return slices.ContainsFunc(rs, func(r filterRule) bool { return r.filter != "" })
}

// constant returns the value of rules that give the same to every tensor.
func (rs rules) constant() (Value, bool) {
	if len(rs) == 0 || rs[0].filter != "" || len(rs[0].values) != 1 {
		return Value{}, false
	}
	return rs[0].values[0], true
}

// start is the value of the first layer where no filter matches; the zero value where
// there is none.
func (rs rules) start() Value {
	if !rs.total() {
		return Value{}
	}
	return rs[len(rs)-1].values[0]
}

// same reports rules that give the same values everywhere.
func (rs rules) same(other rules) bool {
	return slices.EqualFunc(rs, other, func(a, b filterRule) bool {
		return a.filter == b.filter && slices.EqualFunc(a.values, b.values, func(v, w Value) bool {
			return v.Text == w.Text && v.Number == w.Number && v.Bool == w.Bool
		})
	})
}
