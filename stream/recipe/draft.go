package recipe

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"weld/format"
)

// Draft is what a user wrote, before it is understood.
type Draft struct {
	Origin string // a file's name, or "" for the command line
	Method Setting
	Base   Setting
	DType  Setting // dtype, or out_dtype, which wins
	Models []DraftModel
	Params []Setting // global ones

	mismatches []Problem
	noModels   bool // there is no list of models, which is reported already
}

// Mismatch records a key that was given n times: neither once nor once for each
// model.
func (d *Draft) Mismatch(s Setting, n int) {
	text := fmt.Sprintf("given %d times for %d models: give it once for each, or once for all", n, len(d.Models))
	d.mismatches = append(d.mismatches, Problem{Origin: d.Origin, Place: s.Where, Text: text})
}

// DraftModel is one model of a draft.
type DraftModel struct {
	Path   Setting
	Params []Setting
}

// Setting is a key with a value, and where it stands.
type Setting struct {
	Key, Text string
	Where     Place
	faulty    bool // not a value at all, which is reported already
}

// Place is where something was written: a line of the recipe, or a flag.
type Place struct {
	Line    int
	Flag    string
	OfModel bool // said of one model, not of all
}

// Problem is one thing that is wrong with a recipe.
type Problem struct {
	Origin string
	Place
	Text string
}

func (p Problem) String() string {
	switch {
	case p.Flag != "":
		return p.Flag + ": " + p.Text
	case p.Line > 0:
		return fmt.Sprintf("%s:%d: %s", p.Origin, p.Line, p.Text)
	case p.Origin != "":
		return p.Origin + ": " + p.Text
	}
	return p.Text
}

// Problems is the error of a recipe that cannot be used: all that is wrong with it.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// resolver collects problems while a draft is read.
type resolver struct {
	origin   string
	problems Problems
}

func (r *resolver) report(where Place, text string, args ...any) {
	r.problems = append(r.problems, Problem{Origin: r.origin, Place: where, Text: fmt.Sprintf(text, args...)})
}

// err returns the problems in the order of their lines, each once: what is wrong with
// a global value is found for every model.
func (r *resolver) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return a.Line - b.Line })
	seen := make(map[Problem]bool)
	return slices.DeleteFunc(r.problems, func(p Problem) bool {
		again := seen[p]
		seen[p] = true
		return again
	})
}

// Resolve checks a draft and completes it with presets and defaults. The error is
// [Problems].
func (s Schema) Resolve(d *Draft) (*Recipe, error) {
	r := &resolver{origin: d.Origin}
	recipe := s.resolve(r, d)
	if err := r.err(); err != nil {
		return nil, err
	}
	return recipe, nil
}

func (s Schema) resolve(r *resolver, d *Draft) *Recipe {
	method, ok := s.Find(d.Method.Text)
	switch {
	case d.Method.faulty:
		return nil
	case d.Method.Text == "":
		r.report(d.Method.Where, "no merge method is given: %s", choose(s.Names()))
		return nil
	case !ok:
		r.report(d.Method.Where, "unknown merge method %q%s: %s", d.Method.Text, hint(d.Method.Text, s.Names()), choose(s.Names()))
		return nil
	}
	out := &Recipe{Method: method, Base: d.Base.Text}
	if method.Base == Required && d.Base.Text == "" && !d.Base.faulty {
		r.report(d.Method.Where, "%s needs a base model (%s)", method.Name, spelled(d, "base_model: PATH", "--base PATH"))
	}
	r.problems = append(r.problems, d.mismatches...)
	r.encoding(d)
	out.DType = r.dtype(d.DType)
	r.countModels(method, d)

	global := r.collect(method, d.Params, false)
	preset := r.preset(method, global)
	for _, m := range d.Models {
		own := r.collect(method, m.Params, true)
		out.Models = append(out.Models, Model{Path: m.Path.Text, Where: m.Path.Where, Params: complete(method, true, preset, global, own)})
	}
	out.Params = complete(method, false, preset, global)
	if len(r.problems) == 0 && method.Check != nil {
		method.Check(out, func(where Place, text string) { r.report(where, "%s", text) })
	}
	return out
}

func (r *resolver) countModels(m *Method, d *Draft) {
	switch n := len(d.Models); {
	case d.noModels:
	case n == 0:
		r.report(d.Method.Where, "no model is given (%s)", spelled(d, "models: [{model: PATH}, …]", "--model PATH"))
	case n < m.MinModels:
		r.report(d.Method.Where, "%s merges at least %d models, %d given", m.Name, m.MinModels, n)
	case m.MaxModels > 0 && n > m.MaxModels:
		r.report(d.Models[m.MaxModels].Path.Where, "%s takes at most %d model, %d given", m.Name, m.MaxModels, n)
	}
	for _, model := range d.Models {
		if model.Path.Text == "" && !model.Path.faulty {
			r.report(model.Path.Where, "a model without a path")
		}
	}
}

