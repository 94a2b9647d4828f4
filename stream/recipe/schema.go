package recipe

import (
	"fmt"
	"slices"
	"strings"

	"weld/format"
)

// Schema is the list of methods.
type Schema []Method

// Method is what can be said to one merge method.
type Method struct {
	Name      string
	Summary   string // one line
	Source    string // the paper or formula
	Base      Need
	MinModels int
	MaxModels int // 0: any number
	Params    []Param
	// Presets are named sets of values, in place of the defaults.
	Presets map[string]map[string]string
	// Check finds what is wrong across keys, when each by itself is right.
	Check func(r *Recipe, report func(where Place, text string))
}

// Need says whether something has to be there.
type Need int

const (
	Optional Need = iota
	Required
)

// Param is one key.
type Param struct {
	Key      string
	PerModel bool // stands among a model's parameters; among the global ones it serves all models
	Kind     Kind
	Choices  []string // of a Choice
	Min, Max float64  // of a Number, both included
	Default  string   // as it would be written; "" for none
	Help     string
}

// Kind is the type of a value.
type Kind int

const (
	Number Kind = iota
	Bool
	Choice
	Path
)

// Find returns the method of that name.
func (s Schema) Find(name string) (*Method, bool) {
	i := slices.IndexFunc(s, func(m Method) bool { return m.Name == name })
	if i < 0 {
		return nil, false
	}
	return &s[i], true
}

// Names lists the methods.
func (s Schema) Names() []string {
	names := make([]string, len(s))
	for i, m := range s {
		names[i] = m.Name
	}
	return names
}

// param finds a key of the method.
func (m *Method) param(key string) (Param, bool) {
	i := slices.IndexFunc(m.Params, func(p Param) bool { return p.Key == key })
	if i < 0 {
		return Param{}, false
	}
	return m.Params[i], true
}

// keys lists the keys that may stand among a model's parameters, or among the
// global ones.
func (m *Method) keys(perModel bool) []string {
	var keys []string
	for _, p := range m.Params {
		if p.PerModel || !perModel {
			keys = append(keys, p.Key)
		}
	}
	return keys
}

// Allowed describes the values of a key, for messages and help.
func (p Param) Allowed() string {
	switch p.Kind {
	case Bool:
		return "true or false"
	case Choice:
		return "one of " + strings.Join(p.Choices, ", ")
	case Path:
		return "a path"
	}
	switch low, high := p.Min > -unbounded, p.Max < unbounded; {
	case low && high:
		return fmt.Sprintf("a number from %g to %g", p.Min, p.Max)
	case low:
		return fmt.Sprintf("a number of at least %g", p.Min)
	case high:
		return fmt.Sprintf("a number of at most %g", p.Max)
	}
	return "a number"
}

// unbounded is the limit of a Number that has none.
const unbounded = 1e300

// Any is the range of a Number without limits.
func Any(p Param) Param {
	p.Min, p.Max = -unbounded, unbounded
	return p
}

// Recipe is a merge that was asked for, complete and consistent in itself.
type Recipe struct {
	Method *Method
	Base   string // "" if there is none
	Models []Model
	Params Values
	DType  format.DType // of the output; Invalid: as the base's tensors
}

// Model is one model of a recipe.
type Model struct {
	Path   string
	Params Values
	Where  Place
}

// Values are settings by key, presets and defaults included.
type Values map[string]Value

// Value is one setting.
type Value struct {
	Text   string
	Number float64
	Bool   bool
	Where  Place // zero for a default
}

// Has reports whether a key has a value.
func (v Values) Has(key string) bool { _, ok := v[key]; return ok }

// Number returns a Number, or 0.
func (v Values) Number(key string) float64 { return v[key].Number }

// Bool returns a Bool, or false.
func (v Values) Bool(key string) bool { return v[key].Bool }

// Text returns a Choice or a Path, or "".
func (v Values) Text(key string) string { return v[key].Text }
