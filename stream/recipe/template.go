package recipe

import (
	"slices"
	"strings"
)

// namedTemplates are those that mergekit brings along, and weld does not.
var namedTemplates = []string{"alpaca", "chatml", "exaone", "llama3", "mistral"}

// chatTemplate accepts auto, which is what most of the models have, the text of a Jinja template,
// or the path of one.
func (r *resolver) chatTemplate(s Setting) string {
	switch {
	case s.Text == "", s.Text == "auto", strings.HasSuffix(s.Text, ".jinja"), strings.Contains(s.Text, "{{"), strings.Contains(s.Text, "{%"):
	case slices.Contains(namedTemplates, s.Text):
		r.report(s.Where, "chat_template %q: weld brings no templates along: save the text of this one as a .jinja file and name that", s.Text)
	default:
		r.report(s.Where, "chat_template %q is not auto, the text of a Jinja template (with {{ or {%%), or the path of a .jinja file", s.Text)
	}
	return s.Text
}
