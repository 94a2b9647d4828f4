package recipe

import (
	"fmt"
	"slices"

	"weld/internal/spelling"
)

// Schema is the list of methods.
type Schema []MethodSchema

// MethodSchema is what a recipe can say of one merge method.
type MethodSchema struct {
	Name      string
	Summary   string // one line
	Source    string // the paper, or the page that describes it
	Formula   string // in plain text, of several lines without indentation; the symbols are those of docs/methods.md
	Base      Need
	BaseIs    BaseRole
	BaseToo   bool // the base is a model too where it is listed among them: one that changes nothing, and has parameters that count
	Own       bool // weld's, not one of mergekit's methods
	Unasking  bool // a tensor that no importance file has is merged by weights alone; other methods leave it as it is
	MinModels int  // without the base, where that is a reference
	MaxModels int  // 0: any number
	Params    []Param
	// Presets are named sets of values, in place of the defaults.
	Presets map[string]map[string]string
	// Check finds what is wrong across keys, when each by itself is right.
	Check func(r *Recipe, report func(where Position, text string))
}

// Need says whether something has to be there.
type Need int

const (
	Optional Need = iota
	Required
)

// BaseRole is what a method does with the base model.
type BaseRole int

const (
	// BaseReference is what deltas are taken against. Its own entry among the models is
	// passed over, as in mergekit.
	BaseReference BaseRole = iota
	// BaseModel is one model more, the last one if it is not listed.
	BaseModel
	// BaseFirst is the first of the models, listed or not.
	BaseFirst
	// BaseDonor lends its configuration and tokenizer and takes no part in the merge,
	// unless it is listed like any other model.
	BaseDonor
)

// Param is one key.
type Param struct {
	Key      string
	PerModel bool // stands among a model's parameters; among the global ones it serves all models
	Kind     ValueKind
	Choices  []string      // of a Choice
	Min, Max float64       // of a Number, both included
	Integer  bool          // a Number without a fraction, which cannot run through a gradient
	Default  string        // as it would be written; "" for none
	Cases    []DefaultCase // in place of Default for some merges: the first that holds counts
	Required bool          // must be given, having no default
	Example  string        // what an example says where the default would show nothing; "" for the default
	// Explicit keys need a value for every tensor where they have filters: mergekit has no default for
	// them. Of others the default counts where no filter matches, and a note says so.
	Explicit bool
	Fixed    bool // takes neither gradients nor filters, and is the same in all slices
	// PerTensor lets a Choice or a Path have gradients and filters, which are Fixed
	// otherwise.
	PerTensor bool
	Top       bool // may stand at the top of a recipe as well as among its parameters
	Help      string
}

// ValueKind is the type of a value.
type ValueKind int

const (
	Number ValueKind = iota
	Bool
	Choice
	Path
)

// Varies reports a key whose value may differ between layers and tensors, by gradients and filters.
func (p Param) Varies() bool { return !p.fixed() }

// fixed reports a key with one value for all tensors.
func (p Param) fixed() bool {
	return p.Fixed || (p.Kind == Choice || p.Kind == Path) && !p.PerTensor
}

// baseAlone reports a method that gives the base where nothing else is merged. That is how
// adapters are put into a model: it has them, and is the base and the only model.
func (m *MethodSchema) baseAlone() bool {
	return m.Base == Required && m.BaseIs == BaseReference && m.MinModels == 1 && m.MaxModels == 0 && !m.Own
}

// shared reports a key of all models that may differ between tensors.
func (p Param) shared() bool { return !p.PerModel && !p.fixed() }

// Find returns the method of that name.
func (s Schema) Find(name string) (*MethodSchema, bool) {
	i := slices.IndexFunc(s, func(m MethodSchema) bool { return m.Name == name })
	if i < 0 {
		return nil, false
	}
	return &s[i], true
}

// Named is [Schema.Find] with an error that says which method was probably meant.
func (s Schema) Named(name string) (*MethodSchema, error) {
	m, ok := s.Find(name)
	if !ok {
		return nil, fmt.Errorf("unknown merge method %q%s: %s", name, spelling.Hint(name, s.Names()), choose(s.Names()))
	}
	return m, nil
}

// With lists the methods that have a key.
func (s Schema) With(key string) (names []string) {
	for _, m := range s {
		if _, ok := m.param(key); ok {
			names = append(names, m.Name)
		}
	}
	return names
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
func (m *MethodSchema) param(key string) (Param, bool) {
	i := slices.IndexFunc(m.Params, func(p Param) bool { return p.Key == key })
	if i < 0 {
		return Param{}, false
	}
	return m.Params[i], true
}

// atTop reports a key that may stand at the top of a recipe.
func (s Schema) atTop(key string) bool {
	return slices.ContainsFunc(s, func(m MethodSchema) bool { p, ok := m.param(key); return ok && p.Top })
}

// topKeys lists all keys that may stand at the top of a recipe.
func (s Schema) topKeys() []string {
	keys := slices.Clone(topKeys)
	for _, m := range s {
		for _, p := range m.Params {
			if p.Top && !slices.Contains(keys, p.Key) {
				keys = append(keys, p.Key)
			}
		}
	}
	return keys
}

// keys lists the keys that may stand in a scope.
func (m *MethodSchema) keys(s scope) []string {
	var keys []string
	for _, p := range m.Params {
		if s.allows(p) {
			keys = append(keys, p.Key)
		}
	}
	return keys
}
