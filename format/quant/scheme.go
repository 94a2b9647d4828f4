package quant

import (
	"fmt"
	"slices"
	"strings"

	"weld/format"
	"weld/format/hub"
)

// Scheme is how a checkpoint stores values.
type Scheme struct {
	Name  string        // as its library calls it: "fp8", "gptq", "compressed-tensors pack-quantized"
	Why   string        // what says so: a key of a configuration, tensors
	Codes format.Tensor // for example
	Names string        // as its tensors' names say; "" if they do not
	Terms string        // all that is declared, to be compared with another checkpoint's
}

// Apart says, in a sentence on a tensor, that the scheme is another than those that the rest of its checkpoint is decoded from.
func (s *Scheme) Apart(decoded []string) string {
	if s.Names == "" {
		return fmt.Sprintf("in a manner that weld does not decode (%s), beside %s, which is decoded: its scales are missing, or no layout that weld knows has them so", s.Why, strings.Join(decoded, ", "))
	}
	return fmt.Sprintf("in a scheme of its own, %s (%s), beside %s, which is decoded", s.Names, s.Why, strings.Join(decoded, ", "))
}

// Declared is what the files beside a checkpoint say of its scheme; nil where there is none.
type Declared struct {
	Config      []byte // config.json
	QuantConfig []byte // hf_quant_config.json
}

// Recognize finds the scheme of a checkpoint; nil if its values are stored plainly. stale says what is
// declared nevertheless, as "FILE: KEY".
func Recognize(d Declared, tensors []format.Tensor) (s *Scheme, stale []string) {
	declared, terms := d.list()
	if p, ok := paired(tensors); ok {
		s = &Scheme{Name: p.layout.scheme, Names: p.layout.scheme, Codes: p.codes, Why: fmt.Sprintf("%q beside it", p.companion)}
	} else if len(declared) > 0 {
		if t, ok := suspect(tensors); ok {
			s = &Scheme{Name: "an unknown one", Codes: t}
		}
	}
	if s == nil {
		for _, x := range declared {
			stale = append(stale, x.where)
		}
		return nil, stale
	}
	s.Terms = terms
	if i := slices.IndexFunc(declared, func(x declaration) bool { return x.method != "" }); i >= 0 {
		s.Name = declared[i].method
	}
	if len(declared) > 0 {
		s.Why = strings.TrimSuffix(declared[0].where+"; "+s.Why, "; ")
	}
	return s, nil
}

// Terms are all that is declared, to be compared with another checkpoint's.
func (d Declared) Terms() string {
	_, terms := d.list()
	return terms
}

// declaration is one place of a configuration.
type declaration struct{ where, method string }

// list finds the declarations, and all that they say.
func (d Declared) list() (all []declaration, terms string) {
	for _, f := range []struct {
		name string
		data []byte
	}{{hub.ConfigName, d.Config}, {hub.QuantConfigName, d.QuantConfig}} {
		for _, q := range hub.Quantizations(f.data) {
			all = append(all, declaration{f.name + ": " + q.Key, q.Method})
			terms += q.Value
		}
	}
	return all, terms
}
