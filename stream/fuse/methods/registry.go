package methods

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"weld/scoring"
	"weld/stream/fuse"
	"weld/stream/recipe"
)

// Method is a registered merge method.
type Method struct {
	recipe.MethodSchema // what can be said to it
	Family              Family
	// Deviations are where the method means something else than mergekit's of the same name: docs/mergekit.md.
	Deviations []Deviation
	// Exact says that mergekit computes the method in float32 too, whatever the models are stored in.
	Exact bool
	// Elementwise says that each element of a result is made of the inputs' elements in its place alone: neither their number nor the others
	// have a part in it, so that tensors may be gone through in any order.
	Elementwise bool

	all, each       *paramFields // of the parameters
	readsImportance func(all any) bool
	unchanged       func(all, each any) bool
	notes           func(all any) []string
	start           func(s Setup) fuse.Method
}

// Family is what methods have in common, and where docs/methods.md has them.
type Family int

const (
	selecting Family = iota
	arithmetic
	inCommon
	averages
	twoModels
)

func (f Family) String() string {
	return [...]string{"Selection", "Generalised task arithmetic", "From what task vectors have in common", "Averages", "Between two models"}[f]
}

// Deviation is something that weld does otherwise than mergekit, on purpose. docs/mergekit.md
// has each with its reason, under the same name.
type Deviation struct {
	Name    string
	Text    string
	Touches func(*recipe.Recipe) bool // nil: every recipe of the method
}

// Setup is what a merge is prepared from.
type Setup struct {
	Jobs       fuse.Jobs
	Shared     recipe.Values       // of the whole recipe
	Models     []recipe.Values     // of each model
	Statistics []scoring.Statistic // what each model's importance file holds
	TableBytes int64               // memory for counting scores while they are summed up
	Early      bool                // the output can be filled in the walk that finds thresholds; see [fuse.Early]
}

// New prepares a merge. The jobs' parameters are those that a [ParamDecoder] of the method made.
func (m *Method) New(s Setup) fuse.Method { return m.start(s) }

// ReadsImportance reports whether the method reads importance files, at these values of the parameters that hold for all
// models.
func (m *Method) ReadsImportance(shared recipe.Values) bool {
	return m.readsImportance != nil && m.readsImportance(m.all.decode(shared))
}

// PassesOn reports a method that passes one model on: what is not computed with is copied from that, and not from the base.
func (m *Method) PassesOn() bool { return m.unchanged != nil }

// Notes are what a user should know of a combination of values that is allowed and of little use.
func (m *Method) Notes(shared recipe.Values) []string {
	if m.notes == nil {
		return nil
	}
	return m.notes(m.all.decode(shared))
}

// registry are the methods, in the order of [All]; problems are what is wrong with their registrations, which a test
// reports.
var (
	registry []*Method
	problems []error
)

// All lists the methods: by family, then by name.
func All() []*Method { return slices.Clone(registry) }

// Find returns the method of that name.
func Find(name string) (*Method, bool) {
	i := slices.IndexFunc(registry, func(m *Method) bool { return m.Name == name })
	if i < 0 {
		return nil, false
	}
	return registry[i], true
}

// Schema lists what recipes and flags may say to each method.
func Schema() recipe.Schema {
	schema := make(recipe.Schema, len(registry))
	for i, m := range registry {
		schema[i] = m.MethodSchema
	}
	return schema
}

// definition is what a method's file registers. All and Each are structs: the parameters that hold for all models, and
// those of each. Their fields have tags; see [paramFields].
type definition[All, Each any] struct {
	recipe.MethodSchema // without Params
	family              Family
	defaults            map[string]string // in place of those in the tags: where methods share a struct, or have them in one place
	cases               []defaultCase     // defaults for some merges alone; of several for one key the first that holds counts
	deviations          []Deviation
	exact               bool // see [Method.Exact]
	elementwise         bool // see [Method.Elementwise]

	readsImportance func(*All) bool        // nil for never
	unchanged       func(*All, *Each) bool // of a method that passes one model on: whether its values stay as they are
	notes           func(*All) []string    // see [Method.Notes]; nil for none

	formula formula[All, Each]                                                          // of a method that merges each tensor by itself
	merge   func(s Setup, nonfinite fuse.Nonfinite, all *All, each []*Each) fuse.Method // of any other
}

