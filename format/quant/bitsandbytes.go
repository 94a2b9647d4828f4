package quant

import (
	"encoding/json"
	"strings"

	"weld/format"
)

// bitsandbytes in four bits: X is codes in raw bytes, two in one, the upper half first, in C order of a shape that a state in JSON says,
// X.quant_state.bitsandbytes__nf4 or __fp4. value = X.quant_map[code] × X.absmax[block]. Where absmax is doubly quantised, it is
// X.nested_quant_map[code] × X.nested_absmax[block] + offset. In eight bits (LLM.int8): value = code × X.SCB[row] × 1/127. Source:
// bitsandbytes 0.50 (functional.py, QuantState; backends/default/ops.py).

// bnbState is what a state says.
type bnbState struct {
	Type         string   `json:"quant_type"`
	Block        int64    `json:"blocksize"`
	DType        string   `json:"dtype"`
	Shape        []int64  `json:"shape"`
	NestedBlock  int64    `json:"nested_blocksize"`
	NestedType   string   `json:"nested_dtype"`
	NestedOffset *float64 `json:"nested_offset"`
}

// maxState is how long a state is read.
const maxState = 64 << 10

// findBitsAndBytes finds weights of bitsandbytes.
func findBitsAndBytes(s *search) error {
	for i, t := range s.Tensors() {
		if s.taken[i] {
			continue
		}
		for _, kind := range []string{"nf4", "fp4"} {
			if name, ok := strings.CutSuffix(t.Name, ".quant_state.bitsandbytes__"+kind); ok {
				if err := s.bnb4(i, name, kind); err != nil {
					return err
				}
			}
		}
		if head, ok := strings.CutSuffix(t.Name, ".SCB"); ok {
			if err := s.bnb8(i, head); err != nil {
				return err
			}
		}
	}
	return nil
}

// bnb4 finds a weight in four bits by its state.
func (s *search) bnb4(i int, name, kind string) error {
	state, err := s.bnbState(i, kind)
	if err != nil {
		return err
	}
	codes, t, ok := s.tensor(name)
	if !ok {
		return s.refuse(i, "a state of bitsandbytes without codes")
	}
	n, ok := format.Elements(state.Shape)
	if !ok || n < 1 || len(state.Shape) == 0 {
		return s.refuse(codes, "bitsandbytes for a tensor of shape %v", state.Shape)
	}
	if item := int64(t.DType.Bits() / 8); item < 1 || t.Bytes() < (n+1)/2 || t.Bytes() >= (n+1)/2+item {
		return s.refuse(codes, "bitsandbytes: %d bytes of codes for a shape of %v", t.Bytes(), state.Shape)
	}
	if s.turnsLayers(name) {
		return s.refuse(codes, "bitsandbytes stores a layer of the kind Conv1D as its transpose, which the plain model is not")
	}
	d := &bnbDecoder{codes: codes, n: n, block: state.Block, nestedAbsmax: -1}
	hides := []int{i}
	companion := func(end string, d format.DType, elements int64) int {
		j, x, ok := s.tensor(name + end)
		if !ok || x.DType != d || x.Elements() != elements {
			err = s.refuse(codes, "bitsandbytes: %q has to be beside it, %v with %d elements", end, d, elements)
		}
		hides = append(hides, j)
		return j
	}
	blocks := (n + state.Block - 1) / state.Block
	if d.quantMap = companion(".quant_map", format.F32, 16); state.NestedOffset == nil {
		d.absmax = companion(".absmax", format.F32, blocks)
	} else {
		d.nestedBlock, d.offset = state.NestedBlock, float32(*state.NestedOffset)
		d.absmax = companion(".absmax", format.U8, blocks)
		d.nestedAbsmax = companion(".nested_absmax", format.F32, (blocks+d.nestedBlock-1)/d.nestedBlock)
		d.nestedMap = companion(".nested_quant_map", format.F32, 256)
	}
	if err != nil {
		return err
	}
	plain := map[string]format.DType{"float16": format.F16, "bfloat16": format.BF16, "float32": format.F32}[state.DType]
	s.add(weight{scheme: "bitsandbytes", name: name, shape: state.Shape, plain: plain, codes: codes, hides: hides, decoder: d})
	return nil
}

// bnbState reads a state.
func (s *search) bnbState(i int, kind string) (state bnbState, err error) {
	t := s.Tensors()[i]
	if t.DType != format.U8 || t.Bytes() > maxState {
		return state, s.refuse(i, "a state of bitsandbytes of %d bytes, %v", t.Bytes(), t.DType)
	}
	if err := (codeLender{Checkpoint: s.Checkpoint}).with(i, 0, t.Bytes(), func(data []byte) error {
		return json.Unmarshal(data, &state)
	}); err != nil {
		return state, s.refuse(i, "read a state of bitsandbytes: %w", err)
	}
	switch {
	case state.Type != kind:
		return state, s.refuse(i, "a state of bitsandbytes of type %q", state.Type)
	case state.Block < 2 || state.Block > 1<<20 || state.NestedOffset != nil && (state.NestedBlock < 2 || state.NestedBlock > 1<<20):
		return state, s.refuse(i, "a state of bitsandbytes with blocks of %d and %d", state.Block, state.NestedBlock)
	case state.DType != "float16" && state.DType != "bfloat16" && state.DType != "float32" || state.NestedOffset != nil && state.NestedType != "float32":
		return state, s.refuse(i, "a state of bitsandbytes for %q and %q", state.DType, state.NestedType)
	}
	return state, nil
}

