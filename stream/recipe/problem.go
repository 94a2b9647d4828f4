package recipe

import (
	"fmt"
	"slices"
	"strings"
)

// Position is where something was written: a line of the recipe, or a flag.
type Position struct {
	Line    int
	Flag    string
	OfModel bool // said of one model, not of all
}

func (p Position) String() string {
	if p.Flag != "" {
		return "as " + p.Flag
	}
	return fmt.Sprintf("on line %d", p.Line)
}

// Problem is one thing that is wrong with a recipe.
type Problem struct {
	Origin string
	Position
	Text string
}

func (p Problem) String() string {
	switch {
	case p.Flag != "":
		name := strings.ReplaceAll(strings.TrimPrefix(p.Flag, "--"), "-", "_")
		return p.Flag + ": " + strings.TrimPrefix(p.Text, name+": ")
	case p.Line > 0:
		return fmt.Sprintf("%s:%d: %s", p.Origin, p.Line, p.Text)
	case p.Origin != "":
		return p.Origin + ": " + p.Text
	}
	return p.Text
}

// Problems is the error of a recipe that cannot be used: all that is wrong with it.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

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

func choose(names []string) string { return "choose from " + strings.Join(names, ", ") }

// hint proposes the name that was probably meant.
func hint(got string, names []string) string {
	best, distance := "", 3
	for _, name := range names {
		if d := editDistance(got, name); d < distance {
			best, distance = name, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
