package moments

import (
	"encoding/binary"
	"math"

	"weld/format"
)

// Means that begin at zero are too small at first: after t steps by a factor of 1 − β^t. Sums grow with the steps. This file finds how many
// there were.

// correctable is a decoder whose values are corrected.
type correctable interface {
	// correct is told of steps, and of what the group of the parameter says; it reports whether that is enough.
	correct(steps float64, known bool, g *group) (enough bool)
}

func (d *stored) correct(steps float64, known bool, g *group) bool {
	if !d.fades {
		return true
	}
	bias, enough := biasOf(steps, known, g)
	d.bias = bias
	return enough
}

func (d *blockwise) correct(steps float64, known bool, g *group) bool {
	bias, enough := biasOf(steps, known, g)
	d.bias = bias
	return enough
}

func (d *accumulated) correct(steps float64, known bool, g *group) bool {
	if g != nil {
		d.initial = rounded(d.dtype, g.initial)
	}
	if known {
		d.steps = steps
	}
	return known && g != nil
}

// biasOf is what a mean is divided by.
func biasOf(steps float64, known bool, g *group) (by float64, enough bool) {
	switch {
	case g != nil && g.rising: // its first mean is the first square
		return 1, true
	case !known || g == nil || g.decay == 0:
		return 1, false
	}
	return 1 - math.Pow(g.decay, steps), true
}

// rounded is a number as a tensor of a type holds it.
func rounded(t format.DType, x float64) float64 {
	var one [1]float64
	data := make([]byte, t.Bits()/8)
	format.Encode(t, data, []float64{x})
	format.Decode(t, one[:], data)
	return one[0]
}

// stepsOf is how many steps a parameter has had: a number of Python, or a tensor.
func (s *states) stepsOf(p param) (steps float64, known bool, err error) {
	steps, known = s.steps[p.key]
	i, ok := p.parts["step"]
	if !ok || s.raw.Tensors()[i].Elements() != 1 {
		return steps, known, nil
	}
	t := s.raw.Tensors()[i]
	err = viewed(s.raw).values(i, 0, 1, func(data []byte) {
		var one [1]float64
		switch known = true; {
		case t.DType == format.I64:
			one[0] = float64(int64(binary.LittleEndian.Uint64(data)))
		case t.DType == format.I32:
			one[0] = float64(int32(binary.LittleEndian.Uint32(data)))
		case t.DType.Computable():
			format.Decode(t.DType, one[:], data)
		default:
			known = false
		}
		steps = one[0]
	})
	return steps, known, err
}

// group is the one that a parameter is in; nil where nothing says.
func (s *states) group(of map[string]*group, p param) *group {
	if g := of[p.key]; g != nil {
		return g
	}
	if s.rising {
		return &group{rising: true}
	}
	return nil
}