// bnb8 finds a weight in eight bits by its scales.
func (s *search) bnb8(i int, head string) error {
	scales := s.Tensors()[i]
	codes, t, ok := s.tensor(head + ".weight")
	if !ok || t.DType != format.I8 {
		return nil
	}
	if len(t.Shape) != 2 || scales.DType != format.F32 || scales.Elements() != t.Shape[0] {
		return s.refuse(codes, "LLM.int8 of shape %v with scales of shape %v, %v", t.Shape, scales.Shape, scales.DType)
	}
	if s.turnsLayers(t.Name) {
		return s.refuse(codes, "bitsandbytes stores a layer of the kind Conv1D as its transpose, which the plain model is not")
	}
	hides := []int{i}
	if j, x, ok := s.tensor(head + ".weight_format"); ok {
		if x.DType != format.U8 || x.Elements() != 1 {
			return s.refuse(codes, "LLM.int8 with a weight_format of shape %v, %v", x.Shape, x.DType)
		}
		var order byte
		if err := (codeLender{Checkpoint: s.Checkpoint}).with(j, 0, 1, func(data []byte) error { order = data[0]; return nil }); err != nil {
			return err
		}
		if order != 0 {
			return s.refuse(codes, "LLM.int8 in the order %d of a GPU's kernels", order)
		}
		hides = append(hides, j)
	}
	g := gridOf(t.Shape)
	of := scaleGrid{tensor: i, dtype: format.F32, blockGrid: blockGrid{1, g.rows, 1}, block: blockGrid{1, 1, g.cols}}
	s.add(weight{
		scheme: "bitsandbytes", name: t.Name, shape: t.Shape, plain: format.F16, codes: codes, hides: hides,
		decoder: &int8Decoder{blockDecoder{blockGrid: g, codes: codes, dtype: format.I8, scales: of}, float32(1) / 127},
	})
	return nil
}

// int8Decoder restores code × scale × factor.
type int8Decoder struct {
	blockDecoder
	factor float32
}

// decode implements [pieced].
func (d *int8Decoder) decode(from codeLender, dst []float32, lo int64) error {
	if err := (wholeCodes{d.codes, d.dtype, d.dtype.Bits()}).numbers(from, dst, lo); err != nil {
		return err
	}
	if err := d.scales.multiply(from, dst, lo, d.blockGrid); err != nil {
		return err
	}
	for i := range dst {
		dst[i] *= d.factor
	}
	return nil
}

// bnbDecoder restores values in four bits.
type bnbDecoder struct {
	codes, quantMap, absmax int // tensors
	n, block                int64
	nestedAbsmax, nestedMap int // tensors; nestedAbsmax is −1 where absmax is stored plainly
	nestedBlock             int64
	offset                  float32
}

// stored implements [decoder].
func (d *bnbDecoder) stored(lo, hi int64) (off, n int64) { return lo / 2, (hi+1)/2 - lo/2 }

// decode implements [pieced].
func (d *bnbDecoder) decode(from codeLender, dst []float32, lo int64) error {
	var values [16]float32
	if err := from.decoded(d.quantMap, 0, values[:]); err != nil {
		return err
	}
	hi := lo + int64(len(dst))
	first := lo / d.block
	absmax, err := d.scales(from, first, (hi-1)/d.block+1)
	if err != nil {
		return err
	}
	off, n := d.stored(lo, hi)
	return from.with(d.codes, off, n, func(data []byte) error {
		for k := range absmax {
			block := first + int64(k)
			for at := max(lo, block*d.block); at < min(hi, (block+1)*d.block); at++ {
				code := data[at/2-off] >> (4 * (1 - at%2)) & 15
				dst[at-lo] = values[code] * absmax[k]
			}
		}
		return nil
	})
}

// scales are those of blocks [first, end), in the scratch.
func (d *bnbDecoder) scales(from codeLender, first, end int64) ([]float32, error) {
	if d.nestedAbsmax < 0 {
		absmax := from.floats(end - first)
		return absmax, from.decoded(d.absmax, first, absmax)
	}
	begin := first / d.nestedBlock
	groups := (end-1)/d.nestedBlock + 1 - begin
	both := from.floats(end - first + groups)
	absmax, nested := both[:end-first], both[end-first:]
	var values [256]float32
	if err := from.decoded(d.nestedMap, 0, values[:]); err != nil {
		return nil, err
	}
	if err := from.decoded(d.nestedAbsmax, begin, nested); err != nil {
		return nil, err
	}
	return absmax, from.with(d.absmax, first, end-first, func(data []byte) error {
		for i, code := range data {
			absmax[i] = float32(values[code]*nested[(first+int64(i))/d.nestedBlock-begin]) + d.offset
		}
		return nil
	})
}

// decoded fills dst with elements of a tensor of float32, from one on.
func (l codeLender) decoded(tensor int, from int64, dst []float32) error {
	return l.with(tensor, from*4, int64(len(dst))*4, func(data []byte) error {
		format.Decode(format.F32, dst, data)
		return nil
	})
}