// register adds a method. What is wrong with it fails a test, and not the program.
func register[All, Each any](d definition[All, Each]) {
	m, err := d.method()
	if err != nil {
		problems = append(problems, fmt.Errorf("method %q: %w", d.Name, err))
		return
	}
	registry = append(registry, m)
	slices.SortFunc(registry, func(a, b *Method) int {
		return cmp.Or(cmp.Compare(a.Family, b.Family), cmp.Compare(a.Name, b.Name))
	})
}

// method makes a method of a definition, or says what is wrong with that.
func (d definition[All, Each]) method() (m *Method, err error) {
	m = &Method{MethodSchema: d.MethodSchema, Family: d.family, Deviations: d.deviations, Exact: d.exact, Elementwise: d.elementwise}
	if m.all, err = fieldsOf(reflect.TypeFor[All](), false, d.defaults); err != nil {
		return nil, err
	}
	if m.each, err = fieldsOf(reflect.TypeFor[Each](), true, d.defaults); err != nil {
		return nil, err
	}
	if err := m.complete(d.defaults, d.cases); err != nil {
		return nil, err
	}
	if _, twice := Find(m.Name); twice {
		return nil, errors.New("registered twice")
	}
	if f := d.formula; d.merge == nil && (f.single == nil || f.double == nil || f.tiles == nil) {
		return nil, errors.New("has neither a merge nor a formula with single, double and tiles")
	}
	d.untype(m)
	return m, nil
}

// untype gives a method the definition's functions, over parameters of any type.
func (d definition[All, Each]) untype(m *Method) {
	if d.readsImportance != nil {
		m.readsImportance = func(all any) bool { return d.readsImportance(all.(*All)) }
	}
	if d.unchanged != nil {
		m.unchanged = func(all, each any) bool { return d.unchanged(all.(*All), each.(*Each)) }
	}
	if d.notes != nil {
		m.notes = func(all any) []string { return d.notes(all.(*All)) }
	}
	m.start = func(s Setup) fuse.Method {
		nonfinite := nonfiniteOf(s.Shared)
		if d.merge == nil {
			return d.formula.untyped().Method(s.Jobs, nonfinite)
		}
		each := make([]*Each, len(s.Models))
		for i, v := range s.Models {
			each[i] = m.each.decode(v).(*Each)
		}
		return d.merge(s, nonfinite, m.all.decode(s.Shared).(*All), each)
	}
}

// complete puts the parameters together, and checks what can be checked of a method before it is used.
func (m *Method) complete(defaults map[string]string, cases []defaultCase) error {
	m.Params = append(slices.Clone(m.each.params), m.all.params...)
	if m.param(nonfiniteKey) < 0 {
		all, err := fieldsOf(reflect.TypeFor[common](), false, nil)
		if err != nil {
			return err
		}
		m.Params = append(m.Params, all.params...)
	}
	for i, p := range m.Params {
		if m.param(p.Key) != i {
			return fmt.Errorf("key %q stands in it twice", p.Key)
		}
	}
	for key := range defaults {
		if m.param(key) < 0 {
			return fmt.Errorf("default of %q, which it has not", key)
		}
	}
	if err := errors.Join(m.addCases(cases), m.checkPresets()); err != nil {
		return err
	}
	switch {
	case m.Name == "":
		return errors.New("has no name")
	case m.Summary == "" || m.Formula == "":
		return errors.New("has no summary, or no formula")
	}
	return nil
}

// param is the place of a key among the parameters; −1 for none.
func (m *Method) param(key string) int {
	return slices.IndexFunc(m.Params, func(p recipe.Param) bool { return p.Key == key })
}

// nonfiniteKey is a parameter of every method.
const nonfiniteKey = "nonfinite"

// common has that parameter: for methods that want it at a certain place among their own. Others have it as the last.
type common struct {
	Nonfinite fuse.Nonfinite `key:"nonfinite" help:"a result that is infinite or NaN: stop, let it pass, or take the base's value"`
}

// nonfiniteOf is what recipes say of values that are not finite.
func nonfiniteOf(shared recipe.Values) fuse.Nonfinite {
	names := fuse.StopNonfinite.Choices()
	return fuse.Nonfinite(max(0, slices.Index(names, shared.Text(nonfiniteKey))))
}
