package quant

import (
	"slices"
	"strings"

	"weld/format"
)

// layout is how a library names codes and what they are decoded with.
type layout struct {
	scheme    string
	companion string         // how the companion's name ends; a dot before it begins a part of the name
	codes     string         // how that of its codes ends instead
	types     []format.DType // of the codes; nil for any
	foreign   bool           // the companion's type is another than the codes': a cast of a whole model makes learnt scales that are F8, too
}

// The types of codes. 64-bit integers and booleans are indices, counters and masks.
var (
	float8   = []format.DType{format.F8E4M3, format.F8E5M2, format.F8E4M3FNUZ, format.F8E5M2FNUZ}
	integers = []format.DType{format.U8, format.I8, format.I16, format.U16, format.I32, format.U32}
	narrow   = []format.DType{format.U8, format.I8, format.F4, format.F6E2M3, format.F6E3M2}
	packed   = slices.Concat(narrow, integers)
	codes    = slices.Concat(packed, float8)
)

// layouts, the most telling first. Sources: transformers 5.23 (quantizers, integrations), and where another is named.
var layouts = []layout{
	{"bitsandbytes", ".absmax", "", nil, false}, // nf4, fp4; codes may be stored as floats (bnb_4bit_quant_storage)
	{"bitsandbytes", ".quant_map", "", nil, false},
	{"bitsandbytes", ".SCB", ".weight", integers, false}, // LLM.int8
	{"mxfp4", "_scales", "_blocks", narrow, false},       // gpt-oss
	{"mxfp4", ".scales", ".blocks", narrow, false},       // files of OpenAI for gpt-oss
	{"nvfp4", "_scale_2", "", codes, false},              // ModelOpt
	{"compressed-tensors", "_global_scale", "_packed", integers, false},
	{"compressed-tensors", "_scale", "_packed", integers, false},
	{"compressed-tensors", ".bitmask", ".compressed", nil, false}, // sparse, whatever the values' type
	{"gptq", ".g_idx", ".qweight", integers, false},
	{"gptq or awq", ".qzeros", ".qweight", integers, false},
	{"svdquant", ".wscales", ".qweight", integers, false}, // nunchaku 1.0
	{"fp-quant", ".scales", ".qweight", integers, false},
	{"mlx", ".scales", ".weight", []format.DType{format.U32}, false}, // mlx 0.30; biases beside it in affine mode
	{"mlx", ".biases", ".weight", []format.DType{format.U32}, false},
	{"higgs", ".tables2", ".weight", integers, false},
	{"eetq", ".weight_scales", ".weight", narrow, false},
	{"quanto", "._scale", "._data", nil, false}, // optimum-quanto 0.2
	{"quanto", "._scale", "._data._data", nil, false},
	{"hqq", ".scale", ".W_q", nil, false}, // floats too (view_as_float)
	{"hqq", ".meta", ".W_q", nil, false},
	{"sinq", ".scales", ".W_q", nil, false},
	{"aqlm", ".codebooks", ".codes", integers, false},
	{"vptq", ".centroids.weight", ".indices", integers, false},
	{"spqr", ".row_offsets", ".dense_weights", integers, false},
	{"exl2", ".q_scale", ".q_weight", integers, false}, // exllamav2 0.3
	{"exl3", ".suh", ".trellis", integers, false},      // exllamav3 0.0.6
	{"marlin", ".s", ".B", integers, false},            // marlin of IST-DASLab
	{"marlin", ".s", ".B_24", integers, false},
	{"torchao", "_scale", "_qdata", nil, false}, // torchao 0.15, flattened subclasses
	{"torchao", "_scale_and_zero", "_qdata", nil, false},
	{"gemma", "_scale", "_quantized", codes, false},
	{"scaled fp8", ".scale_weight", ".weight", float8, false}, // ComfyUI 0.3
	{"fp8", "_scale_inv", "", float8, true},
	{"fp8", "_scale", "", float8, true},
	{"fp8", ".input_scale", ".weight", float8, true},
	{"fp8", ".activation_scale", ".weight", float8, true},
	{"fp8", ".scale", ".weight", float8, true}, // DeepSeek's own files
	{"packed codes with scales", "_scale_inv", "", packed, false},
	{"packed codes with scales", "_scale", "", packed, false}, // BitNet, compressed-tensors int8, Quark
	{"packed codes with scales", "_zero_point", "", packed, false},
	{"packed codes with scales", ".scale", ".weight", packed, false},
}

// loneCompanions end names that mean nothing but a companion, where a scheme is declared: of a key-value
// cache, or beside values that are floats by their type.
var loneCompanions = []string{".k_scale", ".v_scale", ".kv_scale", "_scale_inv", ".weight_scale", ".input_scale", ".input_scale_ub", ".weight_zero_point"}

// pair is codes and a companion.
type pair struct {
	layout    *layout
	codes     format.Tensor
	companion string
}

// paired finds codes with a companion; those of the most telling layout, and of those the first.
func paired(tensors []format.Tensor) (best pair, ok bool) {
	var byName map[string]int
	var byEnd [256][]int // layouts by the last byte of a companion's name, which next to no name has
	for i, l := range layouts {
		end := l.companion[len(l.companion)-1]
		byEnd[end] = append(byEnd[end], i)
	}
	rank := len(layouts)
	for _, t := range tensors {
		if t.Name == "" {
			continue
		}
		for _, i := range byEnd[t.Name[len(t.Name)-1]] {
			if i >= rank {
				break
			}
			l := &layouts[i]
			name, ends := l.codesOf(t.Name)
			if !ends {
				continue
			}
			if byName == nil {
				byName = index(tensors)
			}
			j, there := byName[name]
			if !there || l.types != nil && !slices.Contains(l.types, tensors[j].DType) || l.foreign && tensors[j].DType == t.DType {
				continue
			}
			best, rank, ok = pair{l, tensors[j], t.Name}, i, true
			break
		}
	}
	return best, ok
}

// codesOf is the name of the codes that a companion belongs to, if its name ends as the layout's do.
func (l *layout) codesOf(name string) (codes string, ok bool) {
	if head, ends := strings.CutSuffix(name, l.companion); ends {
		return head + l.codes, true
	}
	whole, dotted := strings.CutPrefix(l.companion, ".")
	return strings.TrimPrefix(l.codes, "."), dotted && name == whole
}

func index(tensors []format.Tensor) map[string]int {
	byName := make(map[string]int, len(tensors))
	for i, t := range tensors {
		byName[t.Name] = i
	}
	return byName
}

// suspect finds a tensor that is not a plain one, where a scheme is declared.
func suspect(tensors []format.Tensor) (format.Tensor, bool) {
	for _, t := range tensors {
		if IsCode(t.DType) && t.Elements() > 1 && !t.Calibrated {
			return t, true
		}
	}
	for _, t := range tensors {
		for _, end := range loneCompanions {
			if whole, dotted := strings.CutPrefix(end, "."); !t.Calibrated && (strings.HasSuffix(t.Name, end) || dotted && t.Name == whole) {
				return t, true
			}
		}
	}
	return format.Tensor{}, false
}

// IsCode reports whether codes can have the type: narrow floats and integers of up to 32 bits.
func IsCode(d format.DType) bool { return slices.Contains(codes, d) }
