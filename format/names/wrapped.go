package names

import (
	"regexp"
	"slices"
	"strings"

	"weld/format"
)

// Wrapped finds what wrappers of training left in the names of a checkpoint. rid are the substitutions that take it away, for
// [ParseSubstitution]: of what all names begin with, and of parts inside of names that no module has by itself.
func Wrapped(tensors []format.Tensor) (rid []string) {
	if len(tensors) == 0 {
		return nil
	}
	lead := wrappedLead(tensors)
	if lead != "" {
		rid = append(rid, "s/^"+regexp.QuoteMeta(lead)+"//")
	}
	for _, part := range wrappers {
		if !strings.HasPrefix(part, "_") { // module and base_layer may be a model's own
			continue
		}
		if slices.ContainsFunc(tensors, func(t format.Tensor) bool { return within(t.Name[len(lead):], part) }) {
			rid = append(rid, `s/\b`+part+`\.//g`)
		}
	}
	return rid
}

// wrappedLead is what wrappers put before all names.
func wrappedLead(tensors []format.Tensor) (lead string) {
	outer := []string{adapted}
	for _, part := range wrappers {
		if part != "base_layer" {
			outer = append(outer, part+".")
		}
	}
	all := func(lead string) bool {
		return !slices.ContainsFunc(tensors, func(t format.Tensor) bool { return !strings.HasPrefix(t.Name, lead) })
	}
	for {
		next := slices.IndexFunc(outer, func(part string) bool { return all(lead + part) })
		switch {
		case next >= 0:
			lead += outer[next]
		case all(lead+modelled) && slices.ContainsFunc(tensors, func(t format.Tensor) bool { return twice.MatchString(t.Name[len(lead):]) }):
			lead += modelled
		default:
			return lead
		}
	}
}

// modelled is what a module of one's own puts before all names of the model that it holds, as Lightning's do. Models have it themselves, but not before
// what stands outermost in a model: twice matches that.
const modelled = "model."

var twice = regexp.MustCompile(`^model\.(?:model|lm_head|transformer|gpt_neox|embed_out|bert|roberta|classifier)\.`)

// within reports whether a name has a module of that name.
func within(name, part string) bool {
	return strings.HasPrefix(name, part+".") || strings.Contains(name, "."+part+".")
}
