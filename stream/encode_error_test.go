package stream

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"weld/format"
)

// This file measures what a merge of quantised models loses against storing the exact result in their scheme once. Codes and scales are
// made, and read, without the package that weld encodes with: by the definitions of the codes and the rule that each library has for scales.

// errorRow is a scheme that weld writes. The matrix that it stores is errorRows × errorCols.
type errorRow struct {
	name   string // in docs/quantised.md
	config string // quantization_config
	store  func(values []float64) checkpoint
	read   func(c checkpoint) []float64
}

const (
	errorRows, errorCols = 256, 384
	errorModule          = "model.layers.0.mlp.up_proj."
	mostOverOnce         = 1.02
)

// errorTable has a row for each scheme.
func errorTable() []errorRow {
	compressed := func(layout, weights string) string {
		return `{"quant_method": "compressed-tensors", "format": "` + layout + `", "version": "0.20.1", "config_groups": {"group_0": {"targets": ["Linear"], "weights": {` + weights + `}}}}`
	}
	fp8 := func(largest float64) float64 { return largest / 448 }
	steps := func(n float64) func(float64) float64 {
		return func(largest float64) float64 { return largest / (n / 2) }
	}
	mx := func(next float64, exponent int) func(float64) float64 { // of [1, 2), what is rounded to 2
		return func(largest float64) float64 { return math.Ldexp(1, math.Ilogb(largest*2/next)-exponent) }
	}
	bytes := codesOf{end: "weight", dtype: format.F8E4M3, bits: 8}
	wide := codesOf{end: "weight", dtype: format.F8E5M2, bits: 8}
	whole := codesOf{end: "weight", dtype: format.I8, bits: 8}
	for code := range 256 {
		bytes.values, wide.values, whole.values = append(bytes.values, valueE4M3(byte(code))), append(wide.values, floatOf(code, 8, 2, 15)), append(whole.values, float64(int8(code)))
		if code&0x7f == 0x7f {
			bytes.values[code] = math.NaN()
		}
		if code&0x7c == 0x7c {
			wide.values[code] = math.NaN()
		}
	}
	packed := func(bits int) codesOf {
		c := codesOf{end: "weight_packed", dtype: format.I32, bits: bits, shaped: true}
		for code := range 1 << bits {
			c.values = append(c.values, float64(code-1<<(bits-1)))
		}
		return c
	}
	narrow := func(bits, mantissa int) codesOf {
		c := codesOf{end: "weight_packed", dtype: format.U8, bits: bits}
		for code := range 1 << bits {
			c.values = append(c.values, floatOf(code, bits, mantissa, 1))
		}
		return c
	}
	rows := []errorRow{
		bytes.row("FP8, blocks of 128 × 128", `{"quant_method": "fp8", "weight_block_size": [128, 128]}`, scalesOf{"weight_scale_inv", format.F32, [2]int{128, 128}, fp8}),
		bytes.row("FP8, blocks, scales of E8M0", `{"quant_method": "fp8", "weight_block_size": [128, 128], "scale_fmt": "ue8m0"}`, scalesOf{"weight_scale_inv", format.F8E8M0, [2]int{128, 128}, func(largest float64) float64 { return math.Exp2(math.Ceil(math.Log2(largest / 448))) }}),
		bytes.row("FP8, rows", compressed("float-quantized", `"num_bits": 8, "type": "float", "strategy": "channel"`), scalesOf{"weight_scale", format.BF16, [2]int{1, errorCols}, fp8}),
		bytes.row("FP8, groups of 32", compressed("float-quantized", `"num_bits": 8, "type": "float", "strategy": "group", "group_size": 32`), scalesOf{"weight_scale", format.F32, [2]int{1, 32}, fp8}),
		bytes.row("FP8, whole tensor", compressed("float-quantized", `"num_bits": 8, "type": "float", "strategy": "tensor"`), scalesOf{"weight_scale", format.F32, [2]int{errorRows, errorCols}, fp8}),
		wide.row("FP8 of E5M2, blocks of 128 × 128", `{"quant_method": "fp8", "weight_block_size": [128, 128]}`, scalesOf{"weight_scale_inv", format.F32, [2]int{128, 128}, func(largest float64) float64 { return largest / 57344 }}),
		packed(4).row("int4, groups of 128", compressed("pack-quantized", `"num_bits": 4, "type": "int", "strategy": "group", "group_size": 128`), scalesOf{"weight_scale", format.BF16, [2]int{1, 128}, steps(15)}),
		packed(4).row("int4, channels", compressed("pack-quantized", `"num_bits": 4, "type": "int", "strategy": "channel"`), scalesOf{"weight_scale", format.F32, [2]int{1, errorCols}, steps(15)}),
		packed(8).row("int8, groups of 32", compressed("pack-quantized", `"num_bits": 8, "type": "int", "strategy": "group", "group_size": 32`), scalesOf{"weight_scale", format.F32, [2]int{1, 32}, steps(255)}),
		whole.row("int8, channels", compressed("int-quantized", `"num_bits": 8, "type": "int", "strategy": "channel"`), scalesOf{"weight_scale", format.BF16, [2]int{1, errorCols}, steps(255)}),
		narrow(4, 1).row("MXFP4 of compressed-tensors", compressed("mxfp4-pack-quantized", `"num_bits": 4, "type": "float", "strategy": "group", "group_size": 32`), scalesOf{"weight_scale", format.U8, [2]int{1, 32}, mx(1.75, 2)}),
		narrow(6, 3).row("MXFP6", compressed("mxfp6-pack-quantized", `"num_bits": 6, "type": "float", "strategy": "group", "group_size": 32`), scalesOf{"weight_scale", format.U8, [2]int{1, 32}, mx(1.9375, 2)}),
		bytes.row("MXFP8", compressed("mxfp8-quantized", `"num_bits": 8, "type": "float", "strategy": "group", "group_size": 32`), scalesOf{"weight_scale", format.U8, [2]int{1, 32}, mx(1.75, 8)}),
	}
	return append(rows, levelRows(rows[10])...)
}

