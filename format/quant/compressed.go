package quant

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"weld/format"
)

// compressed-tensors stores each weight of a module by the scheme of a group of its configuration, in one of these layouts. Zeros may be left out
// of what a layout calls weight (sparse-bitmask, sparse-24-bitmask; until release 0.14). Sources: compressed-tensors 0.20.1 (compressors, quantization/lifecycle/
// forward_helpers.py) and 0.12.2 (sparse_compressors, weight_g_idx).
//
//	pack-quantized        weight_packed: integers of 1 to 8 bits in words; (code − zero) × scale
//	int-quantized         weight: integers; (code − zero) × scale
//	float-quantized       weight: E4M3; code × scale
//	naive-quantized       one or the other
//	mxfp8-quantized       weight: E4M3; code × 2^(scale − 127)
//	mxfp4-pack-quantized  weight_packed: E2M1; code × 2^(scale − 127)
//	mxfp6-pack-quantized  weight_packed: E2M3; code × 2^(scale − 127)
//	nvfp4-pack-quantized  weight_packed: E2M1; code × (scale ÷ global scale)
//
// The library computes in the type of the scales, and rounds to it; here nothing is rounded but to float32.

// compressedActivations are of what goes into a module and comes out of it.
var compressedActivations = []string{"input_scale", "input_zero_point", "input_global_scale", "output_scale", "output_zero_point", "output_global_scale"}

// findCompressed finds weights of compressed-tensors.
func findCompressed(s *search) error {
	config, err := compressedConfigOf(s.configs)
	if err != nil {
		return &format.Error{Path: s.Path(), Kind: format.KindScheme, Err: fmt.Errorf("read the configuration of compressed-tensors: %w", err)}
	}
	if config == nil {
		return nil
	}
	for i, t := range s.Tensors() {
		module, ok := s.compressedModule(t)
		if !ok || s.taken[i] {
			continue
		}
		w, err := config.weight(s, module, i)
		if err != nil {
			return s.refuse(i, "compressed-tensors: %w", err)
		}
		s.add(w)
	}
	return nil
}

// compressedModule is the module that codes belong to, with a dot behind it.
func (s *search) compressedModule(t format.Tensor) (module string, ok bool) {
	for _, end := range []string{"weight_packed", "weight", "compressed"} {
		module, ok = strings.CutSuffix(t.Name, end)
		if !ok || module != "" && !strings.HasSuffix(module, ".") {
			continue
		}
		switch end {
		case "weight":
			_, _, ok = s.tensor(module + "weight_scale")
			ok = ok && (isInteger(t.DType) || slices.Contains(float8, t.DType))
		case "compressed":
			_, _, ok = s.tensor(module + "bitmask")
		}
		return module, ok
	}
	return "", false
}

// weight finds out how the weight of a module is stored, whose codes are a tensor.
func (c *compressedConfig) weight(s *search, module string, codes int) (weight, error) {
	if len(c.Transform.Groups) > 0 {
		return weight{}, errors.New("transform_config: the weights are those of a model that was rotated")
	}
	name := strings.TrimSuffix(module, ".")
	groups := c.groupsOf(name)
	scales := slices.ContainsFunc([]string{"weight_scale", "weight_packed"}, func(param string) bool { _, _, ok := s.tensor(module + param); return ok })
	switch {
	case !scales:
		b := compressedWeight{search: s, config: c, module: module, codes: codes}
		return b.build(nil)
	case c.ignores(name):
		return weight{}, fmt.Errorf("module %q is in the list of what is stored plainly (ignore), and has codes and scales", name)
	case len(groups) == 0:
		return weight{}, fmt.Errorf("module %q has codes and scales, and no group of the configuration (config_groups) is for it", name)
	}
	var found []weight
	var as []compressedGroup
	var failed error
	for _, g := range groups {
		b := compressedWeight{search: s, config: c, module: module, codes: codes}
		w, err := b.build(&g)
		switch {
		case err != nil:
			failed = errors.Join(failed, err)
		case !slices.ContainsFunc(as, func(x compressedGroup) bool { return x.Format == g.Format && reflect.DeepEqual(x.Weights, g.Weights) }):
			found, as = append(found, w), append(as, g)
		}
	}
	switch len(found) {
	case 0:
		return weight{}, failed
	case 1:
		return found[0], nil
	}
	return weight{}, fmt.Errorf("module %q may be of more than one group of the configuration (config_groups)", name)
}

