package hub

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// follower has the members of a configuration follow the layers of a stack.
type follower struct {
	Stack
	speaker
	edits   []textEdit
	left    []string
	counted bool       // something has an entry for each layer, so that their number needs no saying
	lists   [][]string // kinds that lists give to the layers of the stack
	numbers []failed
}

// failed is a number that cannot distinguish the layers of the stack.
type failed struct {
	key   string
	kinds []string
}

// follow has one member follow.
func (f *follower) follow(m member) {
	if _, paired := f.exceptionsOf(m); paired {
		return // it is rewritten with the step that it stands beside
	}
	w, unsure := f.wayOf(m)
	if unsure {
		f.left = append(f.left, fmt.Sprintf("%s speaks of single layers and is carried over as it is: make it fit the %d layers of the output", m.key, f.After()))
	}
	if w == nil {
		return
	}
	kinds, err := f.taken(m, w)
	if err != nil {
		f.left = append(f.left, err.Error())
		return
	}
	edits, ok := w.put(kinds, f.NowBehind)
	_, single := w.(rule)
	switch {
	case ok:
		f.edits = append(f.edits, edits...)
	case single:
		f.numbers = append(f.numbers, failed{m.key, kinds})
	default:
		f.left = append(f.left, fmt.Sprintf("%s is carried over as it is: make it fit the %d layers of the output", m.key, f.After()))
	}
	if _, pair := w.(sparse); !single && !pair {
		f.lists = append(f.lists, kinds)
	}
	switch w.(type) {
	case each, cycled:
		f.counted = true
	}
}

// exceptionsOf reports a list of exceptions that stands beside its step.
func (c speaker) exceptionsOf(m member) (named, bool) {
	if m.key != exceptionKey {
		return named{}, false
	}
	step, ok := c.beside(m, stepKey)
	if !ok {
		return named{}, false
	}
	_, pair := c.rule(step).(sparse)
	return named{}, pair
}

// taken are the kinds of the layers of the stack, each by the configuration of the model that it comes from.
func (f *follower) taken(m member, like way) (kinds []string, err error) {
	for _, t := range f.Slices {
		of, ok := f.Part.kindsOf(t, m, like)
		if !ok {
			return nil, fmt.Errorf("%s is carried over as it is: the configuration of %s does not say the same of each of its %d layers", m.key, t.Of, t.Layers)
		}
		kinds = append(kinds, of[t.First:t.Last]...)
	}
	return kinds, nil
}

// kindsOf finds the kinds of the layers of the model that a slice is of: in the same place of its
// configuration, or where else that describes the part, and said in the same way.
func (p Submodel) kindsOf(t Taken, m member, like way) (kinds []string, ok bool) {
	all, _ := members(t.Config)
	c := speaker{t.Config, all, t.Layers, t.Behind}
	for _, x := range all {
		same := slices.Equal(x.path, m.path)
		if x.key != m.key || !(same || !ok && p.at(x.path)) {
			continue
		}
		w, _ := c.wayOf(x)
		if reflect.TypeOf(w) != reflect.TypeOf(like) {
			continue
		}
		if kinds, ok = w.kinds(), true; same {
			break
		}
	}
	return kinds, ok
}

// settle reports the numbers that have no value for the stack. Where lists distinguish the same kinds, by one
// law of the number at least, they go before the number, which then says nothing.
func (f *follower) settle() {
	for _, number := range f.numbers {
		listed := false
		for law := range number.kinds[0] {
			listed = listed || f.listed(number.kinds, law)
		}
		if !listed {
			f.left = append(f.left, fmt.Sprintf("%s is carried over as it is: no number says which of the %d layers of the output are of which kind", number.key, f.After()))
		}
	}
}

// listed reports whether the entries of lists distinguish kinds, by one law.
func (f *follower) listed(kinds []string, law int) bool {
	if len(f.lists) == 0 {
		return false
	}
	by := make(map[string]byte)
	for i := range kinds {
		var entries []string
		for _, list := range f.lists {
			entries = append(entries, list[i])
		}
		key := strings.Join(entries, "\n")
		if old, known := by[key]; known && old != kinds[i][law] {
			return false
		}
		by[key] = kinds[i][law]
	}
	return true
}

// addNumber writes the number of layers into a configuration that has none, since it was its architecture's
// default: into the object that describes the part.
func (f *follower) addNumber(n int64, sound bool) {
	const key = "num_hidden_layers"
	at := -1
	for _, m := range f.all {
		if slices.Contains(objects[f.Part], m.key) && f.doc[m.start] == '{' {
			at = m.start
		}
	}
	if at < 0 && f.Part == Text && sound {
		at = slices.Index(f.doc, '{')
	}
	said := f.Part.numbers(f.doc, f.all, true, func(int64) bool { return true })
	if at < 0 || len(said) > 0 || f.Part == Encoder || f.Part == Decoder {
		f.left = append(f.left, fmt.Sprintf("no number of layers that is %d: set it to %d in the output", f.Before, n))
		return
	}
	with := fmt.Sprintf("\n  %q: %d", key, n)
	if rest := strings.TrimLeft(string(f.doc[at+1:]), " \t\r\n"); !strings.HasPrefix(rest, "}") {
		with += ","
	}
	f.edits = append(f.edits, textEdit{span{at + 1, at + 1}, []byte(with)})
	f.left = append(f.left, fmt.Sprintf("no number of layers by a name that is known: %s %d is written, which is right where it was left to the architecture's default", key, n))
}

// Kinds are what a configuration says of each layer of a part, by the members that say it.
type Kinds map[string][]string

// KindsOf reads them, for a part with as many layers, and others that are stored behind them.
func KindsOf(config []byte, part Submodel, layers, behind int64) Kinds {
	all, _ := members(config)
	c := speaker{config, all, layers, behind}
	_, places := Stack{Part: part, Before: layers}.numbers(config, all)
	kinds := make(Kinds)
	for _, m := range all {
		if !slices.ContainsFunc(places, func(path []string) bool { return slices.Equal(path, m.path) }) {
			continue
		}
		if w, _ := c.wayOf(m); w != nil {
			kinds[m.key] = w.kinds()
		}
	}
	return kinds
}
