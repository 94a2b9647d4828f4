package names

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Move is a run of parts of stored names that is another in the wanted ones.
type Move struct {
	From, To string // "" for nothing
	Tensors  int
}

func (v Move) String() string {
	return fmt.Sprintf("%s → %s", shown(v.From), shown(v.To))
}

// shown is a run of parts, or what stands for none.
func shown(run string) string {
	if run == "" {
		return "nothing"
	}
	return "`" + clip(run) + ".`"
}

// Moves sums up how names of tensors that were found whole differ, the most frequent first.
func (m *Meeting) Moves() (list []Move) {
	count := make(map[[2]string]int)
	for i, j := range m.Whole {
		if j != None && m.wanted[i].Name != m.have[j].Name {
			count[move(m.have[j].Name, m.wanted[i].Name)]++
		}
	}
	for v, n := range count {
		list = append(list, Move{v[0], v[1], n})
	}
	slices.SortFunc(list, func(a, b Move) int {
		return cmp.Or(cmp.Compare(b.Tensors, a.Tensors), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return list
}

// move is what remains of two names without what they begin and end with alike.
func move(from, to string) [2]string {
	a, b := strings.Split(from, "."), strings.Split(to, ".")
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	// A number at the end of what is left out is that of a layer, and the runs before it say more.
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	return [2]string{strings.Join(a, "."), strings.Join(b, ".")}
}

// Missing lists the wanted tensors that were not found, by index.
func (m *Meeting) Missing() []int { return m.rest() }

// Unused lists the stored tensors that are none of the wanted ones, by index.
func (m *Meeting) Unused() []int { return m.left() }

// mostListed is how many names a text has.
const mostListed = 3

// listed are names in a text: the first, and how many there are.
func listed(names []string) string {
	quoted := make([]string, 0, mostListed)
	for _, name := range names[:min(len(names), mostListed)] {
		quoted = append(quoted, fmt.Sprintf("%q", clip(name)))
	}
	text := strings.Join(quoted, " or ")
	if more := len(names) - mostListed; more > 0 {
		text += fmt.Sprintf(" or %d more", more)
	}
	return text
}

// clip shortens a name that a hostile file made long.
func clip(name string) string {
	const most = 200
	if len(name) > most {
		return name[:most] + "…"
	}
	return name
}

// mostMoves is how many moves a text has.
const mostMoves = 3

// String says how the names were brought together.
func (m *Meeting) String() string {
	var said []string
	moves := m.Moves()
	for _, v := range moves[:min(len(moves), mostMoves)] {
		said = append(said, fmt.Sprintf("%d meet as %v", v.Tensors, v))
	}
	others := 0
	for _, v := range moves[min(len(moves), mostMoves):] {
		others += v.Tensors
	}
	if others > 0 {
		said = append(said, fmt.Sprintf("%d in other ways", others))
	}
	if n := len(m.Built); n > 0 {
		i := slices.Min(keysOf(m.Built))
		p := m.Built[i]
		text := fmt.Sprintf("%d are put together from several", n)
		switch {
		case p[0].Turned:
			text = fmt.Sprintf("%d are turned, being stored as their transposes", n)
		case len(p) == 1:
			text = fmt.Sprintf("%d are parts of larger ones", n)
		}
		said = append(said, fmt.Sprintf("%s (%q: %q)", text, clip(m.wanted[i].Name), clip(m.have[p[0].Tensor].Name)))
	}
	return strings.Join(said, ", ")
}
