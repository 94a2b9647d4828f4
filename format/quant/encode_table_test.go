package quant

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"weld/format"
)

// rewritten writes values of a tensor of a view, and returns what comes of its codes and companions.
func rewritten(t *testing.T, v *Decoded, i int, e *Encoding, values []byte) *memory {
	t.Helper()
	m := newMemory(append([]format.Tensor{e.Codes}, e.Companions...)...)
	target := EncodedTarget{Encoding: e}
	for k := range e.Companions {
		target.Companions = append(target.Companions, k+1)
	}
	q := NewWriter(m, []EncodedTarget{target})
	passes := []func(int, int64, []byte) error{q.WriteAt}
	if q.Measures(0) {
		passes = slices.Insert(passes, 0, q.Measure)
	}
	for _, take := range passes {
		for lo := 0; lo < len(values); lo += 1000 {
			if err := take(0, int64(lo), values[lo:min(lo+1000, len(values))]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	m.copyBeside(t, e)
	return m
}

// What a library wrote is written again byte for byte, if its values are.
func TestGoldensAreEncodedAsTheyWere(t *testing.T) {
	kinds := make(map[string]int)
	for _, name := range []string{"compressed-bf16", "compressed-earlier", "compressed-mixed", "compressed-narrow", "modelopt", "mxfp4"} {
		c, _ := golden(t, name)
		v := c.(*Decoded)
		for i, x := range v.Tensors() {
			e, ok := v.Encoding(i)
			if !ok {
				continue
			}
			m := rewritten(t, v, i, e, whole(t, v, i))
			for k, s := range append([]format.Tensor{e.Codes}, e.Companions...) {
				j, _ := v.Checkpoint.Find(s.Name)
				if !bytes.Equal(m.tensors[k], whole(t, v.Checkpoint, j)) {
					t.Errorf("%s: %s of %s is not as it was", name, s.Name, x.Name)
				}
			}
			kinds[fmt.Sprintf("%v %v", e.Codes.DType, e.Companions[0].DType)]++
		}
	}
	for _, kind := range []string{"I32 F32", "I8 BF16", "U8 U8"} { // packed integers, whole ones, MXFP4
		if kinds[kind] == 0 {
			t.Errorf("no %s is among %v", kind, kinds)
		}
	}
}

// Every value gets the code that is nearest by the scale of its block.
func TestNearestCodes(t *testing.T) {
	config := func(layout, weights string) string {
		return `{"quantization_config": {"quant_method": "compressed-tensors", "format": "` + layout + `", "config_groups": {"a": {"targets": ["Linear"], "weights": ` + weights + `}}}}`
	}
	const rows, cols = 37, 192
	for name, c := range map[string]struct {
		config string
		codes  stored
		scales stored
		group  int
		scale  func(largest float64) float64
		levels []float32
	}{
		"int4": {
			config("pack-quantized", `{"num_bits": 4, "type": "int", "symmetric": true, "strategy": "group", "group_size": 64}`),
			stored{Tensor: format.Tensor{Name: "a.weight_packed", DType: format.I32, Shape: []int64{rows, cols / 8}}},
			stored{Tensor: format.Tensor{Name: "a.weight_scale", DType: format.F32, Shape: []int64{rows, cols / 64}}},
			64, func(largest float64) float64 { return largest / 7.5 }, offsetIntegers[4],
		},
		"int8": {
			config("int-quantized", `{"num_bits": 8, "type": "int", "symmetric": true, "strategy": "channel"}`),
			stored{Tensor: format.Tensor{Name: "a.weight", DType: format.I8, Shape: []int64{rows, cols}}},
			stored{Tensor: format.Tensor{Name: "a.weight_scale", DType: format.F32, Shape: []int64{rows, 1}}},
			cols, func(largest float64) float64 { return largest / 127.5 }, offsetIntegers[8],
		},
		"mxfp4": {
			config("mxfp4-pack-quantized", `{"num_bits": 4, "type": "float", "symmetric": true, "strategy": "group", "group_size": 32}`),
			stored{Tensor: format.Tensor{Name: "a.weight_packed", DType: format.U8, Shape: []int64{rows, cols / 2}}},
			stored{Tensor: format.Tensor{Name: "a.weight_scale", DType: format.U8, Shape: []int64{rows, cols / 32}}},
			32, func(largest float64) float64 { return math.Exp2(math.Floor(math.Log2(largest/1.75*2)) - 2) }, narrowFloats(1),
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(9, 10))
			tensors := []stored{c.codes, c.scales}
			for k := range tensors {
				tensors[k].data = make([]byte, tensors[k].Bytes())
				for i := range tensors[k].data {
					tensors[k].data[i] = byte(1 + r.UintN(100))
				}
			}
			if c.scales.DType == format.F32 {
				format.Encode(format.F32, tensors[1].data, make([]float32, c.scales.Elements()))
			}
			if name == "int4" {
				tensors = append(tensors, stored{format.Tensor{Name: "a.weight_shape", DType: format.I64, Shape: []int64{2}}, []byte{rows, 0, 0, 0, 0, 0, 0, 0, cols, 0, 0, 0, 0, 0, 0, 0}})
			}
			declared := Declared{Config: []byte(c.config)}
			shown, err := Show(saved(t, tensors...), declared)
			if err != nil {
				t.Fatal(err)
			}
			v := shown.(*Decoded)
			e, ok := v.Encoding(0)
			if !ok {
				t.Fatal("no encoding")
			}
			values := make([]float32, rows*cols)
			for i := range values {
				values[i] = float32(r.NormFloat64())
			}
			clear(values[:c.group]) // a block of zeros
			m := rewritten(t, v, 0, e, encoded(values))
			written := make([]stored, 0, 3)
			for k, x := range append([]format.Tensor{e.Codes}, e.Companions...) {
				written = append(written, stored{x, m.tensors[k]})
			}
			again, err := Show(saved(t, written...), declared)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]float32, rows*cols)
			format.Decode(format.F32, got, whole(t, again, 0))
			for lo := 0; lo < len(values); lo += c.group {
				largest := 0.0
				for _, x := range values[lo : lo+c.group] {
					largest = max(largest, math.Abs(float64(x)))
				}
				scale := float64(float32(c.scale(largest)))
				for i := lo; i < lo+c.group; i++ {
					best := math.Inf(1)
					for _, level := range c.levels {
						best = min(best, math.Abs(float64(level)*scale-float64(values[i])))
					}
					if off := math.Abs(float64(got[i]) - float64(values[i])); largest > 0 && off > best+1e-6*largest || largest == 0 && got[i] != 0 {
						t.Fatalf("element %d: %v is stored as %v, %v off; %v is possible", i, values[i], got[i], off, best)
					}
				}
			}
		})
	}
}

