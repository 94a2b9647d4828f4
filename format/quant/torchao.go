package quant

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"weld/format"
)

// torchao flattens a tensor X of a class of its own, M.weight, to M._weight_qdata, M._weight_scale and so on, and says in the file's metadata,
// under M.weight, which class it is. Of those whose codes are one by one in a tensor of the weight's shape, value = (code − zero point) × scale of
// its block. Source: torchao 0.18 (prototype/safetensors, Float8Tensor, Int8Tensor, IntxUnpackedToInt8Tensor).

// torchaoTerms are what the metadata says of a tensor.
type torchaoTerms struct {
	Type string `json:"_type"`
	Data struct {
		Block []int64 `json:"block_size"`
		DType struct {
			Data string `json:"_data"`
		} `json:"dtype"`
	} `json:"_data"`
	Names []string `json:"_tensor_data_names"`
}

// findTorchAO finds flattened tensors.
func findTorchAO(s *search) error {
	metadata := format.Metadata(s.Checkpoint)
	for i, t := range s.Tensors() {
		head, ok := strings.CutSuffix(t.Name, "_qdata")
		at := strings.LastIndex(head, "._") + 1
		if !ok || at == 0 && !strings.HasPrefix(head, "_") || s.taken[i] {
			continue
		}
		name := head[:at] + head[at+1:]
		var terms torchaoTerms
		said, ok := metadata[name]
		if !ok || json.Unmarshal([]byte(said), &terms) != nil {
			return s.refuse(i, "torchao, whose metadata does not say what %q is", name)
		}
		w, err := s.torchao(i, head, terms)
		if err != nil {
			return err
		}
		w.name = name
		s.add(w)
	}
	return nil
}

// torchao finds what a flattened tensor has.
func (s *search) torchao(i int, head string, terms torchaoTerms) (w weight, err error) {
	t := s.Tensors()[i]
	switch float := slices.Contains(float8, t.DType) && t.DType.Computable(); {
	case terms.Type == "Float8Tensor" && float:
	case (terms.Type == "Int8Tensor" || terms.Type == "IntxUnpackedToInt8Tensor") && t.DType == format.I8:
	default:
		return w, s.refuse(i, "torchao's %s with codes of %v", terms.Type, t.DType)
	}
	plain, known := map[string]format.DType{"float32": format.F32, "bfloat16": format.BF16, "float16": format.F16}[terms.Data.DType.Data]
	if !known {
		return w, s.refuse(i, "torchao for %q", terms.Data.DType.Data)
	}
	w = weight{scheme: "torchao", shape: t.Shape, plain: plain, codes: i}
	var of [2]*scaleGrid
	for _, name := range terms.Names {
		j, x, ok := s.tensor(head + "_" + name)
		switch {
		case name == "qdata":
			continue
		case !ok:
			return w, s.refuse(i, "torchao without %q", name)
		case name == "scale" && isScale(x.DType):
			of[0], err = torchaoBlocks(t.Shape, x, j, terms.Data.Block)
		case name == "zero_point" && x.DType == format.I8 && terms.Type != "Float8Tensor":
			of[1], err = torchaoBlocks(t.Shape, x, j, terms.Data.Block)
		case name != "act_quant_scale" && name != "act_quant_zero_point": // which are of activations alone
			return w, s.refuse(i, "torchao's %s with %q of %v", terms.Type, name, x.DType)
		}
		if err != nil {
			return w, s.refuse(i, "torchao with %w", err)
		}
		w.hides = append(w.hides, j)
	}
	if of[0] == nil {
		return w, s.refuse(i, "torchao without scales")
	}
	d := &affine{blockGrid: gridOf(t.Shape), codeReader: wholeCodes{i, t.DType, t.DType.Bits()}, scales: &levelGrid{scaleGrid: *of[0], global: -1}}
	if z := of[1]; z != nil {
		d.zeros = &zeroGrid{tensor: z.tensor, dtype: z.dtype, blockGrid: z.blockGrid, block: z.block}
	}
	if w.decoder = d; t.DType != format.I8 {
		w.decoder = &blockDecoder{blockGrid: d.blockGrid, codes: i, dtype: t.DType, scales: *of[0]}
	}
	return w, nil
}

// torchaoBlocks finds out which block each scale is of; block is what the terms say, if they do.
func torchaoBlocks(of []int64, scales format.Tensor, tensor int, block []int64) (*scaleGrid, error) {
	var wanted [2]int64
	if n := len(block); n >= 2 && n == len(of) {
		wanted = [2]int64{block[n-2], block[n-1]}
	}
	g, b, err := scalesOf(of, scales.Shape, wanted)
	if err == nil && len(block) > 0 {
		whole := gridOf(block)
		t := gridOf(of)
		if len(block) != len(of) || min(whole.slices, t.slices) != b.slices || min(whole.rows, t.rows) != b.rows || min(whole.cols, t.cols) != b.cols {
			err = fmt.Errorf("scales of shape %v for blocks of %v", scales.Shape, block)
		}
	}
	return &scaleGrid{tensor: tensor, dtype: scales.DType, blockGrid: g, block: b}, err
}
