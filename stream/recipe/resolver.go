package recipe

import (
	"fmt"
	"slices"
)

// resolver collects problems while a draft is read.
type resolver struct {
	origin   string
	problems Problems
	schema   Schema
	own      bool     // the recipe is for a method of weld's own
	unused   []string // what has no effect
	visited  int      // entries of the YAML tree, those behind aliases each time
	exists   func(path string) bool
}

func (r *resolver) report(where Position, text string, args ...any) {
	r.problems = append(r.problems, Problem{Origin: r.origin, Position: where, Text: fmt.Sprintf(text, args...)})
}

// err returns the problems in the order of their lines, each once: what is wrong with
// a global value is found for every model.
func (r *resolver) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return a.Line - b.Line })
	seen := make(map[Problem]bool)
	return slices.DeleteFunc(r.problems, func(p Problem) bool {
		again := seen[p]
		seen[p] = true
		return again
	})
}
