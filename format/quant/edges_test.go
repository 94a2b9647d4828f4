package quant

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"weld/format"
)

// A scale of few bits may be far too small for its block: the zero point stays among the codes.
func TestZeroPointStaysAmongCodes(t *testing.T) {
	z := &zeroCoding{bits: 8, dtype: format.I8}
	const least = 0x1p-24 // of float16
	for _, c := range []struct {
		x    extremes
		want float32
	}{{extremes{-255 * 1.4 * least, 0}, 127}, {extremes{0, 255 * 1.4 * least}, -128}, {extremes{0, 255 * 0.2 * least}, -128}} {
		if f := z.factors(format.F16, make([]byte, 2), c.x); f.scale != least || f.zero != c.want {
			t.Errorf("%v: %v, want a zero point of %v", c.x, f, c.want)
		}
	}
}

// Packed zero points of each matrix begin with a word.
func TestPackedZerosOfManyMatrices(t *testing.T) {
	for _, c := range []struct {
		bits                   int
		whole                  bool
		rows, top, bottom      int64
		wantWords, wantLengths int64
	}{
		{4, false, 9, 9, 18, 2, 2}, {4, false, 9, 26, 27, 5, 1}, {4, true, 9, 18, 27, 4, 2},
		{3, false, 33, 33, 65, 4, 3}, {3, false, 33, 65, 66, 7, 1}, {3, true, 33, 66, 76, 8, 1},
	} {
		p := bitPacking{bits: c.bits, whole: c.whole}
		const cols = 5
		off, n := (&zeroCoding{bits: c.bits, dtype: format.I32, rows: c.rows, packed: &p}).stored(c.top, c.bottom, cols)
		if off != c.wantWords*cols*4 || n != c.wantLengths*cols*4 {
			t.Errorf("%+v: %d bytes at %d", c, n, off)
		}
	}
}

// Of zeros alone, and of values so small that theirs would be nothing, the scale of scales is 1.
func TestScaleOfScalesOfZeros(t *testing.T) {
	for _, divides := range []bool{false, true} {
		for _, largest := range []float32{0, math.SmallestNonzeroFloat32} {
			if got := (&scaleLevel{divides}).global(largest); got != 1 {
				t.Errorf("%v, divides %v: %v", largest, divides, got)
			}
		}
	}
}

// A value that is not finite leaves the others to decide, to the end of their range.
func TestLargestBesideInfinity(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, x := range [][]float32{{inf, math.MaxFloat32, 1}, {-inf, -math.MaxFloat32, nan}} {
		if got := largestFinite(x); got != math.MaxFloat32 {
			t.Errorf("%v: %v", x, got)
		}
	}
}

