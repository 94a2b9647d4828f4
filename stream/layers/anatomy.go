package layers

import (
	"fmt"
	"slices"
	"strings"

	"weld/format"
)

// Anatomy lists what a layer is made of: names behind its number, and shapes, in order.
type Anatomy []string

// Anatomies are those of the layers of a run.
func Anatomies(tensors []format.Tensor, run Run) []Anatomy {
	layers := make([]Anatomy, run.Layers)
	for _, t := range tensors {
		prefix, index, suffix := Split(t.Name)
		if prefix == run.Prefix && index < run.Layers {
			layers[index] = append(layers[index], fmt.Sprint(strings.TrimPrefix(suffix, "."), " ", t.Shape))
		}
	}
	for _, a := range layers {
		slices.Sort(a)
	}
	return layers
}

// Unlike names one thing that tells a layer from another; "" where they have the same.
func (a Anatomy) Unlike(other Anatomy) string {
	for _, x := range a {
		if _, there := slices.BinarySearch(other, x); !there {
			return "with " + x
		}
	}
	for _, x := range other {
		if _, there := slices.BinarySearch(a, x); !there {
			return "without " + x
		}
	}
	return ""
}
