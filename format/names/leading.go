package names

import (
	"slices"
	"strings"

	"weld/format"
)

// mostLeads is how many runs of leading parts are tried; names that leave more open have no order to
// go by.
const mostLeads = 16

// leading matches what is left where the names of one side are those of the other behind a run of parts that
// is the same for all: bert.encoder.… beside encoder.…. A run counts if half of the smaller side meets by it
// with equal shapes, and nothing meets with others; where two runs do, neither is taken. It has to match as many
// names as all rules before: where most names meet without it, what is left is of another kind, and no wrapper's.
func (m *Meeting) leading() {
	rest, left := m.rest(), m.left()
	if len(rest) == 0 || len(left) == 0 {
		return
	}
	wanted, have := index(m.wanted, rest, m.common), index(m.have, left, m.common)
	var good []meetings
	good = append(good, leads(m.wanted, wanted, m.have, have)...)
	for _, l := range leads(m.have, have, m.wanted, wanted) {
		good = append(good, l.turned())
	}
	met := len(m.wanted) - len(rest)
	good = slices.DeleteFunc(good, func(l meetings) bool { return len(l) < met })
	switch {
	case len(good) == 1:
		for i, j := range good[0] {
			m.Whole[i], m.taken[j] = j, true
		}
	case len(good) > 1 && len(m.Doubts) < mostDoubts:
		m.Doubts = append(m.Doubts, m.between(good))
	}
}

// meetings are pairs of a wanted tensor and one that there is.
type meetings map[int]int

func (l meetings) turned() meetings {
	back := make(meetings, len(l))
	for i, j := range l {
		back[j] = i
	}
	return back
}

// between names one tensor that two runs match with different ones.
func (m *Meeting) between(good []meetings) (d Doubt) {
	first := slices.Min(keysOf(good[0]))
	j := good[0][first]
	d.Have = []string{m.have[j].Name}
	for _, l := range good {
		for i, other := range l {
			if other == j {
				d.Wanted = append(d.Wanted, m.wanted[i].Name)
			}
		}
	}
	if len(d.Wanted) < 2 { // the runs share a wanted tensor, or nothing at all
		d.Wanted = []string{m.wanted[first].Name}
		for _, l := range good[1:] {
			if j, ok := l[first]; ok {
				d.Have = append(d.Have, m.have[j].Name)
			}
		}
	}
	return d
}

func keysOf[V any](l map[int]V) (list []int) {
	for i := range l {
		list = append(list, i)
	}
	return list
}

// leads finds the runs of parts that long names have before short ones.
func leads(long []format.Tensor, longNames map[string]int, short []format.Tensor, shortNames map[string]int) (good []meetings) {
	for _, lead := range candidates(longNames, longest(shortNames)) {
		met, clash := make(meetings), false
		for name, j := range shortNames {
			i, ok := longNames[lead+name]
			if !ok || i == several || j == several {
				continue
			}
			clash = clash || !slices.Equal(long[i].Shape, short[j].Shape) || astray(lead, short[j].Name)
			met[i] = j
		}
		if !clash && 2*len(met) >= min(len(longNames), len(shortNames)) {
			good = append(good, met)
		}
	}
	return good
}

// astray reports that a tensor is not that of a tower, since its name says that it is of a model beside: the layers
// of vision.layers are not those of model.layers, but may be those of layers.
func astray(lead, name string) bool {
	parts := strings.Split(lead, ".")
	return slices.ContainsFunc(parts, isTower) && bare(name) != unwrapped(name)
}

// towers begin the common words for what images and sounds go through.
var towers = []string{"vision", "audio", "speech", "image", "video"}

func isTower(part string) bool {
	return slices.ContainsFunc(towers, func(begin string) bool { return strings.HasPrefix(part, begin) })
}

// longest is the name with the most parts, the first of those in the order of letters: the one that can
// be mistaken for the fewest others.
func longest(names map[string]int) (best string) {
	most := -1
	for name := range names {
		if n := strings.Count(name, "."); n > most || n == most && name < best {
			best, most = name, n
		}
	}
	return best
}

// candidates are what names have before one that they end with; none where they are too many.
func candidates(names map[string]int, end string) (leads []string) {
	for name := range names {
		if lead, ok := strings.CutSuffix(name, "."+end); ok && len(leads) <= mostLeads {
			leads = append(leads, lead+".")
		}
	}
	if len(leads) > mostLeads {
		return nil
	}
	slices.Sort(leads)
	return leads
}
