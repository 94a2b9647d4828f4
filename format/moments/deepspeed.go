package moments

import (
	"errors"

	"weld/format"
	"weld/format/deepspeed"
	"weld/format/open"
	"weld/format/torch"
	"weld/mmapio"
)

// openDeepSpeed opens a directory of DeepSpeed's: a training's, or that of one checkpoint.
func openDeepSpeed(dir format.Folder, how []mmapio.Reading) (format.Checkpoint, error) {
	o, err := deepspeed.OpenOptimizer(dir, func(name string) (torch.Source, error) { return open.Source(dir.Join(name), how...) })
	if err != nil {
		return nil, err
	}
	s := &states{path: dir.Path(), raw: o.Checkpoint, steps: o.Steps, notes: o.Notes()}
	byBeta := make(map[float64][]string)
	for name, beta2 := range o.Beta2 {
		byBeta[beta2] = append(byBeta[beta2], name)
	}
	for beta2, names := range byBeta {
		s.groups = append(s.groups, group{keys: names, decay: beta2})
	}
	if len(o.Tensors()) == 0 {
		return nil, errors.Join(s.fault(format.KindUnsupported, "", "its optimizer keeps no state of a parameter that weld knows"+elsewhere), o.Close())
	}
	return s.finish(nil)
}
