package plan

import (
	"cmp"
	"fmt"
	"strings"

	"weld/format"
	"weld/stream/destination"
)

// outputParts are the components of the output: those of the reference, whose names say where every tensor goes. There are none for one
// model.
func (p *planner) outputParts() ([]format.Part, error) {
	parts := format.Parts(p.Reference().Checkpoint)
	left := make([]bool, len(parts))
	own, stray := "", ""
	for i := range p.Tensors {
		name, part := p.Tensors[i].Name, -1
		for k := range parts {
			if strings.HasPrefix(name, parts[k].Prefix()) {
				part = k // of several the longest: they are sorted
			}
		}
		switch {
		case part < 0:
			stray = cmp.Or(stray, name)
		case parts[part].Folder != "":
			own = cmp.Or(own, name)
			fallthrough
		default:
			left[part] = true
		}
	}
	switch out := p.Output; {
	case len(parts) == 0:
		return nil, nil
	case out.Container.HoldsFiles() && stray != "":
		return nil, &destination.NameError{Output: p.out, Reason: fmt.Sprintf("the tensor %q is in none of the components of %s, whose directories begin the names: %s and so on", stray, p.Reference().Path, parts[0].Prefix())}
	case !out.Container.HoldsFiles() && own != "":
		return nil, &destination.NameError{Output: p.out, Reason: fmt.Sprintf("%s has components, such as that of %q, which one file does not hold: name a directory or a pack (*.weld), or take one component alone, by its directory", p.Reference().Path, own)}
	case !out.Container.HoldsFiles():
		return nil, nil
	}
	for k, there := range left {
		if !there {
			p.note("output %s: no tensor is left of the component %s, which the output lists still: what loads it looks for weights there; in %s, [null, null] stands for none", p.out, parts[k].Folder, format.PipelineName)
		}
	}
	return parts, nil
}
