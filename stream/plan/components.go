package plan

import (
	"cmp"
	"fmt"
	"slices"

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
		name := p.Tensors[i].Name
		switch part := format.PartOf(parts, name); {
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
		if !there && hasTensors(p.Reference().stored, parts, k) {
			return nil, &destination.NameError{Output: p.out, Reason: fmt.Sprintf("no tensor is left of the component %s of %s, which the output would list still, and nothing could load: take one component alone, by its directory", parts[k].Folder, p.Reference().Path)}
		}
	}
	return parts, nil
}

// hasTensors reports whether a component of a checkpoint has any: its file may be empty.
func hasTensors(c format.Checkpoint, parts []format.Part, of int) bool {
	return slices.ContainsFunc(c.Tensors(), func(t format.Tensor) bool { return format.PartOf(parts, t.Name) == of })
}