// A mean of two quantised models, written back, is as near the exact one as that stored in their scheme once: at most a fiftieth farther,
// in the root mean square and in the largest error. docs/quantised.md has the figures.
func TestErrorOfQuantisedMerges(t *testing.T) {
	page := string(read(t, "../docs/quantised.md"))
	for _, row := range errorTable() {
		t.Run(row.name, func(t *testing.T) {
			a, b := errorModels()
			exact := make([]float64, len(a))
			stored := []checkpoint{row.store(a), row.store(b)}
			for k, w := range []float64{0.3, 0.7} {
				for i, x := range row.read(stored[k]) {
					exact[i] += w * x
				}
			}
			merged := row.merge(t, stored)
			once := row.read(row.store(exact))
			got := row.read(merged)
			rms, most := errorsOf(got, exact)
			onceRMS, onceMost := errorsOf(once, exact)
			if onceRMS == 0 || onceMost == 0 {
				t.Fatal("nothing is lost in storing the result once")
			}
			line := fmt.Sprintf("| %s | %.2g | %.2g | %.3f | %.3f |", row.name, onceRMS/rootMeanSquare(exact), onceMost/rootMeanSquare(exact), rms/onceRMS, most/onceMost)
			if rms > mostOverOnce*onceRMS || most > mostOverOnce*onceMost {
				t.Errorf("%s: over %v", line, mostOverOnce)
			}
			if !strings.Contains(page, line) {
				t.Errorf("docs/quantised.md has another line than %s", line)
			}
		})
	}
}

// errorModels are two fine-tunes of one model, of rows that are unlike.
func errorModels() (a, b []float64) {
	r := random(1, "errors")
	for i := range errorRows * errorCols {
		size := 0.01 + 0.03*float64(i/errorCols%7)
		x := size * r.NormFloat64()
		a, b = append(a, x), append(b, x+0.3*size*r.NormFloat64())
	}
	return a, b
}

// merge stores two models and reads their mean.
func (row errorRow) merge(t *testing.T, models []checkpoint) checkpoint {
	t.Helper()
	t.Chdir(t.TempDir())
	config := []byte(`{"num_hidden_layers": 1, "quantization_config": ` + row.config + `}`)
	for k, m := range models {
		place := []string{"a", "b"}[k]
		m.save(t, filepath.Join(place, "model.safetensors"))
		write(t, filepath.Join(place, "config.json"), config)
	}
	p, err := planText("merge_method: linear\nmodels: [{model: a, parameters: {weight: 0.3}}, {model: b, parameters: {weight: 0.7}}]\n", "out")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Merge(context.Background()); err != nil {
		t.Fatal(err)
	}
	merged, _ := load(t, read(t, "out/model.safetensors"))
	for _, x := range models[0] {
		if y := merged.find(x.Name); y == nil || y.DType != x.DType || !slices.Equal(y.Shape, x.Shape) {
			t.Fatalf("%v is not in the output: %v", x.Tensor, p.Notes)
		}
	}
	return merged
}

// errorsOf are the root mean square and the largest of errors.
func errorsOf(got, want []float64) (rms, most float64) {
	off := make([]float64, len(got))
	for i := range got {
		off[i] = got[i] - want[i]
		most = max(most, math.Abs(off[i]))
	}
	return rootMeanSquare(off), most
}

func rootMeanSquare(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	return math.Sqrt(sum / float64(len(x)))
}

// codesOf is how codes are stored: in a stream of bits for each row, the lower ones first.
type codesOf struct {
	end    string // of the name
	dtype  format.DType
	bits   int
	values []float64 // by code; NaN for one that is not written
	shaped bool      // with weight_shape beside them
}

