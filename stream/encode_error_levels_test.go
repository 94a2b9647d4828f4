package stream

import (
	"fmt"
	"math"

	"weld/format"
)

// This file has the rows of the error table whose scales are not of blocks alone, or whose codes lie across.

// nvfp4Row is one of the two layouts of NVFP4: of compressed-tensors, which divides by the scale of scales, or of ModelOpt.
func nvfp4Row(name, config, codes, global string, divides bool) errorRow {
	c := codesOf{end: codes, dtype: format.U8, bits: 4}
	for code := range 16 {
		c.values = append(c.values, floatOf(code, 4, 1, 1))
	}
	s := scalesOf{"weight_scale", format.F8E4M3, [2]int{1, 16}, func(largest float64) float64 { return largest / 6 }}
	scaled := func(values []float64, by float64) []float64 {
		list := make([]float64, len(values))
		for i, x := range values {
			list[i] = x * by
		}
		return list
	}
	return errorRow{name, config, func(values []float64) checkpoint {
		largest := 0.0
		for _, x := range values {
			largest = max(largest, math.Abs(x))
		}
		by := 448 * 6 / largest
		stored := by
		if !divides {
			stored = 1 / by
		}
		return append(c.store(scaled(values, by), s), floats(errorModule+global, format.F32, []float64{stored}, 1))
	}, func(m checkpoint) []float64 {
		by := m.find(errorModule + global).values()[0]
		if divides {
			by = 1 / by
		}
		return scaled(c.read(m, s), by)
	}}
}

// zerosRow is integers of some bits in bytes, with a zero point for every group.
func zerosRow(name, config string, bits, group int) errorRow {
	least, most := -math.Exp2(float64(bits-1)), math.Exp2(float64(bits-1))-1
	groups := errorRows * errorCols / group
	return errorRow{name, config, func(values []float64) checkpoint {
		codes, scales, zeros := make([]byte, len(values)), make([]float64, groups), make([]byte, groups)
		for k := range groups {
			low, high := 0.0, 0.0
			for _, x := range values[k*group : (k+1)*group] {
				low, high = min(low, x), max(high, x)
			}
			scales[k] = float64(float32((high - low) / (most - least)))
			zero := math.RoundToEven(min(max(least-low/scales[k], least), most))
			zeros[k] = byte(int8(zero))
			for i, x := range values[k*group : (k+1)*group] {
				codes[k*group+i] = byte(int8(math.RoundToEven(min(max(x/scales[k]+zero, least), most))))
			}
		}
		return checkpoint{raw(errorModule+"weight", format.I8, codes, errorRows, errorCols), floats(errorModule+"weight_scale", format.F32, scales, errorRows, int64(errorCols/group)),
			raw(errorModule+"weight_zero_point", format.I8, zeros, errorRows, int64(errorCols/group))}
	}, func(m checkpoint) []float64 {
		scales, zeros := m.find(errorModule+"weight_scale").values(), m.find(errorModule+"weight_zero_point").data
		values := make([]float64, errorRows*errorCols)
		for i, code := range m.find(errorModule + "weight").data {
			values[i] = (float64(int8(code)) - float64(int8(zeros[i/group]))) * scales[i/group]
		}
		return values
	}}
}

// acrossRow is MXFP4 as gpt-oss has it: an expert whose rows and columns are the stored ones' columns and rows.
func acrossRow(row errorRow) errorRow {
	const name = "model.layers.0.mlp.experts.gate_up_proj"
	codes, scales := errorModule+"weight_packed", errorModule+"weight_scale"
	across := errorRow{name: "MXFP4 of gpt-oss", config: `{"quant_method": "mxfp4"}`}
	across.store = func(values []float64) checkpoint {
		c := row.store(values)
		return checkpoint{raw(name+"_blocks", format.U8, c.find(codes).data, 1, errorRows, errorCols/32, 16), raw(name+"_scales", format.U8, c.find(scales).data, 1, errorRows, errorCols/32)}
	}
	across.read = func(m checkpoint) []float64 {
		return row.read(checkpoint{raw(codes, format.U8, m.find(name+"_blocks").data, errorRows, errorCols/2), raw(scales, format.U8, m.find(name+"_scales").data, errorRows, errorCols/32)})
	}
	return across
}

// levelRows are the rows of this file; mx is that of MXFP4.
func levelRows(mx errorRow) []errorRow {
	compressed := func(layout, weights string) string {
		return fmt.Sprintf(`{"quant_method": "compressed-tensors", "format": %q, "version": "0.20.1", "config_groups": {"group_0": {"targets": ["Linear"], "weights": {%s}}}}`, layout, weights)
	}
	return []errorRow{
		nvfp4Row("NVFP4 of compressed-tensors", compressed("nvfp4-pack-quantized", `"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16`), "weight_packed", "weight_global_scale", true),
		nvfp4Row("NVFP4 of ModelOpt", `{"quant_method": "modelopt", "quant_algo": "NVFP4"}`, "weight", "weight_scale_2", false),
		zerosRow("int4, groups of 32, zero points", compressed("int-quantized", `"num_bits": 4, "type": "int", "symmetric": false, "strategy": "group", "group_size": 32`), 4, 32),
		zerosRow("int8, channels, zero points", compressed("int-quantized", `"num_bits": 8, "type": "int", "symmetric": false, "strategy": "channel"`), 8, errorCols),
		acrossRow(mx),
	}
}
