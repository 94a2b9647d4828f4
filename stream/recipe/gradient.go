package recipe

import (
	"math"
	"strconv"
)

// gradient is a list of values over the layers, from the first to the last: numbers
// are interpolated, everything else changes in steps. A gradient of one value is that
// value everywhere.
type gradient []Value

// at is the value where t says, 0 being the first layer and 1 the last.
func (g gradient) at(t float64, kind ValueKind) Value {
	if !(t > 0) { // NaN too
		return g[0]
	}
	last := len(g) - 1
	index := min(t, 1) * float64(last)
	i := int(index)
	if kind != Number || i == last {
		return g[i] // steps, which reach the last value at the last layer only, as in mergekit
	}
	a, b := g[i].Number, g[i+1].Number
	f := index - float64(i)
	// Rounding must not lead out of the range that the ends were checked for.
	n := math.Max(math.Min(a, b), math.Min(math.Max(a, b), (1-f)*a+f*b))
	return Value{Number: n, Text: strconv.FormatFloat(n, 'g', -1, 64), Where: g[i].Where}
}

// flat reports a gradient that is the same everywhere.
func (g gradient) flat(kind ValueKind) bool {
	for _, v := range g[1:] {
		if v.Number != g[0].Number || kind != Number && v.Text != g[0].Text {
			return false
		}
	}
	return true
}
