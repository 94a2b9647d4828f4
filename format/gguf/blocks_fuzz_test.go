package gguf

import (
	"math"
	"slices"
	"testing"
)

// FuzzBlocks decodes arbitrary blocks of every type, and stores the values again where the type is written. Values do not depend on what else is
// decoded; no value is a NaN of another kind; what is stored again is finite, and as near as the span of its block divided by the codes.
func FuzzBlocks(f *testing.F) {
	c := opened(f, "types.gguf")
	for i, x := range c.Tensors() {
		if b, _ := c.Blocks(i); b != nil {
			_, data := bytesOf(f, c, x.Name)
			f.Add(uint8(numberOf(b.Name)), data[:min(len(data), int(2*b.Bytes))])
		}
	}
	f.Fuzz(func(t *testing.T, number uint8, data []byte) {
		s, known := storages[Type(number)]
		if !known || s.Decode == nil || int64(len(data)) < s.Bytes {
			return
		}
		n := int64(len(data)) / s.Bytes
		whole, one := make([]float32, n*s.Elements), make([]float32, s.Elements)
		s.Decode(whole, data[:n*s.Bytes])
		for k := range n {
			s.Decode(one, data[k*s.Bytes:][:s.Bytes])
			values := whole[k*s.Elements:][:s.Elements]
			if !slices.EqualFunc(one, values, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }) {
				t.Fatalf("%s: block %d has other values by itself", s.Name, k)
			}
			checkBlock(t, s, values)
		}
	})
}

// numberOf is ggml's number of a type.
func numberOf(name string) Type {
	for number, s := range storages {
		if s.Name == name {
			return number
		}
	}
	return 255
}

// coarsest is how far values may be from where they were, as a share of the largest magnitude of their block: half a step between codes where these
// are even, and what scales lose that are codes themselves.
var coarsest = map[string]float64{"Q8_0": 0.005, "Q4_0": 0.126, "Q4_1": 0.07, "Q5_0": 0.063, "Q5_1": 0.04, "MXFP4": 0.5, "Q4_K": 0.12, "Q6_K": 0.06}

// checkBlock stores values, and reads them again.
func checkBlock(t *testing.T, s *storage, values []float32) {
	largest, finite := 0.0, true
	for _, v := range values {
		if v != v && math.Float32bits(v) != 0x7fc00000 {
			t.Fatalf("%s: a NaN %x", s.Name, math.Float32bits(v))
		}
		finite = finite && v-v == 0
		largest = max(largest, math.Abs(float64(v)))
	}
	if s.Encode == nil {
		return
	}
	block, again := make([]byte, s.Bytes), make([]float32, s.Elements)
	if ok := s.Encode(block, values); !ok {
		if finite && largest < 60000 {
			t.Fatalf("%s: no code for values up to %v", s.Name, largest)
		}
		return
	} else if !finite {
		t.Fatalf("%s: a code for what is not finite", s.Name)
	}
	s.Decode(again, block)
	for i, v := range again {
		off := math.Abs(float64(v) - float64(values[i]))
		// Scales of binary16 have steps of 2^-24, of which codes are up to 127 times, and those of groups another 63 or 128.
		if bound := coarsest[s.Name]*largest + 0x1p-24*128*128; !(off <= bound) {
			t.Fatalf("%s: element %d is %v, and was %v; the largest is %v", s.Name, i, v, values[i], largest)
		}
	}
}
