package recipe

import (
	"slices"
	"strings"
)

// ChatTemplates are the templates that have a name. Besides them a recipe can say
// auto, which is what most of the models have, or Jinja text.
func ChatTemplates() []string { return []string{"alpaca", "chatml", "exaone", "llama3", "mistral"} }

// chatTemplate tells a name from a template as mergekit does, by length and braces.
func (r *resolver) chatTemplate(s Setting) string {
	names := append([]string{"auto"}, ChatTemplates()...)
	short := len(s.Text) < 20 || !strings.Contains(s.Text, "{")
	if s.Text != "" && short && !slices.Contains(names, s.Text) {
		r.report(s.Where, "chat_template %q is neither a name nor a Jinja template%s: %s, or write the template", s.Text, hint(s.Text, names), choose(names))
	}
	return s.Text
}
