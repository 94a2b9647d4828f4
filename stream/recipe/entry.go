package recipe

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"sync"
)

// entry is what holds for one source, or for what all sources share: rules by key, and
// the values that they give.
type entry struct {
	rules   layer
	values  Values // of the first layer where no filter matches
	varying []string

	mu    sync.Mutex
	known map[string]Values // by which rules decide, and where in the gradients
}

// newEntry lays narrower scopes over wider ones.
func newEntry(m *Method, perModel bool, narrowFirst ...layer) *entry {
	e := &entry{rules: make(layer), values: make(Values)}
	for _, p := range m.Params {
		if p.PerModel != perModel {
			continue
		}
		var rs rules
		for _, l := range narrowFirst {
			rs = rs.then(l[p.Key])
		}
		if len(rs) == 0 {
			continue
		}
		e.rules[p.Key] = rs
		v, fixed := rs.constant()
		if !fixed {
			v = rs.start()
			v.Where, v.Varies = rs[0].values[0].Where, true
			e.varying = append(e.varying, p.Key)
		}
		e.values[p.Key] = v
	}
	return e
}

// drop takes a key away.
func (e *entry) drop(key string) {
	delete(e.rules, key)
	delete(e.values, key)
	e.varying = slices.DeleteFunc(e.varying, func(k string) bool { return k == key })
}

// at returns the values for a tensor; the same map wherever they are the same.
func (e *entry) at(name string, t float64) Values {
	if len(e.varying) == 0 {
		return e.values
	}
	choice, steep := make([]byte, 0, 32), false
	for _, key := range e.varying {
		i := e.rules[key].match(name)
		choice = binary.AppendVarint(choice, int64(i))
		steep = steep || i >= 0 && len(e.rules[key][i].values) > 1
	}
	if steep {
		choice = binary.LittleEndian.AppendUint64(choice, math.Float64bits(t))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if v, ok := e.known[string(choice)]; ok {
		return v
	}
	v := e.evaluate(name, t)
	if e.known == nil {
		e.known = make(map[string]Values)
	}
	e.known[string(choice)] = v
	return v
}

func (e *entry) evaluate(name string, t float64) Values {
	values := maps.Clone(e.values)
	for _, key := range e.varying {
		rs := e.rules[key]
		if i := rs.match(name); i >= 0 {
			values[key] = rs[i].values.at(t, rs[i].kind)
		} else {
			delete(values, key)
		}
	}
	return values
}

// same reports entries that give the same values everywhere.
func (e *entry) same(other *entry) bool {
	return maps.EqualFunc(e.rules, other.rules, rules.same)
}
