package quant

import (
	"errors"
	"slices"

	"weld/format"
	"weld/format/composed"
)

// Components are stored each in a scheme of its own, as the configuration in its directory says: what is asked of all of them is asked of each.

// showEach shows every component as what its values stand for; those that are stored plainly as they are.
func showEach(c *composed.Checkpoint) (format.Checkpoint, error) {
	shown, err := c.Each(func(child format.Checkpoint) (format.Checkpoint, error) {
		declared, err := Beside(child)
		if err != nil {
			return nil, err
		}
		return Show(child, declared)
	})
	if err != nil {
		return nil, err
	}
	return shown, nil
}

// RecognizeIn is [Recognize] for a checkpoint, of which d is declared; of components for each, by what is declared of it: the first scheme is the answer.
func RecognizeIn(c format.Checkpoint, d Declared) (s *Scheme, stale []string, err error) {
	parts, ok := c.(*composed.Checkpoint)
	if !ok {
		s, stale = Recognize(d, c.Tensors())
		return s, stale, nil
	}
	for _, child := range parts.Children() {
		declared, of := Beside(child.Checkpoint)
		err = errors.Join(err, of)
		scheme, left := Recognize(declared, child.Tensors())
		for _, where := range left {
			stale = append(stale, child.Prefix()+where)
		}
		if scheme != nil && s == nil {
			s = scheme
			s.Codes.Name = child.Prefix() + s.Codes.Name
		}
	}
	if s != nil { // codes are somewhere: what is said of others stays
		stale = nil
	}
	return s, stale, err
}

// TermsIn are all that is declared of a checkpoint, or of its components.
func TermsIn(c format.Checkpoint, d Declared) (terms string) {
	parts, ok := c.(*composed.Checkpoint)
	if !ok {
		return d.Terms()
	}
	for _, child := range parts.Children() {
		declared, _ := Beside(child.Checkpoint) // read before
		if of := declared.Terms(); of != "" {
			terms += child.Prefix() + of
		}
	}
	return terms
}

// HeldIn bounds what views of values hold beside the checkpoints behind them.
func HeldIn(c format.Checkpoint) (n int64) {
	switch c := c.(type) {
	case *Decoded:
		return c.HeldBytes()
	case *composed.Checkpoint:
		for _, child := range c.Children() {
			n += HeldIn(child.Checkpoint)
		}
	}
	return n
}

// SchemeIn is how the values of a tensor are stored, as [Decoded.Scheme] says; "" where they are as they are shown.
func SchemeIn(c format.Checkpoint, i int) (name string, codes format.DType, bytes int64) {
	switch c := c.(type) {
	case *Decoded:
		return c.Scheme(i)
	case *composed.Checkpoint:
		child, at := c.At(i)
		return SchemeIn(child.Checkpoint, at)
	}
	t := c.Tensors()[i]
	return "", t.DType, t.Bytes()
}

// schemesOf are those of all components, each once.
func schemesOf(c *composed.Checkpoint) (list []string) {
	for _, child := range c.Children() {
		for _, name := range Schemes(child.Checkpoint) {
			if !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
	}
	return list
}
