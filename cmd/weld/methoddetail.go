package main

import (
	"slices"

	"weld/stream"
	"weld/stream/recipe"
)

// This file is what weld methods --json prints. Its help describes the fields; they are promised to stay.

// methodSummary is a method in the list: its JSON.
type methodSummary struct {
	Name       string `json:"name"`
	Summary    string `json:"summary"`
	Source     string `json:"source"`
	Own        bool   `json:"own"`
	Base       string `json:"base"`
	BaseRole   string `json:"base_role"`
	MinModels  int    `json:"min_models"`
	MaxModels  int    `json:"max_models"`
	Importance string `json:"importance"`
}

// methodDetail is all of a method: its JSON.
type methodDetail struct {
	methodSummary
	Formula string                       `json:"formula"`
	Keys    []keyDetail                  `json:"keys"`
	Presets map[string]map[string]string `json:"presets"`
	Example string                       `json:"example"`
}

// keyDetail is a key of a method: its JSON.
type keyDetail struct {
	Key      string  `json:"key"`
	Flag     string  `json:"flag"`
	Type     string  `json:"type"`
	Help     string  `json:"help"`
	PerModel bool    `json:"per_model"`
	Varies   bool    `json:"varies"`
	Required bool    `json:"required"`
	Default  *string `json:"default,omitempty"`
	// DefaultFor are defaults that hold in some merges; the first that fits counts.
	DefaultFor []defaultDetail `json:"default_for,omitempty"`
	Min        *float64        `json:"min,omitempty"`
	Max        *float64        `json:"max,omitempty"`
	Choices    []string        `json:"choices,omitempty"`
}

// defaultDetail is a default that holds in some merges: its JSON.
type defaultDetail struct {
	When    string `json:"when"`
	Default string `json:"default"`
}

// needWords says whether something has to be there.
var needWords = map[recipe.Need]string{recipe.Optional: "optional", recipe.Required: "required"}

// baseRoles says what a method does with the base model.
var baseRoles = map[recipe.BaseRole]struct{ name, help string }{
	recipe.BaseReference: {"reference", "task vectors are what models have beyond it"},
	recipe.BaseModel:     {"model", "one model more, if it is not listed"},
	recipe.BaseFirst:     {"first", "the first of the models, listed or not"},
	recipe.BaseDonor:     {"donor", "gives configuration and tokenizer, and takes no part in the merge"},
}

// typeWords are the types of values.
var typeWords = map[recipe.ValueKind]string{recipe.Number: "number", recipe.Bool: "boolean", recipe.Choice: "choice", recipe.Path: "path"}

func summarize(m *recipe.MethodSchema) methodSummary {
	return methodSummary{
		Name: m.Name, Summary: m.Summary, Source: m.Source, Own: m.Own, Base: needWords[m.Base], BaseRole: baseRoles[m.BaseIs].name,
		MinModels: m.MinModels, MaxModels: m.MaxModels, Importance: importanceOf(m),
	}
}

// importanceOf says whether a method needs importance files.
func importanceOf(m *recipe.MethodSchema) string {
	switch {
	case !takesImportance(m):
		return "none"
	case needsImportance(m):
		return needWords[recipe.Required]
	}
	return needWords[recipe.Optional]
}

// takesImportance reports a method that has importance files, whether it needs them or not.
func takesImportance(m *recipe.MethodSchema) bool {
	return slices.ContainsFunc(m.Params, func(p recipe.Param) bool { return p.Key == recipe.ImportanceKey })
}

// needsImportance reports a method that refuses a merge without importance files, as long as its other keys have
// their defaults.
func needsImportance(m *recipe.MethodSchema) bool {
	_, without := stream.Schema().Parse("", []byte(exampleOf(m, false).yaml()))
	_, with := stream.Schema().Parse("", []byte(exampleOf(m, true).yaml()))
	return without != nil && with == nil
}

func detail(m *recipe.MethodSchema) methodDetail {
	d := methodDetail{methodSummary: summarize(m), Formula: m.Formula, Keys: []keyDetail{}, Presets: m.Presets, Example: exampleOf(m, takesImportance(m)).yaml()}
	if d.Presets == nil {
		d.Presets = map[string]map[string]string{}
	}
	for _, p := range m.Params {
		d.Keys = append(d.Keys, keyOf(p))
	}
	return d
}

func keyOf(p recipe.Param) keyDetail {
	k := keyDetail{
		Key: p.Key, Flag: "--" + flagName(p.Key), Type: typeWords[p.Kind], Help: p.Help,
		PerModel: p.PerModel, Varies: p.Varies(), Required: p.Required, Choices: p.Choices,
	}
	if p.Default != "" {
		k.Default = &p.Default
	}
	for _, c := range p.Cases {
		k.DefaultFor = append(k.DefaultFor, defaultDetail{c.String(), c.Text})
	}
	if p.Integer {
		k.Type = "integer"
	}
	k.Min, k.Max = p.Range()
	return k
}
