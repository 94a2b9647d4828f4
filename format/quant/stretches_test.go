package quant

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"weld/format"
)

func TestHQQGolden(t *testing.T) { holdGolden(t, "hqq", "model.layers.0.q_proj.bias") }

func TestQuantoGolden(t *testing.T) {
	var biases []string
	for k := range 4 {
		biases = append(biases, fmt.Sprintf("model.layers.%d.q_proj.bias", k))
	}
	holdGolden(t, "quanto", biases...)
}

// term is a tensor of HQQ that says how a weight is packed.
func term(name string, values ...int64) stored {
	x := stored{Tensor: format.Tensor{Name: "q." + name, DType: format.I64, Shape: []int64{int64(len(values))}}}
	for _, v := range values {
		x.data = binary.LittleEndian.AppendUint64(x.data, uint64(v))
	}
	return x
}

// packedAs is the term that names a packing.
func packedAs(name string) stored {
	return stored{format.Tensor{Name: "q.packing", DType: format.U8, Shape: []int64{int64(len(name))}}, []byte(name)}
}

// Weights larger than a piece, with groups along both axes.
func TestHQQ(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		out, in, group, axis int64
		packing              string
	}{
		{300, 640, 64, 1, "4bit_u8"}, {300, 640, 64, 0, "4bit_u8"}, {1000, 640, 8, 0, "2bit_u8"}, {1001, 64, 1, 1, "8bit_u8"}, {300, 640, 48, 1, "3bit_32"}, {300, 640, 64, 0, "3bit_32"},
	} {
		p := hqqPackings[c.packing]
		n := c.out * c.in
		rows, width := n/c.group, c.group
		if c.axis == 0 {
			rows, width = c.group, n/c.group
		}
		step := (rows + p.each - 1) / p.each
		d := format.U8
		if p.size == 4 {
			d = format.I32
		}
		codes, scale, zero := random(r, "q.W_q", d, step, width), random(r, "q.scale", format.F16, n/c.group), random(r, "q.zero", format.BF16, n/c.group)
		v, err := Show(saved(t, codes, scale, zero, packedAs(c.packing), term("shape", c.out, c.in), term("group_size", c.group), term("axis", c.axis)), Declared{})
		if err != nil {
			t.Fatal(err)
		}
		want, factors, zeros := make([]float32, n), scale.numbers(), zero.numbers()
		for at := range want {
			row, column := int64(at)/width, int64(at)%width
			item := int64(codes.data[(row%step*width+column)*p.size])
			if p.size == 4 {
				item = int64(binary.LittleEndian.Uint32(codes.data[(row%step*width+column)*4:]))
			}
			code := item >> ((p.each - 1 - row/step) * p.bits) & (1<<p.bits - 1)
			k := row
			if c.axis == 0 {
				k = column
			}
			want[at] = float32(float32(code)-zeros[k]) * factors[k]
		}
		holdRanges(t, v, 0, encoded(want))
	}
}

func TestHQQRefused(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	right := func() map[string]stored {
		return map[string]stored{
			"W_q": random(r, "q.W_q", format.U8, 4, 16), "scale": random(r, "q.scale", format.F16, 8, 1), "zero": random(r, "q.zero", format.F16, 8, 1),
			"packing": packedAs("4bit_u8"), "shape": term("shape", 8, 16), "group_size": term("group_size", 16), "axis": term("axis", 1), "quant_scale": term("quant_scale", 0),
		}
	}
	list := func(m map[string]stored) (all []stored) {
		for _, x := range m {
			all = append(all, x)
		}
		return all
	}
	if _, err := Show(saved(t, list(right())...), Declared{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"scale", "zero", "packing", "shape", "group_size", "axis"} {
		m := right()
		delete(m, name)
		refused(t, "", "q.W_q", list(m)...)
	}
	for name, x := range map[string]stored{
		"packing": packedAs("5bit_u8"), "shape": term("shape", 8, 17), "group_size": term("group_size", 0), "axis": term("axis", 2), "quant_scale": term("quant_scale", 1),
		"scale": random(r, "q.scale", format.F16, 4, 1), "W_q": random(r, "q.W_q", format.U8, 5, 16),
	} {
		m := right()
		m[name] = x
		refused(t, "", "q.W_q", list(m)...)
	}
}

// Weights larger than a piece, with shifts of floats and of integers.
func TestQuanto(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		out, in, group, bits int64
		shift                format.DType
	}{{300, 640, 128, 4, format.BF16}, {301, 640, 128, 2, format.F32}, {303, 640, 128, 4, format.I8}} {
		rows, each := c.out*c.in/c.group, 8/c.bits
		step := (rows + each - 1) / each
		codes, scale, shift := random(r, "q.weight._data._data", format.U8, step, c.group), random(r, "q.weight._scale", format.BF16, rows, 1), random(r, "q.weight._shift", c.shift, rows, 1)
		v, err := Show(saved(t, codes, scale, shift, random(r, "q.bias", format.BF16, c.out), random(r, "q.input_scale", format.F32)), Declared{})
		if err != nil {
			t.Fatal(err)
		}
		want, factors := make([]float32, c.out*c.in), scale.numbers()
		for at := range want {
			row, column := int64(at)/c.group, int64(at)%c.group
			code := float32(int64(codes.data[row%step*c.group+column]) >> (row / step * c.bits) & (1<<c.bits - 1))
			if c.shift == format.I8 {
				want[at] = float32(code-float32(int8(shift.data[row]))) * factors[row]
			} else {
				want[at] = float32(factors[row]*code) - shift.numbers()[row]
			}
		}
		i, _ := v.Find("q.weight")
		if len(v.Tensors()) != 2 {
			t.Fatalf("%v", v.Tensors())
		}
		holdRanges(t, v, i, encoded(want))
	}
}

func TestQuantoRefused(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const codes = "q.weight._data._data"
	scale, shift, bias := random(r, "q.weight._scale", format.F32, 8, 1), random(r, "q.weight._shift", format.F32, 8, 1), random(r, "q.bias", format.F32, 4)
	for name, list := range map[string][]stored{
		"no bias":      {random(r, codes, format.U8, 4, 16), scale, shift},
		"another bias": {random(r, codes, format.U8, 4, 16), scale, shift, random(r, "q.bias", format.F32, 3)},
		"no shift":     {random(r, codes, format.U8, 4, 16), scale, bias},
		"rows":         {random(r, codes, format.U8, 5, 16), scale, shift, bias},
		"one row":      {random(r, codes, format.U8, 1, 16), random(r, "q.weight._scale", format.F32, 1, 1), random(r, "q.weight._shift", format.F32, 1, 1), random(r, "q.bias", format.F32, 1)},
		"shifts":       {random(r, codes, format.U8, 4, 16), scale, random(r, "q.weight._shift", format.F32, 7, 1), bias},
		"types":        {random(r, codes, format.U8, 4, 16), scale, random(r, "q.weight._shift", format.I32, 8, 1), bias},
	} {
		t.Run(name, func(t *testing.T) { refused(t, "", codes, list...) })
	}
	refused(t, "", "q.weight._data", random(r, "q.weight._data", format.I8, 8, 16), random(r, "q.weight._scale", format.F32, 7, 1))
	refused(t, "", "q.weight._data", random(r, "q.weight._data", format.U8, 8, 16), random(r, "q.weight._scale", format.F32, 8, 1))
}
