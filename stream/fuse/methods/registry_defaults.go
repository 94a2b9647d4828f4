package methods

import (
	"errors"
	"fmt"
	"slices"

	"weld/stream/recipe"
)

// defaultCase is defaults for the merges to which all of when applies.
type defaultCase struct {
	when   []recipe.When
	values map[string]string
}

// addCases gives parameters the defaults that they have in some merges.
func (m *Method) addCases(cases []defaultCase) error {
	for _, c := range cases {
		if len(c.when) == 0 {
			return errors.New("a case of defaults is for no kind of merge")
		}
		for key, text := range c.values {
			i := m.param(key)
			if i < 0 || m.Params[i].Default == "" {
				return fmt.Errorf("default of %q in some merges, which has none in others", key)
			}
			p := &m.Params[i]
			p.Cases = append(p.Cases, recipe.DefaultCase{When: c.when, Text: text})
			if err := checkText(*p, "default", text); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
	}
	return nil
}

// checkPresets demands that presets can be named, and set what is there to values that it takes.
func (m *Method) checkPresets() error {
	var names []string
	if i := m.param(recipe.PresetKey); i >= 0 {
		names = m.Params[i].Choices
	}
	for name, preset := range m.Presets {
		if !slices.Contains(names, name) {
			return fmt.Errorf("preset %s is no choice of the key %q", name, recipe.PresetKey)
		}
		for key, text := range preset {
			i := m.param(key)
			if i < 0 {
				return fmt.Errorf("preset %s sets %q, which it has not", name, key)
			}
			if err := checkText(m.Params[i], "value", text); err != nil {
				return fmt.Errorf("preset %s: %s: %w", name, key, err)
			}
		}
	}
	for _, name := range names {
		if m.Presets[name] == nil {
			return fmt.Errorf("preset %s sets nothing", name)
		}
	}
	return nil
}
