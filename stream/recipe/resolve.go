package recipe

import (
	"strings"

	"weld/format"
)

// Resolve checks a draft and completes it with presets and defaults. The error is
// [Problems].
func (s Schema) Resolve(d *Draft) (*Recipe, error) { return Parser{Schema: s}.Resolve(d) }

// Parser reads recipes by a schema where paths can be looked at.
type Parser struct {
	Schema
	// Exists reports whether a path is there. A + in a model's name is then a letter like any other
	// where there is a path of that name.
	Exists func(path string) bool
}

// Resolve is [Schema.Resolve].
func (in Parser) Resolve(d *Draft) (*Recipe, error) {
	r := &resolver{origin: d.Origin, schema: in.Schema, exists: in.Exists}
	recipe := in.resolve(r, d)
	if err := r.err(); err != nil {
		return nil, err
	}
	return recipe, nil
}

func (s Schema) resolve(r *resolver, d *Draft) *Recipe {
	method, err := s.Named(d.Method.Text)
	switch {
	case d.Method.faulty:
		return nil
	case d.Method.Text == "":
		r.report(d.Method.Where, "no merge method is given: %s", choose(s.Names()))
		return nil
	case err != nil:
		r.report(d.Method.Where, "%v", err)
		return nil
	}
	if method.Base == Required && !d.Base.given() {
		r.report(d.Method.Where, "%s needs a base model (%s)", method.Name, spelled(d, "base_model: PATH", "--base PATH"))
	}
	r.problems = append(r.problems, d.mismatches...)
	r.encoding(d)
	b := newBuilder(r, method, d)
	r.dtypes(b.out, d)
	switch {
	case len(d.Modules) > 0:
		b.modules()
	case len(d.Slices) > 0:
		b.slices()
	default:
		b.models()
	}
	b.out.Tokenizer = b.tokenizer(d.tokenizer)
	b.out.ChatTemplate = r.chatTemplate(d.ChatTemplate)
	if len(r.problems) == 0 {
		b.check()
	}
	b.out.Unused = r.unused
	return b.out
}

// builder makes a recipe of a draft.
type builder struct {
	*resolver
	method *MethodSchema
	draft  *Draft
	base   reference
	out    *Recipe

	module, global, preset, defaults scopeRules
}

func newBuilder(r *resolver, m *MethodSchema, d *Draft) *builder {
	b := &builder{resolver: r, method: m, draft: d, base: r.reference(d.Base)}
	b.out = &Recipe{Origin: r.origin, Method: m, Base: b.base.path, BaseLora: b.base.lora}
	b.module = r.collect(m, d.ModuleParams, ofAll)
	b.global = r.collect(m, d.Params, ofAll)
	named := scopeRules{}
	for _, l := range []scopeRules{b.global, b.module} {
		if rs, ok := l[PresetKey]; ok {
			named[PresetKey] = rs
		}
	}
	b.preset = r.preset(m, named)
	b.defaults = m.defaults(Occasion{})
	return b
}

// paramSet lays scopes over those that hold for the whole merge.
func (b *builder) paramSet(perModel bool, narrowFirst ...scopeRules) *paramSet {
	return newParamSet(b.method, perModel, append(narrowFirst, b.module, b.global, b.preset, b.defaults)...)
}

// demand reports required keys that have no value. Whether filters leave one out for some tensors is
// known when there are tensors: [Coverage].
func (b *builder) demand(e *paramSet, perModel bool, where Position, of string) {
	for _, p := range b.method.Params {
		if !p.Required || p.PerModel != perModel {
			continue
		}
		if len(e.rules[p.Key]) == 0 {
			b.report(where, "%s needs %s%s: %s", b.method.Name, where.named(p.Key), of, p.Allowed())
		}
	}
}

// isBase reports the base model of a slice, or of the recipe.
func (b *builder) isBase(x, base reference) bool { return base.path != "" && x.same(base) }

// count checks how many models there are, the base left out where it is a reference.
func (b *builder) count(n int, where, tooMany Position, of string) {
	m := b.method
	switch {
	case n < m.MinModels:
		b.report(where, "%s merges at least %d models%s, %d given", m.Name, m.MinModels, of, n)
	case m.MaxModels > 0 && n > m.MaxModels:
		counted := ""
		if m.BaseIs == BaseFirst || m.BaseIs == BaseModel {
			counted = "; the base is one of them"
		}
		b.report(tooMany, "%s takes at most %d %s%s, %d given%s", m.Name, m.MaxModels, models(m.MaxModels), of, n, counted)
	}
}

func models(n int) string {
	if n == 1 {
		return "model"
	}
	return "models"
}

// check asks the method what is wrong across keys. What it takes away is gone in all
// slices.
func (b *builder) check() {
	if b.method.Check == nil {
		return
	}
	before := make([][]string, len(b.out.Models))
	for i, m := range b.out.Models {
		before[i] = keysOf(m.Params)
	}
	shared := keysOf(b.out.Params)
	b.method.Check(b.out, func(where Position, text string) { b.report(where.plain(), "%s", text) })
	for slice, in := range b.out.scopes {
		dropped(shared, b.out.Params, in.shared)
		for k, e := range in.sources {
			i := k
			if b.out.Slices != nil {
				i = b.out.Slices[slice].Sources[k].Model
			}
			dropped(before[i], b.out.Models[i].Params, e)
		}
	}
}

func keysOf(values Values) []string {
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	return keys
}

// dropped takes away from a set what is gone from its summary.
func dropped(before []string, now Values, s *paramSet) {
	for _, key := range before {
		if !now.Has(key) {
			s.drop(key)
		}
	}
}

// dtypes reads both, of which out_dtype wins: weld computes in float32 whatever dtype
// says.
func (r *resolver) dtypes(out *Recipe, d *Draft) {
	dtype, outDType := d.DType, d.OutDType
	if dtype.Key == "out_dtype" && !outDType.given() {
		dtype, outDType = Setting{}, dtype
	}
	out.DType, out.OutDType = r.dtype(dtype), r.dtype(outDType)
	if out.OutDType != format.Invalid {
		out.DType = out.OutDType
	}
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