// scalesOf is what scales are of, and how large they are.
type scalesOf struct {
	end   string
	dtype format.DType
	block [2]int
	of    func(largest float64) float64
}

// at is the scale of an element.
func (s scalesOf) at(i int) int {
	return i/errorCols/s.block[0]*((errorCols+s.block[1]-1)/s.block[1]) + i%errorCols/s.block[1]
}

// shape is that of all scales.
func (s scalesOf) shape() []int64 {
	return []int64{int64((errorRows + s.block[0] - 1) / s.block[0]), int64((errorCols + s.block[1] - 1) / s.block[1])}
}

// tensor stores the scales of a matrix.
func (s scalesOf) tensor(values []float64) tensor {
	shape := s.shape()
	scales := make([]float64, shape[0]*shape[1])
	for i, x := range values {
		scales[s.at(i)] = max(scales[s.at(i)], math.Abs(x))
	}
	for k := range scales {
		scales[k] = s.of(scales[k])
	}
	if s.dtype.Computable() {
		return floats(errorModule+s.end, s.dtype, scales, shape...)
	}
	powers := make([]byte, len(scales))
	for k, x := range scales {
		powers[k] = byte(math.Ilogb(x) + 127)
	}
	return raw(errorModule+s.end, s.dtype, powers, shape...)
}

// read decodes scales.
func (s scalesOf) read(t *tensor) []float64 {
	if s.dtype.Computable() {
		return t.values()
	}
	scales := make([]float64, len(t.data))
	for k, power := range t.data {
		scales[k] = math.Ldexp(1, int(power)-127)
	}
	return scales
}

// row is a scheme of codes with scales.
func (c codesOf) row(name, config string, s scalesOf) errorRow {
	return errorRow{name, config, func(values []float64) checkpoint { return c.store(values, s) }, func(m checkpoint) []float64 { return c.read(m, s) }}
}

// store rounds each value to the nearest code, of two as near to the even one, by the scale as it is stored.
func (c codesOf) store(values []float64, s scalesOf) checkpoint {
	scales := s.tensor(values)
	by := s.read(&scales)
	order := make([]int, 0, len(c.values))
	for code, x := range c.values {
		if x == x {
			order = append(order, code)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(c.values[a], c.values[b]) })
	perRow := errorCols * c.bits / 8
	data := make([]byte, errorRows*perRow)
	for i, x := range values {
		code := c.nearest(order, x/by[s.at(i)])
		for bit := range c.bits {
			at := i%errorCols*c.bits + bit
			data[i/errorCols*perRow+at/8] |= byte(code >> bit & 1 << (at % 8))
		}
	}
	stored := checkpoint{raw(errorModule+c.end, c.dtype, data, errorRows, int64(perRow*8/c.dtype.Bits())), scales}
	if c.shaped {
		stored = append(stored, raw(errorModule+"weight_shape", format.I64, []byte{errorRows & 255, errorRows >> 8, 0, 0, 0, 0, 0, 0, errorCols & 255, errorCols >> 8, 0, 0, 0, 0, 0, 0}, 2))
	}
	return stored
}

// nearest is the code for a value, of codes in the order of theirs.
func (c codesOf) nearest(order []int, x float64) int {
	up := sort.Search(len(order), func(k int) bool { return c.values[order[k]] >= x })
	switch {
	case up == len(order):
		return order[up-1]
	case up == 0:
		return order[0]
	}
	low, high := order[up-1], order[up]
	over, under := c.values[high]-x, x-c.values[low]
	if under < over || under == over && high%2 == 1 {
		return low
	}
	return high
}

// read decodes a matrix.
func (c codesOf) read(m checkpoint, s scalesOf) []float64 {
	codes, scales := m.find(errorModule+c.end), s.read(m.find(errorModule+s.end))
	values := make([]float64, errorRows*errorCols)
	perRow := errorCols * c.bits / 8
	for i := range values {
		code := 0
		for bit := range c.bits {
			at := i%errorCols*c.bits + bit
			code |= int(codes.data[i/errorCols*perRow+at/8]>>(at%8)&1) << bit
		}
		values[i] = c.values[code] * scales[s.at(i)]
	}
	return values
}

// floatOf is the number of a code of some bits: a sign, an exponent with a bias, and a mantissa (OCP Microscaling Formats 1.0, section 5.3).
func floatOf(code, bits, mantissa, bias int) float64 {
	fraction, exponent := code&(1<<mantissa-1), code>>mantissa&(1<<(bits-1-mantissa)-1)
	if exponent > 0 {
		fraction += 1 << mantissa
	} else {
		exponent = 1
	}
	return math.Copysign(math.Ldexp(float64(fraction), exponent-bias-mantissa), 1-2*float64(code>>(bits-1)))
}
