package recipe

import (
	"slices"
	"strings"

	"weld/stream/chat"
)

// chatTemplate accepts auto, which is what most of the models have, the name of a template, the
// text of one in Jinja, or the path of one.
func (r *resolver) chatTemplate(s Setting) string {
	text, known := s.Text, []string{"", "auto"}
	known = append(known, chat.Names()...)
	if !slices.Contains(known, text) && !strings.HasSuffix(text, ".jinja") && !strings.Contains(text, "{{") && !strings.Contains(text, "{%") {
		r.report(s.Where, "chat_template %q is not one of %s, the text of a Jinja template (with {{ or {%%), or the path of a .jinja file", text, strings.Join(known[1:], ", "))
	}
	return text
}
