package moments

import (
	"fmt"
	"strings"

	"weld/format"
)

// leftOut are parameters by what is known of their second moments, as places in the list of parameters.
type leftOut struct {
	with      []int // have one
	without   []int // have none
	unstepped []int // have one of nothing
	biased    []int // have one, of which steps or decay are not known
}

// none is the error for states without any second moment.
func (s *states) none(left leftOut) error {
	if len(left.unstepped) > 0 {
		return s.fault(format.KindNonfinite, s.params[left.unstepped[0]].key, "0 steps: its second moment is of nothing")
	}
	var why []string
	said := make(map[string]bool)
	for _, i := range left.without {
		if text := s.params[i].why(); !said[text] {
			said[text], why = true, append(why, text)
		}
	}
	return s.fault(format.KindUnsupported, "", "no second moment that weld knows is in it: %s; an importance file has some, and so have Adam, Adafactor, RMSprop and Adagrad", strings.Join(why, "; "))
}

// say says what is not used, and which parameters are.
func (s *states) say(left leftOut, names []string) (notes []string) {
	note := func(text string, args ...any) {
		notes = append(notes, fmt.Sprintf("%s: "+text, append([]any{s.path}, args...)...))
	}
	if len(left.without) > 0 {
		note("%d of %d parameters have no second moment, such as %s: %s; %d have one, such as %s", len(left.without), len(s.params), names[left.without[0]], s.params[left.without[0]].why(), len(left.with), names[left.with[0]])
	}
	if len(left.unstepped) > 0 {
		note("%d parameters were never stepped, such as %s: they are left out", len(left.unstepped), names[left.unstepped[0]])
	}
	if len(left.biased) > 0 {
		text := "the second moments of %d parameters, such as %s, are not corrected for their bias: their steps or β₂ are not saved"
		if _, sums := s.params[left.biased[0]].parts[summed]; sums {
			text = "the second moments of %d parameters, such as %s, are sums of which the steps, or the beginning (initial_accumulator_value), are not saved: 1 and 0 are taken for them"
		}
		note(text, len(left.biased), names[left.biased[0]])
	}
	return notes
}