// A value for which there is no code is an error, and nothing else is lost.
func TestNoCode(t *testing.T) {
	c, _ := golden(t, "compressed-mixed")
	v := c.(*Decoded)
	for i := range v.Tensors() {
		e, ok := v.Encoding(i)
		if !ok || e.Codes.DType == format.F8E4M3 { // which has a code for NaN
			continue
		}
		values := whole(t, v, i)
		format.Encode(format.F32, values[4:8], []float32{float32(math.NaN())})
		m := newMemory(append([]format.Tensor{e.Codes}, e.Companions...)...)
		target := EncodedTarget{Encoding: e}
		for k := range e.Companions {
			target.Companions = append(target.Companions, k+1)
		}
		if err := NewWriter(m, []EncodedTarget{target}).WriteAt(0, 0, values); format.KindOf(err) != format.KindNonfinite || m.wrote[0] > 0 {
			t.Errorf("%v; %d bytes of codes are written", err, m.wrote[0])
		}
		return
	}
	t.Error("no codes to try")
}

// Of two codes that are as near, the even one is taken; what is beyond the largest value has its code.
func TestNearestTies(t *testing.T) {
	integers := &offsetTables[4]
	floats := &tableE2M1
	for _, c := range []struct {
		table   *codeTable
		x, want float32
	}{
		{integers, 0.5, 0}, {integers, 1.5, 2}, {integers, 2.5, 2}, {integers, -0.5, 0}, {integers, -1.5, -2}, {integers, -2.5, -2}, {integers, 7.5, 7}, {integers, 99, 7}, {integers, -9, -8},
		{floats, 0.25, 0}, {floats, 0.75, 1}, {floats, 1.25, 1}, {floats, 1.75, 2}, {floats, 2.5, 2}, {floats, 3.5, 4}, {floats, 5, 4}, {floats, 5.1, 6}, {floats, 99, 6},
		{floats, -0.75, -1}, {floats, -5, -4}, {floats, -99, -6},
	} {
		code, ok := c.table.nearest(c.x)
		got := offsetIntegers[4][code]
		if c.table == floats {
			got = valuesE2M1[code]
		}
		if !ok || got != c.want {
			t.Errorf("%v is stored as %v, want %v", c.x, got, c.want)
		}
	}
}

// A stripe is encoded when its last value has come, and not before, in whatever pieces they come.
func TestStripeWaitsForItsLastValue(t *testing.T) {
	c, _ := golden(t, "compressed-mixed")
	v := c.(*Decoded)
	i, _ := v.Find("layers.f8c.weight")
	e, _ := v.Encoding(i)
	values := whole(t, v, i)
	m := newMemory(append([]format.Tensor{e.Codes}, e.Companions...)...)
	target := EncodedTarget{Encoding: e}
	for k := range e.Companions {
		target.Companions = append(target.Companions, k+1)
	}
	q := NewWriter(m, []EncodedTarget{target})
	last := len(values) - width
	if err := q.WriteAt(0, 0, values[:last]); err != nil || m.wrote[0] != 0 {
		t.Fatalf("%d bytes of codes before the last value, %v", m.wrote[0], err)
	}
	if err := q.WriteAt(0, int64(last), values[last:]); err != nil || m.wrote[0] != e.Codes.Bytes() {
		t.Errorf("%d of %d bytes of codes, %v", m.wrote[0], e.Codes.Bytes(), err)
	}
}

