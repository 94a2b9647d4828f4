package recipe

import (
	"fmt"
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

// named is a key as it is written there: in a recipe or as a flag.
func (p Position) named(key string) string {
	if p.Flag != "" {
		return "--" + strings.ReplaceAll(key, "_", "-")
	}
	return key
}

// plain is a position without what it is said of, for messages.
func (p Position) plain() Position { return Position{Line: p.Line, Flag: p.Flag} }

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
