package torch

import (
	"fmt"
	"slices"
	"strings"

	"weld/format"
	"weld/format/pickle"
)

// Named is a tensor of a state dict.
type Named struct {
	Name   string
	Tensor *Tensor
}

// Whole is the key of all that was saved.
const Whole = "."

// State finds the tensors of one state dict, in its order. Names within collections that lie in it are joined by dots.
//
// key says which one: a key of what was saved, of what is under it, and so on, joined by dots; [Whole] is all of it. Without a key, it
// is what was saved itself, or what lies in it under one key, and so on, as long as one collection alone has tensors of more than one
// element that are neither an optimizer's state nor one of a generator of random numbers. Where there are several, the error lists them.
// notes say what was chosen, and what was left out.
func (s *Saved) State(key string) (tensors []Named, notes []string, err error) {
	return State(s.archive.path, s.Value, key)
}

// State finds the tensors of one state dict in a value, as [Saved.State] does; path is for messages.
func State(path string, value any, key string) (tensors []Named, notes []string, err error) {
	c := &chooser{path: path, whole: value, census: newCensus()}
	if _, err := c.census.count(value, 0); err != nil {
		return nil, nil, c.fault(format.KindUnsupported, "no state dict: %v", err)
	}
	chosen := value
	if key == "" {
		chosen, err = c.choose()
	} else if key != Whole {
		chosen, err = c.under(key)
		c.trail = key
	}
	if err != nil {
		return nil, nil, err
	}
	c.everything = key != ""
	if err := c.flatten("", chosen); err != nil {
		return nil, nil, err
	}
	if len(c.tensors) == 0 {
		return nil, nil, c.fault(format.KindUnsupported, "no tensor is in it: %s was saved", pickle.Kind(value))
	}
	return c.tensors, c.notes(), nil
}

// chooser walks from what was saved to a state dict in it.
type chooser struct {
	path       string
	whole      any // what was saved
	census     *census
	trail      string // the keys that lead to the chosen one
	everything bool   // it was named, so that nothing is left out
	tensors    []Named
	seen       int  // values that were looked at
	left       some // what is left out
}

// Limits of what names of nested collections take, which may be shared.
const (
	maxSeen   = 1 << 24
	maxJoined = 1 << 10
)

// some are a few names of many.
type some struct {
	first []string
	count int
}

func (s *some) add(trail, key string) {
	if s.count++; len(s.first) < shown {
		s.first = append(s.first, join(excerpt(trail), excerpt(key)))
	}
}

// shown is how many names a message lists.
const shown = 5

func (s some) String() string {
	if s.count > len(s.first) {
		return fmt.Sprintf("%s, … (%d)", strings.Join(s.first, ", "), s.count)
	}
	return strings.Join(s.first, ", ")
}

func (c *chooser) fault(kind format.Kind, text string, args ...any) error {
	return &format.Error{Path: c.path, Kind: kind, Detail: fmt.Sprintf(text, args...)}
}

// weights are how many tensors of a value may be a model's. Where none of a file is larger than a number, all may be.
func (c *chooser) weights(v any, key any) int64 {
	t, _ := c.census.count(v, 0) // of what was counted
	if whole, _ := c.census.count(c.whole, 0); whole.weights == 0 && !isOptimizer(v) {
		t.weights = t.all
	}
	if isRandom(key) {
		return 0
	}
	return t.weights
}

// join adds a key to a trail.
func join(trail, key string) string {
	if trail == "" {
		return key
	}
	return trail + "." + key
}

// choose descends from what was saved while only one collection can be meant.
func (c *chooser) choose() (any, error) {
	at := c.whole
	for {
		if !isCollection(at) {
			if t, ok := at.(*Tensor); ok {
				return nil, c.fault(format.KindUnsupported, "%s was saved by itself, without a name, and no state dict", t.Kind())
			}
			return nil, c.fault(format.KindUnsupported, "no tensor is in it: %s was saved", pickle.Kind(at))
		}
		if isOptimizer(at) {
			return nil, c.fault(format.KindUnsupported, "%s, and no weights", c.describe(at))
		}
		items, _ := members(at)
		own, within := false, []pickle.Item(nil)
		for _, item := range items {
			switch n := c.weights(item.Value, item.Key); {
			case n == 0:
			case isCollection(item.Value):
				within = append(within, item)
			default:
				own = true
			}
		}
		switch {
		case own && len(within) == 0:
			return at, nil
		case own || len(within) > 1:
			return nil, c.ambiguous(own, within)
		case len(within) == 0:
			return nil, c.none(items)
		}
		key, ok := word(within[0].Key)
		if !ok {
			return nil, c.fault(format.KindUnsupported, "the only tensors in it are under %s as a key", pickle.Kind(within[0].Key))
		}
		c.leaveOut(items, within[0].Key)
		c.trail, at = join(c.trail, key), within[0].Value
	}
}

// leaveOut keeps the keys of what is not taken beside one key.
func (c *chooser) leaveOut(items []pickle.Item, taken any) {
	for _, item := range items {
		if key, ok := word(item.Key); ok && item.Key != taken {
			c.left.add(c.trail, key)
		}
	}
}