// compressedWeight is a weight whose decoder is being put together.
type compressedWeight struct {
	*search
	config *compressedConfig
	module string // with a dot behind it
	codes  int
	hides  []int

	shape []int64
	affine
	masked bool
}

// build puts a weight together; by no group if zeros are all that is not as it was.
func (b *compressedWeight) build(g *compressedGroup) (w weight, err error) {
	scheme, plain := "compressed-tensors "+b.config.Sparsity.Format, b.Tensors()[b.codes].DType
	if strings.HasSuffix(b.Tensors()[b.codes].Name, "compressed") {
		if err := b.findMasked(); err != nil {
			return w, err
		}
	}
	if g != nil {
		scheme, plain = "compressed-tensors "+g.Format, format.BF16
		if err := b.findCodes(g); err != nil {
			return w, fmt.Errorf("%s: %w", g.Format, err)
		}
		if d := b.scales.dtype; d == format.F16 {
			plain = d
		}
	} else if !plain.Computable() {
		return w, fmt.Errorf("%v without scales", plain)
	}
	for _, end := range compressedActivations {
		if i, _, ok := b.tensor(b.module + end); ok {
			b.hides = append(b.hides, i)
		}
	}
	b.blockGrid = gridOf(b.shape)
	return weight{scheme: scheme, name: b.module + "weight", shape: b.shape, plain: plain, codes: b.codes, hides: b.hides, decoder: b.decoder()}, nil
}

// decoder is the one that restores the values: for codes of FP8 with scales alone the one of every such scheme, which can write them, too.
func (b *compressedWeight) decoder() decoder {
	d := b.affine
	if codes, ok := d.codeReader.(wholeCodes); ok && slices.Contains(float8, codes.dtype) {
		return &blockDecoder{blockGrid: d.blockGrid, codes: codes.tensor, dtype: codes.dtype, scales: d.scales.scaleGrid}
	}
	return &d
}

// beside finds a companion, which is hidden then.
func (b *compressedWeight) beside(name string) (i int, t format.Tensor, ok bool) {
	if i, t, ok = b.tensor(b.module + name); ok {
		b.hides = append(b.hides, i)
	}
	return i, t, ok
}

// findCodes finds everything that the scheme of a group asks for.
func (b *compressedWeight) findCodes(g *compressedGroup) error {
	args, t := g.Weights, b.Tensors()[b.codes]
	kind := args.Type
	narrow := strings.HasSuffix(t.Name, "weight_packed")
	switch g.Format {
	case "pack-quantized":
		if kind != "int" || args.Bits < 1 || args.Bits > 8 || !narrow {
			return b.contradiction(args)
		}
		return b.findPacked(args)
	case "nvfp4-pack-quantized", "mxfp4-pack-quantized", "mxfp6-pack-quantized":
		bits := map[byte]int{'4': 4, '6': 6}[strings.TrimPrefix(strings.TrimPrefix(g.Format, "nvfp"), "mxfp")[0]]
		if kind != "float" || args.Bits != bits || !narrow {
			return b.contradiction(args)
		}
		return b.findNarrow(args, g.Format[:2])
	case "int-quantized", "float-quantized", "naive-quantized", "mxfp8-quantized":
		if narrow || kind == "float" && g.Format == "int-quantized" || kind == "int" && g.Format != "int-quantized" && g.Format != "naive-quantized" {
			return b.contradiction(args)
		}
		return b.findWhole(args, g.Format == "mxfp8-quantized")
	}
	return fmt.Errorf("a layout that weld does not know")
}

// contradiction says that configuration and tensors, or two keys of the configuration, do not agree.
func (b *compressedWeight) contradiction(args *compressedArgs) error {
	t := b.Tensors()[b.codes]
	return fmt.Errorf("%v of shape %v under this name contradict what is declared: num_bits %d, type %q", t.DType, t.Shape, args.Bits, args.Type)
}

