package quant

import (
	"fmt"
	"slices"
	"strings"

	"weld/format"
)

// NVFP4 of ModelOpt: X.weight has two codes of E2M1 in a byte, the lower half first; X.weight_scale a scale of E4M3 for 16 values in a row;
// X.weight_scale_2 the scale of the scales. value = code × (scale × scale_2). Source: ModelOpt,
// modelopt/torch/quantization/qtensor/nvfp4_tensor.py (dequantize).

// modeloptGroup is how many values have one scale.
const modeloptGroup = 16

// modeloptAlgorithms are the names of what stores weights so, among others in a mixture.
var modeloptAlgorithms = []string{"NVFP4", "NVFP4_AWQ", "W4A16_NVFP4", "MIXED_PRECISION"}

// modeloptValues are those of E2M1, but for the code of a sign alone, which is zero in its table.
var modeloptValues = slices.Concat(valuesE2M1[:8], []float32{0}, valuesE2M1[9:])

// findModelOpt finds NVFP4 weights of ModelOpt.
func findModelOpt(s *search) error {
	var algorithm string
	if !s.declared("quant_algo", &algorithm) || !slices.Contains(modeloptAlgorithms, algorithm) {
		return nil
	}
	for i, t := range s.Tensors() {
		module, ok := strings.CutSuffix(t.Name, "weight")
		if !ok || module != "" && !strings.HasSuffix(module, ".") || s.taken[i] || t.DType != format.U8 {
			continue
		}
		if err := s.modelopt(module, i, t); err != nil {
			return s.refuse(i, "NVFP4 of ModelOpt: %w", err)
		}
	}
	return nil
}

// modelopt takes the weight of a module, whose codes are tensor i.
func (s *search) modelopt(module string, i int, t format.Tensor) error {
	j, scales, ok := s.tensor(module + "weight_scale")
	k, global, two := s.tensor(module + "weight_scale_2")
	if !ok || !two {
		return nil // of another layout
	}
	if len(t.Shape) != 2 || !slices.Equal(scales.Shape, []int64{t.Shape[0], 2 * t.Shape[1] / modeloptGroup}) || t.Shape[1]%(modeloptGroup/2) != 0 || t.Shape[1] == 0 {
		return fmt.Errorf("shape %v with scales of shape %v, not one for %d values", t.Shape, scales.Shape, modeloptGroup)
	}
	if scales.DType != format.F8E4M3 || global.DType != format.F32 || global.Elements() != 1 {
		return fmt.Errorf("scales of %v, and of them one of %v and shape %v", scales.DType, global.DType, global.Shape)
	}
	if _, p, ok := s.tensor(module + "pre_quant_scale"); ok {
		return fmt.Errorf("%q: the weight is that of inputs which were scaled", p.Name)
	}
	hides := []int{j, k}
	for _, end := range float8Beside {
		if x, _, ok := s.tensor(strings.TrimSuffix(module, ".") + end); ok {
			hides = append(hides, x)
		}
	}
	shape := []int64{t.Shape[0], 2 * t.Shape[1]}
	g := gridOf(shape)
	s.add(weight{
		scheme: "nvfp4", name: t.Name, shape: shape, plain: format.BF16, codes: i, hides: hides,
		decoder: &affine{
			blockGrid:  g,
			codeReader: &bitCodes{i, packedRows{bitPacking{bits: 4, values: modeloptValues}, g.cols, t.Shape[1]}},
			scales: &levelGrid{
				scaleGrid: scaleGrid{tensor: j, dtype: scales.DType, blockGrid: blockGrid{1, g.rows, g.cols / modeloptGroup}, block: blockGrid{1, 1, modeloptGroup}},
				global:    k,
			},
		},
	})
	return nil
}
