package quant

import (
	"regexp"
	"slices"
	"strings"

	"weld/format"
)

// quanto: X._data in eight bits with X._scale, of rows: value = scale × code. In four and two bits X._data._data has the codes of a
// matrix whose rows are groups, of X._scale and X._shift: value = scale × code − shift, and scale × (code − shift) where shifts are
// integers. Their shape is nowhere in the files; a bias tells how many rows it has. Source: optimum-quanto 0.2.7 (tensor/qbits.py,
// packed.py, grouped.py).

// convolution is how modules are called that are convolutions, or may be one: their weights have more dimensions than two, which their codes do not say.
var convolution = regexp.MustCompile(`(?i)conv|patch_embed|(?:down|up)sampl`)

// findQuanto finds weights of quanto.
func findQuanto(s *search) error {
	for i, t := range s.Tensors() {
		if s.taken[i] {
			continue
		}
		var err error
		if name, ok := strings.CutSuffix(t.Name, "._data._data"); ok {
			err = s.quantoBits(i, name)
		} else if name, ok := strings.CutSuffix(t.Name, "._data"); ok {
			err = s.quantoBytes(i, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// quantoBytes finds a weight in eight bits.
func (s *search) quantoBytes(i int, name string) error {
	t := s.Tensors()[i]
	j, scales, ok := s.tensor(name + "._scale")
	if !ok {
		return nil
	}
	if !isScale(scales.DType) {
		return s.refuse(i, "quanto with scales of %v", scales.DType)
	}
	g, block, err := scalesOf(t.Shape, scales.Shape, [2]int64{})
	if err != nil {
		return s.refuse(i, "quanto with %w", err)
	}
	grid, g, block := joined(gridOf(t.Shape), g, block)
	d := blockDecoder{blockGrid: grid, codes: i, dtype: t.DType, scales: scaleGrid{tensor: j, dtype: scales.DType, blockGrid: g, block: block}}
	w := weight{scheme: "quanto", name: name, shape: t.Shape, plain: scales.DType, codes: i, hides: append(s.quantoBeside(name), j), decoder: &d}
	switch {
	case t.DType == format.I8:
		w.decoder = &affine{blockGrid: d.blockGrid, codeReader: wholeCodes{i, t.DType, t.DType.Bits()}, scales: &levelGrid{scaleGrid: d.scales, global: -1}}
	case !slices.Contains(float8, t.DType) || !t.DType.Computable():
		return s.refuse(i, "quanto with codes of %v", t.DType)
	}
	s.add(w)
	return nil
}

// quantoBits finds a weight in four or two bits.
func (s *search) quantoBits(i int, name string) error {
	t := s.Tensors()[i]
	j, scales, ok := s.tensor(name + "._scale")
	k, shifts, also := s.tensor(name + "._shift")
	if !ok || !also {
		return s.refuse(i, "quanto without scales or shifts")
	}
	integer := shifts.DType == format.I8
	if t.DType != format.U8 || !isScale(scales.DType) || !isScale(shifts.DType) && !integer {
		return s.refuse(i, "quanto with codes of %v, scales of %v, shifts of %v", t.DType, scales.DType, shifts.DType)
	}
	if len(t.Shape) != 2 || t.Elements() < 1 || len(scales.Shape) != 2 || scales.Shape[1] != 1 || !slices.Equal(scales.Shape, shifts.Shape) {
		return s.refuse(i, "quanto of shape %v with scales of shape %v and shifts of shape %v", t.Shape, scales.Shape, shifts.Shape)
	}
	rows, width := scales.Shape[0], t.Shape[1]
	var fits []int64
	for _, bits := range []int64{4, 2} {
		if each := 8 / bits; (rows+each-1)/each == t.Shape[0] {
			fits = append(fits, bits)
		}
	}
	if len(fits) != 1 {
		return s.refuse(i, "quanto of shape %v with scales of shape %v, which do not say how many bits a code has", t.Shape, scales.Shape)
	}
	_, bias, ok := s.tensor(strings.TrimSuffix(name, ".weight") + ".bias")
	if !ok || !strings.HasSuffix(name, ".weight") || len(bias.Shape) != 1 || bias.Shape[0] < 1 || rows%bias.Shape[0] != 0 {
		return s.refuse(i, "quanto in %d bits: nothing in the files says the shape of the weight; save a copy that it decoded", fits[0])
	}
	if convolution.MatchString(name) {
		return s.refuse(i, "quanto in %d bits: by its name it may be a convolution's, and nothing in the files says the shape of the weight; save a copy that it decoded", fits[0])
	}
	d := &stretchDecoder{
		codes: i, size: 1, bits: fits[0], stretch: t.Elements(), width: width,
		scale: companion{j, scales.DType}, zero: companion{k, shifts.DType}, restored: quantoRestored,
	}
	if integer {
		d.restored = hqqRestored
	}
	s.add(weight{
		scheme: "quanto", name: name, shape: []int64{bias.Shape[0], rows / bias.Shape[0] * width}, plain: scales.DType, codes: i,
		hides: append(s.quantoBeside(name), j, k), decoder: d,
	})
	return nil
}

// quantoRestored rounds twice, as quanto does.
func quantoRestored(code, scale, shift float32) float32 { return float32(scale*code) - shift }

// quantoBeside finds the scales of a layer's activations.
func (s *search) quantoBeside(name string) (list []int) {
	for _, end := range []string{".input_scale", ".output_scale"} {
		if i, _, ok := s.tensor(strings.TrimSuffix(name, ".weight") + end); ok {
			list = append(list, i)
		}
	}
	return list
}
