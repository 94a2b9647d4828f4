// Package spelling guesses which of some names was meant by one that is none of them. It knows words and nothing of what they
// name.
package spelling

import (
	"fmt"
	"slices"
	"strings"
)

// Nearest is the first of the names that is within so many typing errors of a word, and nearer than all before it; "" if none is.
// An error is a letter that is wrong, missing, or one too many, or two neighbours in the wrong order. A word
// that would be nothing but errors is near no name.
func Nearest(word string, names []string, most int) string {
	best, distance := "", min(most+1, len(word))
	for _, name := range names {
		if d := Distance(word, name); d < distance {
			best, distance = name, d
		}
	}
	return best
}

// usual is how many errors are forgiven where a name is proposed and nothing depends on it.
const usual = 2

// few is how many names are proposed at most.
const few = 3

// Hint proposes the name that was probably meant, or the few that begin with the word, in brackets behind a space; "" for none.
// Upper case is no error.
func Hint(word string, names []string) string {
	low := strings.ToLower(word)
	begun := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !strings.HasPrefix(strings.ToLower(name), low) })
	if n := len(begun); len(low) > 1 && n > 0 && n <= few {
		meant := begun[n-1]
		if n > 1 {
			meant = strings.Join(begun[:n-1], ", ") + " or " + meant
		}
		return fmt.Sprintf(" (did you mean %s?)", meant)
	}
	if name := Nearest(low, names, usual); name != "" {
		return fmt.Sprintf(" (did you mean %s?)", name)
	}
	return ""
}

// Distance is how many typing errors make b of a, no letter being touched twice.
func Distance(a, b string) int {
	before, above, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, above, row = above, row, before
		row[0] = i + 1
		for j := range len(b) {
			wrong := 1
			if a[i] == b[j] {
				wrong = 0
			}
			row[j+1] = min(above[j]+wrong, above[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
