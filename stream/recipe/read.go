package recipe

import (
	"slices"

	"go.yaml.in/yaml/v3"

	"weld/internal/spelling"
)

// topKeys are the keys of a recipe that are no parameters.
var topKeys = []string{
	"merge_method", "base_model", "models", "slices", "modules", "parameters", "dtype", "out_dtype",
	"tokenizer_source", "tokenizer", "chat_template",
}

// foreign are keys that mergekit or its other tools have and weld does not, with the
// reason, which is a better message than "unknown".
var foreign = map[string]string{
	"experts":       "it makes a mixture of experts, which is no merge of tensors",
	"gate_mode":     "it makes a mixture of experts, which is no merge of tensors",
	"architectures": "weld goes by the tensors' names, not by an architecture",
}

// draft reads the top level; nil if there is nothing to read.
func (r *resolver) draft(n *yaml.Node) *Draft {
	if n.Tag == "!!null" {
		r.report(Position{}, "the recipe is empty")
		return nil
	}
	d := &Draft{Origin: r.origin}
	r.own = r.schema.ofOwn(n)
	var body modelLists
	var source Setting
	var params []Setting // at the top
	ok := r.mapping(n, "a recipe", func(key string, where Position, value *yaml.Node) {
		switch key {
		case "merge_method":
			d.Method = r.setting(key, value)
		case "base_model":
			d.Base = r.optional(key, value, r.referenceNode)
		case "dtype":
			d.DType = r.optional(key, value, r.setting)
		case "out_dtype":
			d.OutDType = r.optional(key, value, r.setting)
		case "chat_template":
			d.ChatTemplate = r.optional(key, value, r.setting)
		case "parameters":
			d.Params = r.settings(value)
		case "models", "slices", "modules":
			r.readInputs(&body, key, where, value)
		case "tokenizer_source":
			source = r.optional(key, value, r.referenceNode)
		case "tokenizer":
			d.tokenizer = r.readTokenizer(where, value)
		default:
			if r.schema.atTop(key) {
				params = append(params, r.setting(key, value))
				return
			}
			if reason, known := foreign[key]; known {
				r.report(where, "key %q is not supported: %s; %s", key, reason, choose(r.schema.topKeys()))
				return
			}
			if r.misplaced(key, where) || r.passed(key, where, "name", "smooth", "allow_negative_weights", "layer_granularity", "random_seed", "pad_to_multiple_of") {
				return
			}
			keys := r.schema.topKeys()
			r.report(where, "unknown key %q%s: %s", key, spelling.Hint(key, keys), choose(keys))
		}
	})
	if !ok {
		return nil
	}
	d.Params = append(d.Params, params...)
	d.Models, d.Slices, d.ModuleParams, d.Modules, d.noModels = body.models, body.slices, body.params, body.modules, body.faulty
	d.tokenizer = r.eitherTokenizer(source, d.tokenizer)
	return d
}

// modelLists is what a recipe merges: models, or slices, or modules that have either.
type modelLists struct {
	models  []DraftModel
	slices  []DraftSlice
	modules []DraftModule
	params  []Setting // of the only module
	form    string    // the key that was read
	faulty  bool      // reported already
}

// readInputs reads one of the three forms. As in mergekit, an empty one counts as absent.
func (r *resolver) readInputs(in *modelLists, key string, where Position, value *yaml.Node) {
	value = r.follow(value)
	if null(value) || (value.Kind != yaml.ScalarNode && len(value.Content) == 0) {
		return
	}
	if in.form != "" {
		r.report(where, "%s and %s exclude each other: choose one of models, slices, modules", in.form, key)
		return
	}
	in.form = key
	switch key {
	case "models":
		in.models, in.faulty = r.readModels(value)
	case "slices":
		in.slices, in.faulty = r.readSlices(value)
	case "modules":
		r.readModules(in, value)
	}
}

// readModules reads the modules. A single one says what a recipe could say by itself, and is
// read as that; several are parts of a model that are merged apart.
func (r *resolver) readModules(in *modelLists, n *yaml.Node) {
	ok := r.mapping(n, "modules", func(name string, where Position, value *yaml.Node) {
		var inner modelLists
		ok := r.mapping(value, "a module", func(key string, where Position, value *yaml.Node) { r.readModule(&inner, key, where, value) })
		if ok && inner.form == "" {
			r.report(where, "module %q has neither models nor slices", name)
		}
		inner.faulty = inner.faulty || inner.form == ""
		in.modules = append(in.modules, DraftModule{name, inner.models, inner.slices, inner.params, where, inner.faulty})
	})
	if len(in.modules) == 1 {
		only := in.modules[0]
		in.models, in.slices, in.params, in.modules, in.faulty = only.Models, only.Slices, only.Params, nil, only.faulty
	}
	in.faulty = in.faulty || !ok
}

// readModule reads one key of a module.
func (r *resolver) readModule(in *modelLists, key string, where Position, value *yaml.Node) {
	switch key {
	case "models", "slices":
		r.readInputs(in, key, where, value)
	case "parameters":
		in.params = r.settings(value)
	default:
		keys := []string{"models", "slices", "parameters"}
		r.report(where, "unknown key %q of a module%s: %s", key, spelling.Hint(key, keys), choose(keys))
	}
}

// meant proposes what was probably meant by a key beside a model: one of keys, or a parameter that is misspelt too.
func (r *resolver) meant(key string, keys []string) string {
	if len(r.schema.With(key)) > 0 {
		return ""
	}
	all := slices.Clone(keys)
	for _, m := range r.schema {
		all = append(all, m.keys(ofModel)...)
	}
	return spelling.Hint(key, all)
}

// readModels reads the list of models; faulty if there is none.
func (r *resolver) readModels(n *yaml.Node) (models []DraftModel, faulty bool) {
	if n.Kind != yaml.SequenceNode {
		r.report(Position{Line: n.Line}, "models is a list: - model: PATH …")
		return nil, true
	}
	for _, item := range n.Content {
		if !r.spend(item) {
			break
		}
		m := DraftModel{Path: Setting{Key: "model", Where: Position{Line: item.Line}}}
		if word := r.follow(item); word.Kind == yaml.ScalarNode && word.Tag == "!!str" {
			r.report(Position{Line: item.Line}, "a model is a mapping: - model: %s", word.Value)
			m.Path.faulty = true
			models = append(models, m)
			continue
		}
		ok := r.mapping(item, "a model", func(key string, where Position, value *yaml.Node) {
			switch key {
			case "model":
				m.Path = r.referenceNode(key, value)
			case "parameters":
				m.Params = r.settings(value)
			default:
				keys := []string{"model", "parameters"}
				if r.passed(key, where, "layer_range", "revision", "name", "merge_method") {
					return
				}
				r.report(where, "unknown key %q of a model%s: %s; everything else belongs under parameters", key, r.meant(key, keys), choose(keys))
			}
		})
		m.Path.faulty = m.Path.faulty || !ok
		models = append(models, m)
	}
	return models, false
}
