package mmapio

import (
	"fmt"
	"slices"
	"sync"
)

// notices are what the system does not have and is done without. As with windows, they
// are the process's, whichever file they turned up at.
var notices struct {
	sync.Mutex
	known []string // causes
	all   []string
	said  int
}

// notice adds one, unless its cause is known.
func notice(cause, text string, args ...any) {
	notices.Lock()
	defer notices.Unlock()
	if !slices.Contains(notices.known, cause) {
		notices.known = append(notices.known, cause)
		notices.all = append(notices.all, fmt.Sprintf(text, args...))
	}
}

// Notices returns, once each, sentences for the user on what the system does not have and
// is done without: locks, mappings.
func Notices() []string {
	notices.Lock()
	defer notices.Unlock()
	fresh := notices.all[notices.said:]
	notices.said = len(notices.all)
	return slices.Clone(fresh)
}