// findPacked finds integers in words of 32 bits.
func (b *compressedWeight) findPacked(args *compressedArgs) error {
	t := b.Tensors()[b.codes]
	if err := b.readShape("weight_shape", 2, 3); err != nil {
		return err
	}
	n := len(t.Shape)
	if t.DType != format.I32 || n != len(b.shape) || !slices.Equal(t.Shape[:n-1], b.shape[:n-1]) {
		return fmt.Errorf("%v of shape %v for a weight of shape %v", t.DType, t.Shape, b.shape)
	}
	if err := b.findScales(args, "", false); err != nil {
		return err
	}
	values := offsetIntegers[args.Bits]
	var fits []bitPacking
	for _, p := range []bitPacking{{args.Bits, false, values}, {args.Bits, true, values}} {
		if p.words(b.shape[n-1]) == t.Shape[n-1] && b.packedZeros(p, args) {
			fits = append(fits, p)
		}
	}
	p, err := b.pack(fits)
	if err != nil {
		return err
	}
	b.codeReader = &bitCodes{b.codes, packedRows{p, b.shape[n-1], 4 * t.Shape[n-1]}}
	if b.zeros != nil && b.zeros.dtype == format.I32 {
		b.zeros.packed = &p
	}
	return b.findIndex(args)
}

// pack chooses among packings. Releases until 0.15 left the rest of a word empty, 0.20 lets codes go over the border of two.
func (b *compressedWeight) pack(fits []bitPacking) (p bitPacking, err error) {
	if len(fits) == 0 {
		return p, fmt.Errorf("shape %v is not that of packed codes of a weight of shape %v", b.Tensors()[b.codes].Shape, b.shape)
	}
	p = fits[0]
	last := b.shape[len(b.shape)-1] - 1
	if b.zeros != nil && b.zeros.dtype == format.I32 {
		last = max(last, b.zeros.rows-1)
	}
	if len(fits) == 1 || fits[0].bit(last) == fits[1].bit(last) {
		return p, nil
	}
	early, known := b.config.before(0, 16)
	late, _ := b.config.before(0, 20)
	switch {
	case known && early:
		return fits[1], nil
	case known && !late:
		return p, nil
	}
	return p, fmt.Errorf("weight_packed of shape %v for a weight of shape %v may be codes of %d bits that go over the border of two words, or not; version %q does not say",
		b.Tensors()[b.codes].Shape, b.shape, p.bits, b.config.Version)
}

// packedZeros reports whether the zero points, if they are packed, are as many as a packing makes.
func (b *compressedWeight) packedZeros(p bitPacking, args *compressedArgs) bool {
	if b.zeros == nil || b.zeros.dtype != format.I32 {
		return true
	}
	shape := b.Tensors()[b.zeros.tensor].Shape
	return p.words(b.zeros.rows) == shape[len(shape)-2]
}

// findNarrow finds floats of four or six bits, whose format begins with nv or mx.
func (b *compressedWeight) findNarrow(args *compressedArgs, family string) error {
	t := b.Tensors()[b.codes]
	n := len(t.Shape)
	if t.DType != format.U8 || n != 2 && n != 3 || t.Shape[n-1]*8%int64(args.Bits) != 0 {
		return b.contradiction(args)
	}
	b.shape = slices.Clone(t.Shape)
	b.shape[n-1] = t.Shape[n-1] * 8 / int64(args.Bits)
	if err := b.findScales(args, family, true); err != nil {
		return err
	}
	values := valuesE2M1
	if args.Bits == 6 {
		values = valuesE2M3
	}
	b.codeReader = &bitCodes{b.codes, packedRows{bitPacking{bits: args.Bits, values: values}, b.shape[n-1], t.Shape[n-1]}}
	return nil
}

// findWhole finds codes that are integers or floats of their own type.
func (b *compressedWeight) findWhole(args *compressedArgs, mx bool) error {
	t := b.Tensors()[b.codes]
	want := format.F8E4M3
	switch {
	case args.Type == "int" && args.Bits <= 8:
		want = format.I8
	case args.Type == "int" && args.Bits <= 16:
		want = format.I16
	case args.Type == "int" && args.Bits <= 32:
		want = format.I32
	case args.Type != "float" || args.Bits != 8:
		return b.contradiction(args)
	}
	if t.DType != want {
		return b.contradiction(args)
	}
	if b.shape == nil {
		b.shape = t.Shape
		b.codeReader = wholeCodes{b.codes, t.DType, args.Bits}
	}
	family := ""
	if mx {
		family = "mx"
	}
	if err := b.findScales(args, family, args.Type == "float"); err != nil {
		return err
	}
	return b.findIndex(args)
}
