package quant

import (
	"slices"
	"strings"

	"weld/format"
)

// OpenAI's own files of gpt-oss ("original") have MXFP4 of experts as X.blocks [experts, out, groups, 16] with X.scales [experts, out, groups], where X is
// mlp1_weight or mlp2_weight of a block. Codes and scales are those of the files for transformers, but for their names; the model that reads them has X as
// [experts, out, in]. No configuration says any of it, so that only these names are taken for it. Source: gpt_oss 0.0.9, torch/weights.py.

// originalExperts end the names of codes.
var originalExperts = []string{".mlp.mlp1_weight.blocks", ".mlp.mlp2_weight.blocks"}

// findOriginalMXFP4 finds experts of OpenAI's files.
func findOriginalMXFP4(s *search) error {
	for i, t := range s.Tensors() {
		if s.taken[i] || t.DType != format.U8 || !slices.ContainsFunc(originalExperts, func(end string) bool { return strings.HasSuffix(t.Name, end) }) {
			continue
		}
		head := strings.TrimSuffix(t.Name, ".blocks")
		j, scales, ok := s.tensor(head + ".scales")
		if !ok || scales.DType != format.U8 {
			continue
		}
		if len(t.Shape) != 4 || t.Shape[3] != mxfp4Group/2 || t.Elements() < 1 || !slices.Equal(t.Shape[:3], scales.Shape) {
			return s.refuse(i, "MXFP4 of shape %v with scales of shape %v, not [experts, out, groups, %d] with [experts, out, groups]", t.Shape, scales.Shape, mxfp4Group/2)
		}
		d := mxfp4Rows(i, j, t.Shape)
		s.add(weight{
			scheme: "mxfp4", name: head, shape: []int64{d.slices, d.rows, d.cols}, plain: format.BF16, codes: i, hides: []int{j}, decoder: d,
		})
	}
	return nil
}

// mxfp4Rows restores values in the order of their codes, which have a shape [experts, out, groups, 16]: as [experts, out, in].
func mxfp4Rows(codes, scales int, shape []int64) *affine {
	g := blockGrid{shape[0], shape[1], shape[2] * mxfp4Group}
	return &affine{
		blockGrid:  g,
		codeReader: &bitCodes{codes, packedRows{bitPacking{bits: 4, values: valuesE2M1}, g.cols, g.cols / 2}},
		scales: &levelGrid{
			scaleGrid: scaleGrid{tensor: scales, dtype: format.F8E8M0, blockGrid: blockGrid{g.slices, g.rows, shape[2]}, block: blockGrid{1, 1, mxfp4Group}},
			global:    -1,
		},
	}
}
