package quant

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"weld/format"
)

// written stores values by an encoding, in the order in which a merge does.
func written(t *testing.T, e *Encoding, values []byte) (tensors []stored) {
	t.Helper()
	all := append([]format.Tensor{e.Codes}, e.Companions...)
	m := newMemory(all...)
	target := EncodedTarget{Encoding: e}
	for k := range e.Companions {
		target.Companions = append(target.Companions, k+1)
	}
	q := NewWriter(m, []EncodedTarget{target})
	if q.Measures(0) {
		if err := q.Measure(0, 0, values); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.WriteAt(0, 0, values); err != nil {
		t.Fatal(err)
	}
	for k, s := range all {
		if m.wrote[k] != s.Bytes() {
			t.Errorf("%d bytes of %s are written, of %d", m.wrote[k], s.Name, s.Bytes())
		}
		tensors = append(tensors, stored{s, m.tensors[k]})
	}
	return tensors
}

// How far a value may be from what is stored of it, as a part of the largest magnitude of its block: half a step between the largest codes, and
// of scales that are powers of two or E4M3 what they are too large.
var namedErrors = map[string]float64{
	"fp8_block": 16. / 448, "fp8_channel": 16. / 448, "fp8_tensor": 16. / 448, "int8_channel": 0.5 / 127.5, "int8_group": 0.5 / 127.5, "int4_group": 0.5 / 7.5,
	"mxfp8": 16. / 224, "mxfp6": 0.25 / 3.75, "mxfp4": 1. / 4, "nvfp4": 1. / 6 * 1.07,
}

// What is stored in a named scheme, and declared as it is, is read back: the values, within the error of the scheme, and again in the same scheme with the
// same bytes.
func TestNamedSchemes(t *testing.T) {
	for _, n := range AllNamed() {
		for _, plain := range []format.DType{format.BF16, format.F32} {
			t.Run(n.Name+" "+plain.String(), func(t *testing.T) {
				r := rand.New(rand.NewPCG(3, 4))
				rows, cols := int64(130), int64(384)
				values, data := make([]float32, rows*cols), make([]byte, 4*rows*cols)
				for i := range values {
					values[i] = float32(r.NormFloat64() * math.Exp(float64(i/1000%7)))
				}
				clear(values[2*cols : 3*cols])
				format.Encode(format.F32, data, values)
				weight := format.Tensor{Name: "model.layers.0.mlp.up_proj.weight", DType: plain, Shape: []int64{rows, cols}}
				e, ok := n.Encoding(weight)
				if !ok {
					t.Fatal("no encoding")
				}
				tensors := written(t, e, data)
				declared := Declared{Config: slices.Concat([]byte(`{"quantization_config": `), n.Declare([]string{"lm_head"}), []byte("}"))}
				c, err := Show(saved(t, tensors...), declared)
				if err != nil {
					t.Fatal(err)
				}
				v, ok := c.(*Decoded)
				if !ok || len(v.Tensors()) != 1 || v.Tensors()[0].Name != weight.Name || !slices.Equal(v.Tensors()[0].Shape, weight.Shape) {
					t.Fatalf("%v is shown", c.Tensors())
				}
				got := make([]float32, len(values))
				back := whole(t, v, 0)
				format.Decode(format.F32, got, back)
				most := namedErrors[n.Name] * 1.005
				if e.scaleType == format.BF16 {
					most += 0x1p-8 // of its rounding
				}
				largest := make(map[int64]float64)
				block := func(i int64) int64 { return i/cols/e.block.rows*cols + i%cols/e.block.cols }
				for i, x := range values {
					largest[block(int64(i))] = max(largest[block(int64(i))], math.Abs(float64(x)))
				}
				for i, x := range values {
					if off := math.Abs(float64(got[i]) - float64(x)); !(off <= most*largest[block(int64(i))]) {
						t.Fatalf("element %d: %v is stored as %v, in a block up to %v", i, x, got[i], largest[block(int64(i))])
					}
				}
				own, ok := v.Encoding(0)
				again, _ := n.Encoding(weight)
				if !ok || !again.Keep(own) {
					t.Fatalf("%+v is not what is read: %+v", again, own)
				}
				for k, s := range written(t, again, back) {
					if !bytes.Equal(s.data, tensors[k].data) {
						t.Errorf("%s is not kept", s.Name)
					}
				}
				for _, other := range AllNamed() {
					if x, ok := other.Encoding(weight); ok && other.Name != n.Name && x.Like(own) {
						t.Errorf("it could be %s as well", other.Name)
					}
				}
			})
		}
	}
}

// A shape that a scheme is not for has no encoding in it, and what is declared is JSON without null in the place of a list.
func TestNamedSchemesRefuse(t *testing.T) {
	for _, n := range AllNamed() {
		for _, c := range []struct {
			name  string
			shape []int64
			ok    bool
		}{
			{"a.weight", []int64{8, 100}, n.Group() == 0}, {"a.weight", []int64{8, 256}, true}, {"a.weight", []int64{2, 8, 256}, false}, {"a.weight", []int64{256}, false},
			{"a.weight", []int64{0, 256}, false}, {"a.bias", []int64{8, 256}, false},
		} {
			if _, ok := n.Encoding(format.Tensor{Name: c.name, DType: format.BF16, Shape: c.shape}); ok != c.ok {
				t.Errorf("%s: %s of %v: %v", n.Name, c.name, c.shape, ok)
			}
		}
		var config struct{ Ignore, Plain *[]string }
		if err := json.Unmarshal(bytes.ReplaceAll(n.Declare(nil), []byte("modules_to_not_convert"), []byte("plain")), &config); err != nil || (config.Ignore == nil) == (config.Plain == nil) {
			t.Errorf("%s: %s (%v)", n.Name, n.Declare(nil), err)
		}
		if FindNamed(n.Name).Name != n.Name || n.Help == "" || n.Source == "" {
			t.Errorf("%+v", n)
		}
	}
	if FindNamed("keep") != nil {
		t.Error("keep is a scheme")
	}
}
