package quant

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"weld/format"
)

// torchao flattens a tensor X of a class of its own, M.weight, to M._weight_qdata, M._weight_scale and so on, and says in the file's metadata,
// under M.weight, which class it is. Source: torchao 0.18 (prototype/safetensors). The classes:
//
//	Float8Tensor, Int8Tensor, IntxUnpackedToInt8Tensor  codes in the weight's shape; (code − zero point) × scale of its block
//	Int4Tensor                                          two codes in a byte; code × scale + zero
//	MXTensor                                            E4M3, E5M2, E2M1, E2M3, E3M2; code × 2^(scale − 127)
//	NVFP4Tensor                                         E2M1; code × (scale × scale of scales)
//
// Int4TilePackedTo4dTensor and Int4PlainInt32Tensor lie as kernels of one device want them, and are not read.

// torchaoTerms are what the metadata says of a tensor.
type torchaoTerms struct {
	Type  string          `json:"_type"`
	Data  torchaoSettings `json:"_data"`
	Names []string        `json:"_tensor_data_names"`
}

// torchaoSettings are those of all classes together.
type torchaoSettings struct {
	Block    json.RawMessage `json:"block_size"`         // a list; of MXTensor and NVFP4Tensor a number
	Shape    []int64         `json:"shape"`              // of Int4Tensor
	DType    torchaoName     `json:"dtype"`              // that the plain model has
	Original torchaoName     `json:"orig_dtype"`         // likewise, of MXTensor and NVFP4Tensor
	Element  torchaoName     `json:"elem_dtype"`         // of the codes of MXTensor
	Swizzled bool            `json:"is_swizzled_scales"` // of both
}

// torchaoName is the name of a type, which stands alone or in an object that says that it is one.
type torchaoName string

// UnmarshalJSON implements [json.Unmarshaler].
func (n *torchaoName) UnmarshalJSON(data []byte) error {
	var object struct {
		Data string `json:"_data"`
	}
	var text string
	if json.Unmarshal(data, &text) != nil {
		if err := json.Unmarshal(data, &object); err != nil {
			return err
		}
		text = object.Data
	}
	*n = torchaoName(text)
	return nil
}

// torchaoActivations are of what a weight is multiplied with when it is used, and say nothing of its values.
var torchaoActivations = []string{"act_quant_scale", "act_quant_zero_point", "act_per_tensor_scale"}

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
		b := torchaoWeight{search: s, codes: i, head: head}
		said, ok := metadata[name]
		if !ok || json.Unmarshal([]byte(said), &b.terms) != nil {
			return s.refuse(i, "torchao, whose metadata does not say what %q is", name)
		}
		w, err := b.build()
		if err != nil {
			return s.refuse(i, "torchao's %s: %w", b.terms.Type, err)
		}
		w.scheme, w.name, w.codes, w.hides = "torchao", name, i, b.hides
		s.add(w)
	}
	return nil
}

// torchaoWeight is a weight whose decoder is being put together.
type torchaoWeight struct {
	*search
	terms torchaoTerms
	codes int
	head  string // of the names of its parts, without the underscore behind it
	hides []int
}

// build puts a weight together: its shape, the type that it is plainly stored in, and its decoder.
func (b *torchaoWeight) build() (w weight, err error) {
	t, settings := b.Tensors()[b.codes], &b.terms.Data
	if len(t.Shape) < 2 || t.Elements() == 0 {
		return w, fmt.Errorf("codes of shape %v", t.Shape)
	}
	plain := settings.DType
	switch class := b.terms.Type; {
	case class == "Float8Tensor" && slices.Contains(float8, t.DType) && t.DType.Computable():
		w.shape = t.Shape
		w.decoder, err = b.whole()
	case (class == "Int8Tensor" || class == "IntxUnpackedToInt8Tensor") && t.DType == format.I8:
		w.shape = t.Shape
		w.decoder, err = b.whole()
	case class == "Int4Tensor" && (t.DType == format.U8 || t.DType == format.I8):
		w.shape = b.unpacked(2)
		w.decoder, plain, err = b.int4(w.shape)
	case class == "MXTensor":
		plain = settings.Original
		w.shape, w.decoder, err = b.mx()
	case class == "NVFP4Tensor" && t.DType == format.U8:
		plain = settings.Original
		w.shape, w.decoder, err = b.nvfp4()
	case class == "Int4TilePackedTo4dTensor" || class == "Int4PlainInt32Tensor":
		err = errors.New("codes that lie as the kernels of one kind of device want them")
	default:
		err = fmt.Errorf("codes of %v", t.DType)
	}
	if err != nil {
		return w, err
	}
	var known bool
	if w.plain, known = map[torchaoName]format.DType{"float32": format.F32, "bfloat16": format.BF16, "float16": format.F16}[plain]; !known {
		return w, fmt.Errorf("a weight of %q", plain)
	}
	return w, b.hideRest()
}

// unpacked is the shape of a weight of which each byte has so many codes.
func (b *torchaoWeight) unpacked(each int64) []int64 {
	shape := slices.Clone(b.Tensors()[b.codes].Shape)
	shape[len(shape)-1] *= each
	return shape
}

// part finds a tensor of the weight.
func (b *torchaoWeight) part(name string) (i int, t format.Tensor, ok bool) {
	if !slices.Contains(b.terms.Names, name) {
		return -1, t, false
	}
	return b.tensor(b.head + "_" + name)
}

// hide says that a tensor belongs to the weight.
func (b *torchaoWeight) hide(i int) { b.hides = append(b.hides, i) }

// hideRest has what belongs to activations vanish, and refuses what nothing is known of.
func (b *torchaoWeight) hideRest() error {
	for _, name := range b.terms.Names {
		i, t, ok := b.part(name)
		switch {
		case name == "qdata" || ok && slices.Contains(b.hides, i):
		case !ok:
			return fmt.Errorf("%q is not there", b.head+"_"+name)
		case slices.Contains(torchaoActivations, name):
			b.hide(i)
		default:
			return fmt.Errorf("%q of %v beside its codes", name, t.DType)
		}
	}
	return nil
}
