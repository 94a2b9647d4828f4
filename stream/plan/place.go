package plan

import "weld/stream/destination"

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
	check := destination.Candidate{Name: p.out, Kind: container.Kind(), Force: p.options.Force}
	for i := range p.Opened {
		in := &p.Opened[i]
		check.Inputs = append(check.Inputs, destination.InUse{Role: in.Role, Path: in.Path, Files: in.Files()})
	}
	return check.Check()
}
