package plan

import (
	"fmt"
	"slices"

	"weld/format"
	"weld/stream/fuse"
)

// Explain adds to an error of the method what only the plan knows: whose value is not finite, and what to do.
func (p *Plan) Explain(err error) error {
	nonfinite, ok := err.(*fuse.NonfiniteError)
	if !ok {
		return err
	}
	if path := p.culprit(nonfinite); path != "" {
		err = &format.Error{Path: path, Kind: format.KindNonfinite, Err: nonfinite}
	} else {
		err = fmt.Errorf("the output: %w", nonfinite)
	}
	if p.Base == nil {
		return fmt.Errorf("%w; nonfinite propagate lets such values pass", err)
	}
	return fmt.Errorf("%w; nonfinite propagate lets such values pass, nonfinite base takes the base's", err)
}

// culprit is the file whose value is not finite; "" where no file's is.
func (p *Plan) culprit(e *fuse.NonfiniteError) string {
	i := slices.IndexFunc(p.Tensors, func(t Tensor) bool { return t.Name == e.Tensor })
	if i < 0 {
		return ""
	}
	switch t := &p.Tensors[i]; e.Whose {
	case fuse.OfModel:
		from, _ := p.Model(t, e.Model)
		return from.Path
	case fuse.OfImportance:
		return p.Importance[t.Models[e.Model].Model].Path
	case fuse.OfBase:
		return t.Reference.Path
	}
	return ""
}
