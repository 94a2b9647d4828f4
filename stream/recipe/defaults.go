package recipe

import "strings"

// This file has what holds where nothing is said: presets, and defaults, which may depend on what is merged.

// Occasion is what defaults may depend on.
type Occasion struct {
	Models   int // that are merged, without a base that is a reference
	Informed int // of them, those that have importance files
}

// When is a kind of merge that a default may be for.
type When int

const (
	OneModel When = iota
	SeveralModels
	WithImportance    // all models have importance files
	WithoutImportance // no model has
)

// String says it behind "with".
func (w When) String() string {
	return [...]string{"one model", "several models", "importance files", "no importance files"}[w]
}

func (w When) holds(o Occasion) bool {
	switch w {
	case OneModel:
		return o.Models == 1
	case SeveralModels:
		return o.Models > 1
	case WithImportance:
		return o.Models > 0 && o.Informed == o.Models
	case WithoutImportance:
		return o.Models > 0 && o.Informed == 0
	}
	return false
}

// DefaultCase is a default that holds for some merges alone.
type DefaultCase struct {
	When []When // all of them
	Text string // as it would be written
}

// String says when it holds: with several models and no importance files.
func (c DefaultCase) String() string {
	names := make([]string, len(c.When))
	for i, w := range c.When {
		names[i] = w.String()
	}
	return "with " + strings.Join(names, " and ")
}

func (c DefaultCase) holds(o Occasion) bool {
	for _, w := range c.When {
		if !w.holds(o) {
			return false
		}
	}
	return true
}

// DefaultFor is what holds in a merge if nothing is said, as it would be written; "" for none.
func (p Param) DefaultFor(o Occasion) string {
	text, _ := p.defaultFor(o)
	return text
}

// defaultFor has a default with its origin.
func (p Param) defaultFor(o Occasion) (text, origin string) {
	for _, c := range p.Cases {
		if c.holds(o) {
			return c.Text, originDefault + " " + c.String()
		}
	}
	return p.Default, originDefault
}

// Defaults says what holds if nothing is said, in all cases: "0.2", "false, or true with several models". "" for nothing.
func (p Param) Defaults() string {
	var b strings.Builder
	b.WriteString(p.Default)
	for _, c := range p.Cases {
		b.WriteString(", or " + c.Text + " " + c.String())
	}
	return b.String()
}

// HasDefault reports a value that is the key's default, whoever said it.
func (p Param) HasDefault(v Value) bool {
	d, err := p.parse(p.Default)
	return err == nil && !v.Varies && d.Number == v.Number && (p.Kind == Number || d.Text == v.Text)
}

// originDefault is the origin of a value that is a default.
const originDefault = "default"

// PresetNames lists the presets as their key does.
func (m *MethodSchema) PresetNames() []string {
	p, _ := m.param(PresetKey)
	return p.Choices
}

// IsDefault reports a preset that says what holds without it, in every merge.
func (m *MethodSchema) IsDefault(preset string) bool {
	for key, text := range m.Presets[preset] {
		if p, _ := m.param(key); p.Default != text || len(p.Cases) > 0 {
			return false
		}
	}
	return true
}

// preset reads the values that a preset puts in place of defaults.
func (r *resolver) preset(m *MethodSchema, global scopeRules) scopeRules {
	chosen, ok := global[PresetKey]
	if !ok {
		return nil
	}
	name := chosen[0].values[0]
	values := make(scopeRules)
	for key, text := range m.Presets[name.Text] {
		p, _ := m.param(key)
		v, err := p.parse(text)
		if err != nil {
			r.report(name.Where, "preset %s: %s: %v", name.Text, key, err)
		}
		v.Origin = "preset " + name.Text
		values[key] = rules{{values: gradient{v}}}
	}
	return values
}

// defaults are what holds in a merge where nothing is said.
func (m *MethodSchema) defaults(o Occasion) scopeRules {
	values := make(scopeRules)
	for _, p := range m.Params {
		text, origin := p.defaultFor(o)
		if text == "" {
			continue
		}
		v, _ := p.parse(text)
		v.Origin = origin
		values[p.Key] = rules{{values: gradient{v}, unsaid: true}}
	}
	return values
}

// occasion is what defaults depend on, of a list of models. Slices and modules have no occasion: one default holds for all.
func (b *builder) occasion(all []listedModel) Occasion {
	o := Occasion{Models: len(all)}
	for _, m := range all {
		for _, l := range []scopeRules{m.own, b.module, b.global} {
			if len(l[ImportanceKey]) > 0 {
				o.Informed++
				break
			}
		}
	}
	return o
}
