package stream

import (
	"weld/format"
	"weld/scoring"
	"weld/stream/fuse/methods"
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
}

// settings lists the values of methods that may read importance, but for paths.
func (p *Prepared) settings() []Setting {
	list := []Setting{}
	method, ok := methods.Find(p.Recipe.Method.Name)
	if !ok || len(method.Presets) == 0 && !method.ReadsImportance(p.Recipe.Params) {
		return list
	}
	for _, param := range method.Params {
		if param.Kind == recipe.Path {
			continue
		}
		if !param.PerModel {
			list = p.appendSetting(list, param.Key, "", p.Recipe.Params)
			continue
		}
		for i, m := range p.Recipe.Models {
			if param.Key == "statistic" {
				list = p.appendStatistic(list, i)
			} else {
				list = p.appendSetting(list, param.Key, m.Path, m.Params)
			}
		}
	}
	return list
}

// appendSetting appends a key that has a value.
func (p *Prepared) appendSetting(list []Setting, key, model string, values recipe.Values) []Setting {
	v, ok := values[key]
	if !ok {
		return list
	}
	s := Setting{Key: key, Value: v.Text, Model: model, From: "default", Varies: v.Varies}
	preset := p.Recipe.Params.Text(recipe.PresetKey)
	if _, set := p.Recipe.Method.Presets[preset][key]; v.Where != (recipe.Position{}) {
		s.From = said(v.Where)
	} else if set {
		s.From = "preset " + preset
	}
	return append(list, s)
}

// appendStatistic appends what a model's importance file holds, if it has one that is read.
func (p *Prepared) appendStatistic(list []Setting, i int) []Setting {
	file := p.Importance[i]
	if file == nil {
		return list
	}
	s := Setting{Key: "statistic", Value: file.Statistic.String(), Model: p.Recipe.Models[i].Path, From: "default"}
	if v, told := p.Recipe.Models[i].Params["statistic"]; told {
		s.From = said(v.Where)
	} else if format.Metadata(file.Checkpoint)[scoring.StatisticKey] != "" {
		s.From = "the file"
	}
	return append(list, s)
}

// said is where a value was given.
func said(where recipe.Position) string {
	if where.Flag != "" {
		return where.Flag
	}
	return where.String()
}