// encoding refuses paths that a recipe cannot hold.
func (r *resolver) encoding(d *Draft) {
	settings := append([]Setting{d.Base}, d.Params...)
	for _, m := range d.Models {
		settings = append(append(settings, m.Path), m.Params...)
	}
	for _, s := range settings {
		if !utf8.ValidString(s.Text) {
			r.report(s.Where, "%q is not UTF-8, which a recipe must be", s.Text)
		}
	}
}

// spelled says a thing the way that the user is writing.
func spelled(d *Draft, yaml, flag string) string {
	if d.Origin == "" {
		return flag
	}
	return yaml
}

func (r *resolver) dtype(s Setting) format.DType {
	if s.Text == "" {
		return format.Invalid
	}
	d, ok := format.ParseTorchDType(s.Text)
	if !ok {
		d, ok = format.ParseDType(strings.ToUpper(s.Text))
	}
	if !ok || !d.Computable() {
		var names []string
		for _, d := range format.DTypes() {
			if d.Computable() {
				names = append(names, d.Torch())
			}
		}
		r.report(s.Where, "%s %q is no type that weld computes with: %s", s.Key, s.Text, choose(names))
	}
	return d
}

// collect reads settings that belong to a model, or to all of them.
func (r *resolver) collect(m *Method, settings []Setting, perModel bool) Values {
	values := make(Values)
	for _, s := range settings {
		p, known := m.param(s.Key)
		switch {
		case s.faulty:
			continue
		case !known:
			keys := m.keys(perModel)
			r.report(s.Where, "unknown parameter %q of %s%s: %s", s.Key, m.Name, hint(s.Key, keys), choose(keys))
			continue
		case perModel && !p.PerModel:
			r.report(s.Where, "%q holds for the whole merge: it belongs among the global parameters", s.Key)
			continue
		}
		if old, twice := values[s.Key]; twice {
			r.report(s.Where, "%q is given twice (first %s)", s.Key, old.Where)
			continue
		}
		v, err := p.parse(s.Text)
		if err != nil {
			r.report(s.Where, "%s: %v", s.Key, err)
			continue
		}
		v.Where = s.Where
		v.Where.OfModel = perModel
		values[s.Key] = v
	}
	return values
}

func (p Place) String() string {
	if p.Flag != "" {
		return "as " + p.Flag
	}
	return fmt.Sprintf("on line %d", p.Line)
}

// parse understands one value.
func (p Param) parse(text string) (Value, error) {
	v := Value{Text: text}
	wrong := fmt.Errorf("%q is not %s", text, p.Allowed())
	switch p.Kind {
	case Number:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || !(n >= p.Min && n <= p.Max) { // NaN too
			return v, wrong
		}
		v.Number = n
	case Bool:
		switch strings.ToLower(text) {
		case "true", "yes", "on": // as YAML 1.1 has it, and mergekit
			v.Bool, v.Text = true, "true"
		case "false", "no", "off":
			v.Text = "false"
		default:
			return v, wrong
		}
	case Choice:
		if !slices.Contains(p.Choices, text) {
			return v, wrong
		}
	case Path:
		if text == "" {
			return v, wrong
		}
	}
	return v, nil
}

// PresetKey is the global key that names a preset.
const PresetKey = "preset"

// preset reads the values that a preset puts in place of defaults.
func (r *resolver) preset(m *Method, global Values) Values {
	chosen, ok := global[PresetKey]
	if !ok {
		return nil
	}
	values := make(Values)
	for key, text := range m.Presets[chosen.Text] {
		p, _ := m.param(key)
		v, err := p.parse(text)
		if err != nil {
			r.report(chosen.Where, "preset %s: %s: %v", chosen.Text, key, err)
		}
		values[key] = v
	}
	return values
}

// complete layers settings over presets over defaults.
func complete(m *Method, perModel bool, layers ...Values) Values {
	values := make(Values)
	for _, p := range m.Params {
		if p.PerModel != perModel {
			continue
		}
		if p.Default != "" {
			values[p.Key], _ = p.parse(p.Default)
		}
		for _, layer := range layers {
			if v, ok := layer[p.Key]; ok {
				values[p.Key] = v
			}
		}
	}
	return values
}

func choose(names []string) string { return "choose from " + strings.Join(names, ", ") }

// hint proposes the name that was probably meant.
func hint(got string, names []string) string {
	best, distance := "", 3
	for _, name := range names {
		if d := editDistance(got, name); d < distance {
			best, distance = name, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
