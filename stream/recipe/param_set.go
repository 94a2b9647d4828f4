package recipe

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"sync"
)

// paramSet is the parameters of one source, or those that all sources share: rules by key,
// and the values that they give.
type paramSet struct {
	rules   scopeRules
	values  Values // of the first layer where no filter matches
	varying []string

	mu    sync.Mutex
	known map[string]Values // by which rules decide, and where in the gradients
}

// newParamSet lays narrower scopes over wider ones.
func newParamSet(m *MethodSchema, perModel bool, narrowFirst ...scopeRules) *paramSet {
	s := &paramSet{rules: make(scopeRules), values: make(Values)}
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
		s.rules[p.Key] = rs
		v, fixed := rs.constant()
		if !fixed {
			v = rs.start()
			v.Where, v.Varies = rs[0].values[0].Where, true
			s.varying = append(s.varying, p.Key)
		}
		s.values[p.Key] = v
	}
	return s
}

// drop takes a key away.
func (s *paramSet) drop(key string) {
	delete(s.rules, key)
	delete(s.values, key)
	s.varying = slices.DeleteFunc(s.varying, func(k string) bool { return k == key })
}

// at returns the values for a tensor; the same map wherever they are the same.
func (s *paramSet) at(name string, t float64) Values {
	if len(s.varying) == 0 {
		return s.values
	}
	choice, steep := make([]byte, 0, 32), false
	for _, key := range s.varying {
		i := s.rules[key].match(name)
		choice = binary.AppendVarint(choice, int64(i))
		steep = steep || i >= 0 && len(s.rules[key][i].values) > 1
	}
	if steep {
		choice = binary.LittleEndian.AppendUint64(choice, math.Float64bits(t))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.known[string(choice)]; ok {
		return v
	}
	v := s.evaluate(name, t)
	if s.known == nil {
		s.known = make(map[string]Values)
	}
	s.known[string(choice)] = v
	return v
}

func (s *paramSet) evaluate(name string, t float64) Values {
	values := maps.Clone(s.values)
	for _, key := range s.varying {
		rs := s.rules[key]
		if i := rs.match(name); i >= 0 {
			values[key] = rs[i].values.at(t, rs[i].kind)
		} else {
			delete(values, key)
		}
	}
	return values
}

// same reports sets that give the same values everywhere.
func (s *paramSet) same(other *paramSet) bool {
	return maps.EqualFunc(s.rules, other.rules, rules.same)
}