// Without a reference every block is made of its values, and the rest of a row's last byte is zero, whatever memory a stripe had before.
func TestCodesWithoutReference(t *testing.T) {
	const rows, cols, bits = 40, 33, 3
	r := rand.New(rand.NewPCG(11, 12))
	w := &tableWriter{&offsetTables[bits], packedRows{bitPacking{bits: bits, values: offsetIntegers[bits]}, cols, 16}}
	e := &Encoding{
		Codes:      format.Tensor{Name: "a.weight_packed", DType: format.I32, Shape: []int64{rows, 4}},
		Companions: []format.Tensor{{Name: "a.weight_scale", DType: format.F32, Shape: []int64{rows, 3}}},
		coding:     coding{blockGrid: blockGrid{1, rows, cols}, block: blockGrid{1, 1, 11}, scaleType: format.F32, codes: w},
	}
	values, data := make([]float32, rows*cols), make([]byte, 4*rows*cols)
	for i := range values {
		values[i] = float32(r.NormFloat64())
	}
	format.Encode(format.F32, data, values)
	m := newMemory(e.Codes, e.Companions[0])
	q := NewWriter(m, []EncodedTarget{{e, 0, []int{1}}})
	s := q.borrow(rows*cols, cols)
	for i := range s.codes {
		s.codes[i] = 0xff
	}
	q.giveBack(s)
	if err := q.WriteAt(0, 0, data); err != nil {
		t.Fatal(err)
	}
	scales := make([]float32, rows*3)
	format.Decode(format.F32, scales, m.tensors[1])
	got := make([]float32, cols)
	for row := range rows {
		line := m.tensors[0][16*row:][:16]
		w.unpack(got, line, 0)
		for col, x := range got {
			if scale := scales[row*3+col/11]; math.Abs(float64(x*scale-values[row*cols+col])) > float64(scale)*0.50001 {
				t.Errorf("row %d, column %d: %v is stored as %v", row, col, values[row*cols+col], x*scale)
			}
		}
		for i := w.bit(cols); i < 128; i++ {
			if line[i/8]>>(i%8)&1 != 0 {
				t.Fatalf("row %d: bit %d is set behind the codes", row, i)
			}
		}
	}
}

// Integers of fewer bits than their type has keep to those, as do their zero points.
func TestNarrowIntegersInBytes(t *testing.T) {
	const rows, cols, bits = 6, 20, 5
	for _, symmetric := range []bool{true, false} {
		config := fmt.Sprintf(`{"quantization_config": {"quant_method": "compressed-tensors", "format": "int-quantized", "config_groups":
			{"a": {"targets": ["Linear"], "weights": {"num_bits": %d, "type": "int", "symmetric": %v, "strategy": "channel"}}}}}`, bits, symmetric)
		r := rand.New(rand.NewPCG(13, 14))
		tensors := []stored{random(r, "a.weight", format.I8, rows, cols), random(r, "a.weight_scale", format.F32, rows, 1)}
		if !symmetric {
			tensors = append(tensors, random(r, "a.weight_zero_point", format.I8, rows, 1))
		}
		shown, err := Show(saved(t, tensors...), Declared{Config: []byte(config)})
		if err != nil {
			t.Fatal(err)
		}
		v := shown.(*Decoded)
		e, ok := v.Encoding(0)
		if !ok {
			t.Fatal("no encoding")
		}
		values := make([]float32, rows*cols)
		for i := range values {
			values[i] = float32(r.NormFloat64()) + 0.5
		}
		m := rewritten(t, v, 0, e, encoded(values))
		least, most := int8(127), int8(-128)
		for _, code := range m.tensors[0] {
			least, most = min(least, int8(code)), max(most, int8(code))
		}
		if least < -16 || most > 15 || most-least < 25 {
			t.Errorf("symmetric %v: codes from %d to %d", symmetric, least, most)
		}
		scales := make([]float32, rows)
		format.Decode(format.F32, scales, m.tensors[1])
		for i, x := range values {
			zero := 0.0
			if !symmetric {
				zero = float64(int8(m.tensors[2][i/cols]))
			}
			scale := float64(scales[i/cols])
			if off := (float64(int8(m.tensors[0][i]))-zero)*scale - float64(x); math.Abs(off) > scale*0.50001 {
				t.Errorf("symmetric %v: %v is stored %v off, by steps of %v", symmetric, x, off, scale)
			}
		}
	}
}

