package recipe

import (
	"fmt"
	"unicode/utf8"
)

// Draft is what a user wrote, before it is understood.
type Draft struct {
	Origin       string // a file's name, or "" for the command line
	Method       Setting
	Base         Setting
	DType        Setting // dtype; an out_dtype may stand here too
	OutDType     Setting // wins over DType
	Models       []DraftModel
	Slices       []DraftSlice  // instead of models
	Modules      []DraftModule // instead of either, where there are several
	Params       []Setting     // global ones
	ModuleParams []Setting     // of the only module, which go before the global ones
	ChatTemplate Setting

	tokenizer  *draftTokenizer
	mismatches []Problem
	noModels   bool // there is no list of models, which is reported already
}

// DraftModule is a part of the model that is merged by itself.
type DraftModule struct {
	Name   string
	Models []DraftModel
	Slices []DraftSlice // instead of models
	Params []Setting
	Where  Position

	faulty bool // neither models nor slices, which is reported already
}

// DraftModel is one model of a draft.
type DraftModel struct {
	Path   Setting
	Params []Setting
}

// DraftSlice is a run of layers of the output.
type DraftSlice struct {
	Sources []DraftSource
	Base    Setting // in place of the recipe's
	Params  []Setting
	Where   Position
}

// DraftSource is a model of which a slice takes the layers from First up to, but
// without, Last.
type DraftSource struct {
	DraftModel
	First, Last int
}

// Setting is a key with a value, and where it is written.
type Setting struct {
	Key, Text string
	Where     Position
	Literal   bool          // a path in which + is a letter like any other
	rules     []filterTexts // a gradient or filters in place of Text
	ref       *reference    // a model written as a mapping, in place of Text
	faulty    bool          // not a value at all, which is reported already
}

// filterTexts is what one filter chooses: the texts of a gradient, or one text.
type filterTexts struct {
	filter string
	texts  []string
	lines  []int // of the texts
}

// given reports that something was written.
func (s Setting) given() bool { return s.Text != "" || s.faulty }

// Mismatch records a key that was given n times: neither once nor once for each
// model.
func (d *Draft) Mismatch(s Setting, n int) {
	text := fmt.Sprintf("given %d times for %d models: give it once for each, or once for all", n, len(d.Models))
	d.mismatches = append(d.mismatches, Problem{Origin: d.Origin, Position: s.Where, Text: text})
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
