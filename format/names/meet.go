package names

import (
	"fmt"

	"weld/format"
)

// None stands for a tensor that is not there.
const None = -1

// Meeting says where wanted tensors are found.
type Meeting struct {
	// Whole is for each wanted tensor the one that it is, or None.
	Whole []int
	// Built has the wanted tensors that are put together from others, or are parts of them.
	Built map[int][]Piece
	// Doubts are names that a rule could match in several ways, and did not.
	Doubts []Doubt

	wanted, have []format.Tensor
	taken        []bool       // of have
	doubted      map[int]bool // of wanted: no later rule looks at them
	commons      map[string]string
}

// Doubt is a name that more than one tensor has by the same rule.
type Doubt struct{ Wanted, Have []string }

func (d Doubt) String() string {
	return fmt.Sprintf("%s could be %s", listed(d.Have), listed(d.Wanted))
}

// Meet finds the wanted tensors among those that there are; find gives the index of one of these by its name.
func Meet(wanted, have []format.Tensor, find func(name string) (int, bool)) *Meeting {
	m := &Meeting{Whole: make([]int, len(wanted)), Built: make(map[int][]Piece), wanted: wanted, have: have, taken: make([]bool, len(have)), doubted: make(map[int]bool), commons: make(map[string]string)}
	for i := range m.Whole {
		m.Whole[i] = None
	}
	m.same(find)
	for _, key := range []func(string) string{unwrapped, bare, m.common} {
		m.pair(key)
	}
	m.tied()
	m.fuse()
	m.transpose()
	m.leading()
	m.commons = nil
	return m
}

// Same reports whether all that was found has the name that is wanted, as it is.
func (m *Meeting) Same() bool {
	if len(m.Built) > 0 {
		return false
	}
	for i, j := range m.Whole {
		if j != None && m.wanted[i].Name != m.have[j].Name {
			return false
		}
	}
	return true
}

// Found reports whether a wanted tensor was found.
func (m *Meeting) Found(i int) bool { return m.Whole[i] != None || m.Built[i] != nil }

// rest lists the wanted tensors that were not found.
func (m *Meeting) rest() (list []int) {
	for i := range m.wanted {
		if !m.Found(i) {
			list = append(list, i)
		}
	}
	return list
}

// left lists the tensors that were not taken.
func (m *Meeting) left() (list []int) {
	for j := range m.have {
		if !m.taken[j] {
			list = append(list, j)
		}
	}
	return list
}

// same matches the names that are the same.
func (m *Meeting) same(find func(name string) (int, bool)) {
	for i, t := range m.wanted {
		if j, ok := find(t.Name); ok {
			m.Whole[i], m.taken[j] = j, true
		}
	}
}

// common is [common] of a name, made once.
func (m *Meeting) common(name string) string {
	key, known := m.commons[name]
	if !known {
		key = common(name)
		m.commons[name] = key
	}
	return key
}

// several marks a key that more than one tensor has.
const several = -2

// index finds tensors by a key.
func index(tensors []format.Tensor, of []int, key func(string) string) map[string]int {
	found := make(map[string]int, len(of))
	for _, i := range of {
		add(found, key(tensors[i].Name), i)
	}
	return found
}

// add puts a tensor under a key.
func add(found map[string]int, key string, i int) {
	if _, taken := found[key]; taken {
		i = several
	}
	found[key] = i
}

// pair matches the tensors that alone have the same key on either side.
func (m *Meeting) pair(key func(string) string) {
	rest, left := m.rest(), m.left()
	if len(rest) == 0 || len(left) == 0 {
		return
	}
	keys := make([]string, len(rest))
	wanted := make(map[string]int, len(rest))
	for n, i := range rest {
		keys[n] = key(m.wanted[i].Name)
		add(wanted, keys[n], i)
	}
	have := index(m.have, left, key)
	said := make(map[string]bool)
	for n, i := range rest {
		k := keys[n]
		j, there := have[k]
		switch {
		case !there || m.doubted[i]:
		case j == several || wanted[k] == several:
			m.doubted[i] = true
			if !said[k] && len(m.Doubts) < mostDoubts {
				said[k] = true
				m.Doubts = append(m.Doubts, Doubt{named(m.wanted, rest, key, k), named(m.have, left, key, k)})
			}
		default:
			m.Whole[i], m.taken[j] = j, true
		}
	}
}

// mostDoubts is how many doubts are kept: each takes a walk over the names.
const mostDoubts = 3

// named lists the names of tensors that have a key.
func named(tensors []format.Tensor, of []int, key func(string) string, is string) (list []string) {
	for _, i := range of {
		if name := tensors[i].Name; key(name) == is {
			list = append(list, name)
		}
	}
	return list
}