// Values that are not changed keep their scale of scales, whether it would serve others or not.
func TestUnchangedKeepTheirScaleOfScales(t *testing.T) {
	for name, weight := range map[string]string{"compressed-narrow": "layers.nv.weight", "modelopt": "layers.a.weight"} {
		shown, _ := golden(t, name)
		v := shown.(*Decoded)
		i, _ := v.Find(weight)
		e, ok := v.Encoding(i)
		if !ok {
			t.Fatal(weight)
		}
		err := e.reference.lend(func(r *lentReference) error {
			old, err := r.globalScale()
			if err != nil {
				return err
			}
			for _, changed := range []bool{false, true} {
				m := newMeasured(&e.coding)
				m.seen, m.changed[0] = m.slices*m.rows*m.cols, changed
				m.values[0] = extremes{0, 1e20} // which the reference's does not serve
				if err := m.settle(r); err != nil {
					return err
				}
				if m.keeps == changed || (m.global == old) == changed {
					t.Errorf("%s: changed %v, and the scale of scales is kept: %v", weight, changed, m.keeps)
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// A tensor without values has companions with some, which are what they were.
func TestCompanionsOfNoValues(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	one := func(name string) stored { return random(r, name, format.F32, 1) }
	activations := one("a.input_scale")
	for name, c := range map[string]struct {
		declared Declared
		tensors  []stored
	}{
		"fp8": {Declared{}, []stored{random(r, "a.weight", format.F8E4M3, 0, 128), one("a.weight_scale"), activations}},
		"nvfp4": {declare(`{"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16}`, "nvfp4-pack-quantized"), []stored{
			random(r, "a.weight_packed", format.U8, 0, 16), random(r, "a.weight_scale", format.F8E4M3, 0, 2), one("a.weight_global_scale"), activations}},
		"packed": {declare(`{"num_bits": 4, "type": "int", "strategy": "group", "group_size": 16}`, "pack-quantized"), []stored{
			random(r, "a.weight_packed", format.I32, 0, 4), random(r, "a.weight_scale", format.BF16, 0, 2), int64s("a.weight_shape", 0, 32), activations}},
		"whole": {declare(`{"num_bits": 8, "type": "int", "strategy": "tensor", "symmetric": false}`, "int-quantized"), []stored{
			random(r, "a.weight", format.I8, 0, 32), one("a.weight_scale"), random(r, "a.weight_zero_point", format.I8, 1), activations}},
	} {
		shown, err := Show(saved(t, c.tensors...), c.declared)
		if err != nil {
			t.Fatal(name, err)
		}
		v := shown.(*Decoded)
		e, ok := v.Encoding(0)
		if !ok || len(e.Companions) != len(c.tensors)-1 {
			t.Fatalf("%s: %v %+v", name, ok, e)
		}
		m := rewritten(t, v, 0, e, nil)
		for k, x := range e.Companions {
			i := slices.IndexFunc(c.tensors, func(s stored) bool { return s.Name == x.Name })
			if !bytes.Equal(m.tensors[k+1], c.tensors[i].data) {
				t.Errorf("%s: %s is %v, was %v", name, x.Name, m.tensors[k+1], c.tensors[i].data)
			}
		}
	}
}

// Rows of few values are seen as longer ones where their scales are the same, and those of blocks stay whole.
func TestRowsAreJoined(t *testing.T) {
	for _, c := range []struct{ of, scales, block, wantOf, wantScales, wantBlock blockGrid }{
		{blockGrid{100, 3, 3}, blockGrid{1, 1, 1}, blockGrid{100, 3, 3}, blockGrid{1, 1, 900}, blockGrid{1, 1, 1}, blockGrid{1, 1, 900}},
		{blockGrid{1000, 3, 3}, blockGrid{1, 1, 1}, blockGrid{1000, 3, 3}, blockGrid{1, 3, 3000}, blockGrid{1, 1, 1}, blockGrid{1, 3, 3000}},
		{blockGrid{100, 3, 3}, blockGrid{10, 1, 1}, blockGrid{10, 3, 3}, blockGrid{1, 10, 90}, blockGrid{1, 10, 1}, blockGrid{1, 1, 90}},
		{blockGrid{1, 300, 5}, blockGrid{1, 3, 1}, blockGrid{1, 128, 5}, blockGrid{1, 75, 20}, blockGrid{1, 3, 1}, blockGrid{1, 32, 20}},
		{blockGrid{2, 300, 5}, blockGrid{2, 3, 5}, blockGrid{1, 100, 1}, blockGrid{2, 300, 5}, blockGrid{2, 3, 5}, blockGrid{1, 100, 1}},
		{blockGrid{1, 9, 3000}, blockGrid{1, 1, 1}, blockGrid{1, 9, 3000}, blockGrid{1, 9, 3000}, blockGrid{1, 1, 1}, blockGrid{1, 9, 3000}},
		{blockGrid{1, 0, 8}, blockGrid{1, 1, 1}, blockGrid{1, 0, 8}, blockGrid{1, 0, 8}, blockGrid{1, 1, 1}, blockGrid{1, 0, 8}},
	} {
		if of, scales, block := joined(c.of, c.scales, c.block); of != c.wantOf || scales != c.wantScales || block != c.wantBlock {
			t.Errorf("%v with %v of %v: %v with %v of %v", c.of, c.scales, c.block, of, scales, block)
		}
	}
}

// What the codes of the largest values of float32 stand for may be more than that holds: they have none then.
func TestCodesThatWouldBeReadAsInfinite(t *testing.T) {
	const most = math.MaxFloat32
	integers := &zeroCoding{bits: 4, dtype: format.I8}
	for name, c := range map[string]struct {
		coding coding
		x      extremes
		fails  bool
	}{
		"int8":             {coding{codes: wholeIntegers(8), scaleType: format.F32}, extremes{0, most}, true},
		"int8, below":      {coding{codes: wholeIntegers(8), scaleType: format.F32}, extremes{0, 3.3e38}, false},
		"int8, less":       {coding{codes: wholeIntegers(8), scaleType: format.F32}, extremes{0, 1}, false},
		"mxfp4":            {coding{codes: &tableWriter{&tableE2M1, packedRows{bitPacking{bits: 4}, 8, 4}}, scaleType: format.F8E8M0}, extremes{0, most}, true},
		"mxfp4, below":     {coding{codes: &tableWriter{&tableE2M1, packedRows{bitPacking{bits: 4}, 8, 4}}, scaleType: format.F8E8M0}, extremes{0, 2.9e38}, false},
		"zero points":      {coding{codes: signedIntegers(4, 8), zeros: integers, scaleType: format.BF16}, extremes{0, most}, true},
		"zero points, low": {coding{codes: signedIntegers(4, 8), zeros: integers, scaleType: format.F32}, extremes{-2e38, 0}, false},
		"fp8":              {coding{codes: floatWriter{format.F8E4M3, 448}, scaleType: format.F32}, extremes{0, 3.4e38}, false},
		"fp8, rounded up":  {coding{codes: floatWriter{format.F8E4M3, 448}, scaleType: format.BF16}, extremes{0, most}, true},
	} {
		if _, err := c.coding.factorsOf(make([]byte, c.coding.scaleType.Bits()/8), c.x, 0); (err != nil) != c.fails {
			t.Errorf("%s: %v", name, err)
		}
	}
}
