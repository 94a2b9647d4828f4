package plan

import (
	"fmt"
	"slices"

	"weld/format"
	"weld/format/quant"
	"weld/stream/fuse"
)

// Explain adds to an error of the method what only the plan knows: whose value is not finite, and what to do.
func (p *Plan) Explain(err error) error {
	nonfinite, ok := err.(*fuse.NonfiniteError)
	if !ok {
		return err
	}
	p.number(nonfinite)
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

// number counts an element as values are shown.
func (p *Plan) number(e *fuse.NonfiniteError) {
	if t := p.named(e.Tensor); t != nil && t.AsStored {
		e.Index = quant.ShownElement(t.Values().Shape, e.Index)
	}
}

// named is the tensor of a name; nil if there is none.
func (p *Plan) named(name string) *Tensor {
	i := slices.IndexFunc(p.Tensors, func(t Tensor) bool { return t.Name == name })
	if i < 0 {
		return nil
	}
	return &p.Tensors[i]
}

// culprit is the file whose value is not finite; "" where no file's is.
func (p *Plan) culprit(e *fuse.NonfiniteError) string {
	t := p.named(e.Tensor)
	if t == nil {
		return ""
	}
	switch e.Whose {
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