// ambiguous lists what could be meant.
func (c *chooser) ambiguous(own bool, within []pickle.Item) error {
	path := c.path
	var list []string
	for _, item := range within {
		if key, ok := word(item.Key); ok && len(list) < 8 {
			list = append(list, fmt.Sprintf("%s#%s (%s)", path, join(c.trail, excerpt(key)), c.describe(item.Value)))
		}
	}
	all := Whole
	if c.trail != "" {
		all = c.trail
	}
	beside := ""
	if own {
		beside = ", beside tensors that are in none of them"
	}
	return c.fault(format.KindIndex, "%d state dicts are in it%s: name the one that is meant, %s, or %s#%s for all, with joined names", len(within), beside, strings.Join(list, ", "), path, all)
}

// none is the error for collections without weights.
func (c *chooser) none(items []pickle.Item) error {
	var others []string
	for _, item := range items {
		if key, ok := word(item.Key); ok && isOptimizer(item.Value) {
			others = append(others, fmt.Sprintf("%s is %s", join(c.trail, key), c.describe(item.Value)))
		}
	}
	if len(others) > 0 {
		return c.fault(format.KindUnsupported, "no weights are in it: %s", strings.Join(others, ", "))
	}
	if len(items) == 0 {
		return c.fault(format.KindUnsupported, "no weights are in it: what was saved is empty")
	}
	return c.fault(format.KindUnsupported, "no weights are in it, in the values of its keys %s", keysOf(items))
}

// describe says what a collection is.
func (c *chooser) describe(v any) string {
	if !isOptimizer(v) {
		t, _ := c.census.count(v, 0)
		if t.all == 1 {
			return "1 tensor"
		}
		return fmt.Sprintf("%d tensors", t.all)
	}
	state, _ := v.(*pickle.Dict).Get("state")
	moments := ""
	if items, ok := members(state); ok && len(items) > 0 {
		if of, ok := members(items[0].Value); ok {
			moments = " (" + keysOf(of).String() + ")"
		}
	}
	return "an optimizer's state" + moments
}

// keysOf are the keys that can be shown.
func keysOf(items []pickle.Item) (keys some) {
	for _, item := range items {
		if key, ok := word(item.Key); ok {
			keys.add("", key)
		}
	}
	return keys
}

// under finds what a key of dotted parts means. A key may have dots itself: the longest one is tried first.
func (c *chooser) under(key string) (any, error) {
	found, ok := descend(c.whole, key, 0)
	if !ok {
		items, _ := members(c.whole)
		return nil, c.fault(format.KindKey, "there is no %q in it; its keys are %s", excerpt(key), keysOf(items))
	}
	if !isCollection(found) {
		return nil, c.fault(format.KindUnsupported, "%q is %s, and no state dict", excerpt(key), pickle.Kind(found))
	}
	return found, nil
}

func descend(v any, key string, depth int) (found any, ok bool) {
	items, isCollection := members(v)
	if !isCollection || depth == maxDepth {
		return nil, false
	}
	for end := len(key); end > 0; end = strings.LastIndexByte(key[:end], '.') {
		i := slices.IndexFunc(items, func(item pickle.Item) bool { w, ok := word(item.Key); return ok && w == key[:end] })
		if i < 0 {
			continue
		}
		if end == len(key) {
			return items[i].Value, true
		}
		if found, ok := descend(items[i].Value, key[end+1:], depth+1); ok {
			return found, true
		}
	}
	return nil, false
}

// flatten lists the tensors of a collection, whose names begin with a trail.
func (c *chooser) flatten(trail string, v any) error {
	items, _ := members(v)
	if c.seen += len(items); c.seen > maxSeen {
		return c.fault(format.KindUnsupported, "no state dict: more than %d values are in it", maxSeen)
	}
	for _, item := range items {
		if err := c.take(trail, item); err != nil {
			return err
		}
	}
	return nil
}

// take lists a tensor, or those of a collection.
func (c *chooser) take(trail string, item pickle.Item) error {
	key, named := word(item.Key)
	if trail != "" && len(trail)+len(key) > maxJoined {
		return c.fault(format.KindUnsupported, "no state dict: names of more than %d bytes, with those of the collections around them", maxJoined)
	}
	of, _ := c.census.count(item.Value, 0)
	array, isArray := item.Value.(*Array)
	switch t, isTensor := item.Value.(*Tensor); {
	case isArray && len(array.Shape) > 0:
		return &format.Error{Path: c.path, Tensor: join(trail, key), Kind: format.KindUnsupported, Detail: array.Kind() + " in the place of a tensor"}
	case of.all == 0 || !c.everything && (isRandom(item.Key) || isOptimizer(item.Value)):
		c.left.add(trail, key)
	case !named:
		return c.fault(format.KindUnsupported, "tensors under %s as a key", pickle.Kind(item.Key))
	case !isTensor:
		return c.flatten(join(trail, key), item.Value)
	case len(c.tensors) == maxEntries:
		return c.fault(format.KindHeaderSize, "more than %d tensors", maxEntries)
	default:
		c.tensors = append(c.tensors, Named{join(trail, key), t})
	}
	return nil
}

// notes say what was chosen and what was left out.
func (c *chooser) notes() (notes []string) {
	path := c.path
	if c.trail != "" && !c.everything {
		notes = append(notes, fmt.Sprintf("%s: the state dict under %s is taken", path, excerpt(c.trail)))
	}
	if c.left.count > 0 {
		notes = append(notes, fmt.Sprintf("%s: left out, as no weights: %v", path, c.left))
	}
	return notes
}
