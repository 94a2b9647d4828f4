package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"weld/format"
)

// This file knows what an importance file says of the model that it was measured on.

// measuredKey is where a file says in JSON what it was measured on.
const measuredKey = "weld.importance"

// noteMeasured says where a file's model is neither the one that it is used for nor the base, which are both in use.
func (p *planner) noteMeasured() (problems []error) {
	for i, file := range p.Importance {
		if file == nil {
			continue
		}
		var told struct{ Model, Digest string }
		if json.Unmarshal([]byte(format.Metadata(file.stored)[measuredKey]), &told) != nil || told.Digest == "" {
			continue
		}
		note, err := p.otherModel(file.Path, told.Model, told.Digest, p.Models[i])
		if err != nil {
			problems = append(problems, err)
		} else if note != "" {
			p.Notes = appendNew(p.Notes, []string{note})
		}
	}
	return problems
}

// otherModel says that a file was measured on another model; "" where it was not.
func (p *planner) otherModel(file, name, digest string, model *Input) (note string, err error) {
	used := []*Input{model}
	if p.Base != nil {
		used = append(used, p.Base)
	}
	var paths []string
	for _, in := range used {
		if in.weights == "" {
			if in.weights, err = weightsDigest(in); err != nil {
				return "", err
			}
		}
		if in.weights == digest {
			return "", nil
		}
		paths = appendNew(paths, []string{in.Path}) // a model may be the base itself
	}
	if slices.Contains(paths, name) {
		return fmt.Sprintf("%s: measured on %s, whose weights have changed since (%s)", file, name, measuredKey), nil
	}
	return fmt.Sprintf("%s: measured on %s, whose weights are not those of %s (%s)", file, name, strings.Join(paths, " nor of "), measuredKey), nil
}
