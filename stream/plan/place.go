package plan

import (
	"fmt"

	"weld/format"
	"weld/stream/destination"
)

// checkPlace demands that the output can be put where it is wanted.
func (p *planner) checkPlace() error {
	if p.out == "" {
		return nil
	}
	container, err := destination.ContainerOf(p.out)
	if err != nil {
		return err
	}
	p.Output = &Output{Path: p.out, Container: container}
	if container == destination.Patch && p.options.Conversion != nil {
		return &destination.NameError{Output: p.out, Reason: "a patch is made against a base: weld patch BASE NEW OUT.weldpatch makes one"}
	}
	if container == destination.Patch && p.Recipe.Base == "" {
		return &destination.NameError{Output: p.out, Reason: "a patch is made against the base, and the recipe has no base model"}
	}
	if container == destination.Patch && p.Base.inGGUF() != nil {
		return &format.Error{Path: p.Base.Path, Kind: format.KindUnsupported, Detail: fmt.Sprintf("the patch %s would be made against it, and GGUF is in no patch: name an output *.gguf", p.out)}
	}
	check := destination.Candidate{Name: p.out, Kind: container.Kind(), Force: p.options.Force}
	for i := range p.Opened {
		in := &p.Opened[i]
		check.Inputs = append(check.Inputs, destination.InUse{Role: in.Role, Path: in.Path, Files: in.Files()})
	}
	return check.Check()
}
