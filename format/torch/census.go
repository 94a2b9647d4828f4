package torch

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"weld/format"
	"weld/format/pickle"
)

// maxDepth is how deep collections may lie in each other.
const maxDepth = 64

// census counts tensors in collections, each collection once: they may share others, and hold themselves.
type census struct {
	counts map[any]tally // by the identity of a collection
	open   map[any]bool
}

// tally is the number of tensors in a collection, at any depth.
type tally struct {
	all     int64
	weights int64 // those of more than one element that are no state of an optimizer and of no generator of random numbers
}

func newCensus() *census {
	return &census{make(map[any]tally), make(map[any]bool)}
}

// limit keeps a sum from overflowing, where collections are shared again and again.
const limit = 1 << 40

func (t tally) plus(o tally) tally {
	return tally{min(limit, t.all+o.all), min(limit, t.weights+o.weights)}
}

// members are the values of a collection with their keys, in order; ok is false for what is none.
func members(v any) (items []pickle.Item, ok bool) {
	if d, isDict := v.(*pickle.Dict); isDict {
		return d.Items, true
	}
	list, ok := pickle.Sequence(v)
	if !ok {
		return nil, false
	}
	items = make([]pickle.Item, len(list))
	for i, x := range list {
		items[i] = pickle.Item{Key: int64(i), Value: x}
	}
	return items, true
}

// identity is the same for the same collection alone; nil for one without members, and for what is none.
func identity(v any) any {
	switch v := v.(type) {
	case *pickle.Dict:
		return v
	case *pickle.List:
		return v
	case pickle.Tuple:
		if len(v) > 0 {
			return &v[0]
		}
	}
	return nil
}

// errTangled is a value that no state dict is.
var errTangled = fmt.Errorf("collections lie in each other more than %d deep", maxDepth)

// count counts the tensors of a value.
func (c *census) count(v any, depth int) (tally, error) {
	if t, ok := v.(*Tensor); ok {
		return tally{1, weight(t)}, nil
	}
	id := identity(v)
	sum, known := c.counts[id]
	switch {
	case id == nil || known:
		return sum, nil
	case c.open[id]:
		return tally{}, errors.New("a collection holds itself")
	case depth == maxDepth:
		return tally{}, errTangled
	}
	c.open[id] = true
	defer delete(c.open, id)
	items, _ := members(v)
	for _, item := range items {
		of, err := c.count(item.Value, depth+1)
		if err != nil {
			return tally{}, err
		}
		if isRandom(item.Key) {
			of.weights = 0
		}
		sum = sum.plus(of)
	}
	if isOptimizer(v) {
		sum.weights = 0
	}
	c.counts[id] = sum
	return sum, nil
}

func isCollection(v any) bool {
	switch v.(type) {
	case *pickle.Dict, *pickle.List, pickle.Tuple:
		return true
	}
	return false
}

// weight is 1 for a tensor of more than one element.
func weight(t *Tensor) int64 {
	if n, _ := format.Elements(t.Shape); n == 1 && t.odd == nil {
		return 0
	}
	return 1
}

// isOptimizer reports whether a value is what torch.optim.Optimizer.state_dict returns, or that with keys that are joined by dots,
// as torch.distributed.checkpoint.state_dict makes it (flatten_optimizer_state_dict).
func isOptimizer(v any) bool {
	d, ok := v.(*pickle.Dict)
	if !ok {
		return false
	}
	var state, groups bool
	for _, item := range d.Items {
		key, _ := item.Key.(string)
		first, _, _ := strings.Cut(key, ".")
		state, groups = state || first == "state", groups || first == "param_groups"
	}
	return state && groups
}

// isRandom reports whether a key is that of the state of a generator of random numbers, as trainers call it.
func isRandom(key any) bool {
	s, ok := key.(string)
	return ok && (strings.Contains(s, "rng_state") || strings.Contains(s, "random_state"))
}

// word is a key as a part of a name; ok is false for what is neither text nor a number.
func word(key any) (s string, ok bool) {
	switch key := key.(type) {
	case string:
		return key, true
	case int64:
		return strconv.FormatInt(key, 10), true
	}
	return "", false
}