// Zero points that are packed down the columns of their grid end with a word where a stripe ends, whichever packing it is, and rows of blocks that
// are kept have theirs.
func TestPackedZerosOfManyStripes(t *testing.T) {
	const rows, cols, bits = 3001, 48, 3
	for _, c := range []struct {
		version, strategy string
		high              int64 // rows of a block
	}{
		{"0.20.1", `"strategy": "group", "group_size": 16`, 1}, {"0.12.2", `"strategy": "group", "group_size": 16`, 1},
		{"0.20.1", `"strategy": "block", "block_structure": [4, 16]`, 4}, {"0.12.2", `"strategy": "block", "block_structure": [4, 16]`, 4},
	} {
		down := (rows + c.high - 1) / c.high
		version, words := c.version+" "+c.strategy, (down*bits+31)/32
		if c.version == "0.12.2" {
			words = (down + 9) / 10
		}
		config := `{"quantization_config": {"quant_method": "compressed-tensors", "version": "` + c.version + `", "format": "pack-quantized", "config_groups":
			{"a": {"targets": ["Linear"], "weights": {"num_bits": 3, "type": "int", "symmetric": false, ` + c.strategy + `}}}}}`
		r := rand.New(rand.NewPCG(15, 16))
		shape := []byte{rows & 255, rows >> 8, 0, 0, 0, 0, 0, 0, cols, 0, 0, 0, 0, 0, 0, 0}
		scales := random(r, "a.weight_scale", format.F32, down, cols/16)
		for i := range down * cols / 16 {
			format.Encode(format.F32, scales.data[4*i:4*i+4], []float32{0.5 + r.Float32()})
		}
		tensors := []stored{
			random(r, "a.weight_packed", format.I32, rows, 5), scales, random(r, "a.weight_zero_point", format.I32, words, cols/16),
			{format.Tensor{Name: "a.weight_shape", DType: format.I64, Shape: []int64{2}}, shape},
		}
		declared := Declared{Config: []byte(config)}
		shown, err := Show(saved(t, tensors...), declared)
		if err != nil {
			t.Fatal(err)
		}
		v := shown.(*Decoded)
		e, ok := v.Encoding(0)
		if !ok || e.stripeRows() >= rows {
			t.Fatalf("%v, stripes of %d rows", ok, e.stripeRows())
		}
		values, before := make([]float32, rows*cols), make([]float32, rows*cols)
		format.Decode(format.F32, before, whole(t, v, 0))
		copy(values, before)
		changed := func(i int) bool { return (int64(i/cols)/c.high*(cols/16)+int64(i%cols/16))%2 == 0 } // every other block
		for i := range values {
			if changed(i) {
				values[i] = float32(r.NormFloat64()) + 1
			}
		}
		m := rewritten(t, v, 0, e, encoded(values))
		written := make([]stored, 0, 4)
		for k, x := range append([]format.Tensor{e.Codes}, e.Companions...) {
			if m.wrote[k] != x.Bytes() {
				t.Fatalf("%s: %d of %d bytes of %s are written", version, m.wrote[k], x.Bytes(), x.Name)
			}
			written = append(written, stored{x, m.tensors[k]})
		}
		again, err := Show(saved(t, written...), declared)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, rows*cols)
		format.Decode(format.F32, got, whole(t, again, 0))
		for i, x := range values {
			if !changed(i) && got[i] != before[i] || math.Abs(float64(got[i]-x)) > 1 { // half a step of values from −3 to 5
				t.Fatalf("%s: element %d (row %d): %v is stored as %v", version, i, i/cols, x, got[i])
			}
		}
	}
}

// Powers of two by the formula of compressed-tensors 0.20.1 (round_to_power_2, generate_mx_scales), in float64.
func TestPowers(t *testing.T) {
	r := rand.New(rand.NewPCG(101, 102))
	for range 200_000 {
		x := math.Float32frombits(r.Uint32() >> 1)
		if r.IntN(2) == 0 {
			x = math.Float32frombits(r.Uint32()>>1 | 0x7ff000&^(1<<r.IntN(24))) // near the next power of two
		}
		if x-x != 0 || x == 0 {
			continue
		}
		for _, table := range []*codeTable{&tableE2M1, &tableE2M3} {
			fraction, exponent := math.Frexp(float64(x))
			if fraction >= 1-math.Ldexp(1, -table.bits+1) {
				exponent++
			}
			_, of := math.Frexp(float64(table.values[len(table.values)-1]))
			if want := byte(min(max(exponent-of+127, 0), 254)); table.power(x) != want {
				t.Fatalf("%g in %d bits: %d, want %d", x, table.bits, table.power(x), want)
			}
		}
	}
}
