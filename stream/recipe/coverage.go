package recipe

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
)

// Coverage watches the filters of a recipe while tensors are looked at: which tensors no filter
// decides for, and which filters decide for no tensor. The zero value is not useful: [Recipe.Coverage].
type Coverage struct {
	recipe    *Recipe
	none      bool // there are no filters to watch
	filters   map[*paramSet][]watched
	unmatched map[written]bool // filters that were tried, and whether none matched so far
	uncovered map[written]gap
}

// watched is a key with filters.
type watched struct {
	param Param
	rules rules
}

// written is a filter, or a list of them, with its position in the recipe.
type written struct {
	key    string
	filter string // "" for the list
	where  Position
}

// gap is the tensors that no filter of a list matches.
type gap struct {
	first   string // a tensor's name
	last    string // and that of the output's tensor that was counted last: several models may have it
	tensors int
	param   Param
	value   Value // that counts there, if the key has a default
}

// Coverage begins to watch.
func (r *Recipe) Coverage() *Coverage {
	c := &Coverage{recipe: r, none: true, filters: make(map[*paramSet][]watched), unmatched: make(map[written]bool), uncovered: make(map[written]gap)}
	for _, in := range r.scopes {
		for _, set := range append([]*paramSet{in.shared}, in.sources...) {
			if _, known := c.filters[set]; known {
				continue
			}
			var list []watched
			for _, key := range set.varying {
				if rs := set.rules[key]; rs.filtered() {
					p, _ := r.Method.param(key)
					list = append(list, watched{p, rs})
				}
			}
			c.filters[set], c.none = list, c.none && len(list) == 0
		}
	}
	return c
}

// See looks at a tensor that is merged from some of the sources of its slice.
func (c *Coverage) See(ref TensorRef, sources iter.Seq[int]) {
	if c.none || ref.Slice >= len(c.recipe.scopes) {
		return
	}
	in := c.recipe.scopes[ref.Slice]
	c.see(in.shared, ref.Output, ref.Output)
	for k := range sources {
		c.see(in.sources[k], ref.Inputs[k], ref.Output)
	}
}

func (c *Coverage) see(set *paramSet, name, output string) {
	for _, w := range c.filters[set] {
		for _, r := range w.rules {
			if r.filter == "" {
				continue
			}
			at := written{w.param.Key, r.filter, r.values[0].Where.plain()}
			if unmatched, tried := c.unmatched[at]; unmatched || !tried {
				c.unmatched[at] = !r.matches(name)
			}
		}
		if !w.rules.open(name) {
			continue
		}
		at := written{key: w.param.Key, where: w.rules[0].values[0].Where.plain()}
		g, known := c.uncovered[at]
		if !known {
			g = gap{first: name, param: w.param, value: w.rules.start()}
		}
		if g.last != output || g.tensors == 0 {
			g.last = output
			g.tensors++
		}
		c.uncovered[at] = g
	}
}

// Report says, in the order of the recipe's lines, what is wrong with the filters and what has to be
// known of them.
func (c *Coverage) Report() (problems Problems, notes []string) {
	say := func(w written, text string, args ...any) Problem {
		return Problem{Origin: c.recipe.Origin, Position: w.where, Text: fmt.Sprintf(text, args...)}
	}
	var noted []Problem
	for w, g := range c.uncovered {
		if g.param.Explicit || g.param.Required || c.recipe.Method.Own {
			problems = append(problems, say(w, "%s has no value where no filter matches (first: %s): end the list with {value: …}", w.key, g.first))
			continue
		}
		noted = append(noted, say(w, "%s is %s, its default, where no filter matches (%s)", w.key, g.value.Text, counted(g.first, g.tensors)))
	}
	for w, unmatched := range c.unmatched {
		if unmatched {
			noted = append(noted, say(w, "filter %q of %s matches no tensor", w.filter, w.key))
		}
	}
	byLine := func(a, b Problem) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Text, b.Text)) }
	slices.SortFunc(problems, byLine)
	slices.SortFunc(noted, byLine)
	for _, p := range noted {
		notes = append(notes, p.String())
	}
	return problems, notes
}

// counted names the first of some tensors.
func counted(first string, n int) string {
	if n == 1 {
		return first
	}
	return fmt.Sprintf("%s and %d more", first, n-1)
}

// Problem is something that is wrong with a recipe which its inputs brought to light.
func (r *Recipe) Problem(where Position, text string, args ...any) Problems {
	return Problems{{Origin: r.Origin, Position: where.plain(), Text: fmt.Sprintf(text, args...)}}
}
