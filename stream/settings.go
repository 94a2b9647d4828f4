package stream

import (
	"slices"

	"weld/format"
	"weld/scoring"
	"weld/stream/fuse/methods"
	"weld/stream/plan"
	"weld/stream/recipe"
)

// This file says with which values a method that weighs by importance is run, and who said so: a preset, a default and a file
// decide as much as a recipe does.

// Setting is one value in effect.
type Setting struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	// Model is the path of the model that it holds for; "" for all.
	Model string `json:"model,omitempty"`
	// From says where it comes from: the recipe or a flag, a preset, the importance file, or a default.
	From string `json:"from"`
	// Varies says that it depends on the tensor; Value is that of the first layer.
	Varies bool `json:"varies,omitempty"`
	// Usual says that it is the method's default, whoever said it.
	Usual bool `json:"-"`
}

// settings lists the values of methods that may read importance, but for paths. What all models have in common stands there once.
func settings(p *plan.Plan) []Setting {
	list := []Setting{}
	method, ok := methods.Find(p.Recipe.Method.Name)
	if !ok || len(method.Presets) == 0 && !method.ReadsImportance(p.Recipe.Params) {
		return list
	}
	for _, param := range method.Params {
		switch {
		case param.Kind == recipe.Path:
		case !param.PerModel:
			if s, ok := setting(param, p.Recipe.Params); ok {
				list = append(list, s)
			}
		default:
			list = append(list, ofModels(p, param)...)
		}
	}
	return list
}

// ofModels are the values of a key that each model may have its own of: one if they are the same.
func ofModels(p *plan.Plan, param recipe.Param) (each []Setting) {
	own := false // values that vary, and are not said of all models
	for i, m := range p.Recipe.Models {
		s, ok := setting(param, m.Params)
		if param.Key == "statistic" {
			s, ok = statistic(p, i)
		}
		if !ok {
			continue
		}
		own = own || s.Varies && m.Params[param.Key].Where.OfModel
		s.Model = m.Path
		each = append(each, s)
	}
	differs := func(s Setting) bool {
		return s.Value != each[0].Value || s.From != each[0].From || s.Varies != each[0].Varies
	}
	if own || len(each) < len(p.Recipe.Models) || slices.ContainsFunc(each, differs) {
		return each
	}
	each[0].Model = ""
	return each[:1]
}

// setting is a key's value, if it has one.
func setting(param recipe.Param, values recipe.Values) (Setting, bool) {
	v, ok := values[param.Key]
	return Setting{Key: param.Key, Value: v.Text, From: from(v), Varies: v.Varies, Usual: param.HasDefault(v)}, ok
}

// statistic is what a model's importance file holds, if it has one that is read.
func statistic(p *plan.Plan, i int) (Setting, bool) {
	file := p.Importance[i]
	if file == nil {
		return Setting{}, false
	}
	s := Setting{Key: "statistic", Value: file.Statistic.String(), From: "default"}
	if v, told := p.Recipe.Models[i].Params["statistic"]; told {
		s.From = from(v)
	} else if format.Metadata(file.Checkpoint)[scoring.StatisticKey] != "" {
		s.From = "the file"
	}
	return s, true
}

// from is who gave a value, and where.
func from(v recipe.Value) string {
	switch {
	case v.Where.Flag != "":
		return v.Where.Flag
	case v.Where.Line > 0:
		return v.Where.String()
	case v.Origin != "":
		return v.Origin
	}
	return "the recipe" // of a program, which has no lines
}
