package quant

import (
	"encoding/json"
	"slices"
	"strings"

	"weld/format"
)

// FP8 weights are codes of an eight-bit float with scales, of the whole tensor, of rows or matrices, or of blocks: value =
// code × scale. That is so for scales that are called inverse, too: they are of the quantisation. Sources: transformers 5.23
// (integrations/finegrained_fp8.py, fbgemm_fp8.py), compressed-tensors 0.20 (float-quantized), ModelOpt 0.39, ComfyUI 0.3.

// float8Scales are how the names of scales end, and how those of their codes do instead.
var float8Scales = []struct{ scale, codes string }{
	{"_scale_inv", ""},
	{".scale_weight", ".weight"},
	{"_scale", ""},
	{".scale", ".weight"}, // DeepSeek's own files
}

// float8Beside are companions for activations, which say nothing of the weight.
var float8Beside = []string{".input_scale", ".activation_scale", "_activation_scale", ".input_scale_ub", ".scale_input"}

// findFloat8 finds FP8 weights.
func findFloat8(s *search) error {
	var size []int64
	s.declared("weight_block_size", &size)
	var block [2]int64
	if len(size) == 2 && size[0] > 0 && size[1] > 0 {
		block = [2]int64(size)
	}
	besides, before := s.endings(float8Beside), len(s.weights)
	for i, t := range s.Tensors() {
		if s.taken[i] || !slices.Contains(float8, t.DType) || !t.DType.Computable() {
			continue
		}
		j, scale, ok := s.float8Scale(t)
		if !ok {
			continue // a cast, whose codes are values
		}
		if method, foreign := s.withoutFloat8(); foreign {
			return s.refuse(i, "FP8 with scales, and what is declared is %q, which has none: it may be another model's declaration", method)
		}
		g, of, err := scalesOf(t.Shape, scale.Shape, block)
		if err != nil {
			return s.refuse(i, "FP8 with %w", err)
		}
		grid, g, of := joined(gridOf(t.Shape), g, of)
		s.add(weight{
			scheme: "fp8", name: t.Name, shape: t.Shape, plain: format.BF16, codes: i, hides: append(s.float8Beside(t.Name, besides), j),
			decoder: &blockDecoder{blockGrid: grid, codes: i, dtype: t.DType, scales: scaleGrid{tensor: j, dtype: scale.DType, blockGrid: g, block: of}},
		})
	}
	if len(s.weights) == before {
		return nil
	}
	s.hideMarker(&s.weights[before])
	return s.checkCasts(&s.weights[before])
}

// noFloat8 are the methods of transformers 5.23 that store no weights as FP8 with scales (quanto calls its own otherwise).
var noFloat8 = []string{"aqlm", "auto-round", "awq", "bitnet", "bitsandbytes", "bitsandbytes_4bit", "bitsandbytes_8bit", "eetq", "exl2", "exl3", "gptq", "higgs", "hqq", "quanto", "spqr", "vptq"}

// withoutFloat8 reports whether all that is declared are methods without FP8, and names one.
func (s *search) withoutFloat8() (method string, foreign bool) {
	for _, config := range s.configs {
		if json.Unmarshal(config["quant_method"], &method) != nil || !slices.Contains(noFloat8, strings.ToLower(method)) {
			return "", false
		}
	}
	return method, len(s.configs) > 0
}

// hideMarker has the tensor that ComfyUI knows its scaled checkpoints by belong to a weight.
func (s *search) hideMarker(w *weight) {
	for i, t := range s.Tensors() {
		if name := t.Name[strings.LastIndexByte(t.Name, '.')+1:]; name == "scaled_fp8" && slices.Contains(float8, t.DType) && t.Elements() <= 2 && !s.taken[i] {
			s.taken[i] = true
			w.hides = append(w.hides, i)
		}
	}
}

// checkCasts refuses FP8 without scales beside such with scales, if nothing is declared: either is a cast, whose numbers are values, and then what
// looks like scales may be learnt.
func (s *search) checkCasts(scaled *weight) error {
	if len(s.configs) > 0 {
		return nil // Recognize refuses it
	}
	for i, t := range s.Tensors() {
		if !s.taken[i] && slices.Contains(float8, t.DType) && t.Elements() > 1 {
			return s.refuse(i, "%v without scales, where %q has %q: it may be a cast of a model that learnt such a scale, or a quantised one of which a part is lost; config.json's quantization_config would say",
				t.DType, scaled.name, s.Tensors()[scaled.hides[len(scaled.hides)-1]].Name)
		}
	}
	return nil
}

// float8Scale finds the scales of codes.
func (s *search) float8Scale(codes format.Tensor) (i int, t format.Tensor, ok bool) {
	for _, end := range float8Scales {
		head, ends := strings.CutSuffix(codes.Name, end.codes)
		if !ends {
			continue
		}
		if i, t, ok = s.tensor(head + end.scale); ok && isScale(t.DType) {
			return i, t, true
		}
	}
	return -1, t, false
}

// float8Beside finds what lies beside a weight for its activations, by how names end.
func (s *search) float8Beside(name string, endings []string) (list []int) {
	head := strings.TrimSuffix(name, ".weight")
	for _, end := range endings {
		for _, of := range []string{head, name} {
			if i, _, ok := s.tensor(of + end); ok && !slices.Contains(list, i) {
				list = append(list, i)
			}
		}
	}
	return list
}
