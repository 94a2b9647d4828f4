package quant

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"weld/format"
)

// magnitudes are where scales turn: every power of two with what lies around the mantissas at which a code rounds up, subnormals, zero; and any.
func magnitudes(r *rand.Rand) (all []float32) {
	for exponent := range uint32(255) {
		for _, mantissa := range []uint32{0, 1, 1<<21 - 1, 1 << 21, 1<<22 - 1, 1 << 22, 3<<21 - 1, 3 << 21, 3<<21 + 1, 15<<19 - 1, 15 << 19, 1<<23 - 1} {
			all = append(all, math.Float32frombits(exponent<<23|mantissa))
		}
	}
	for range 3000 {
		all = append(all, math.Float32frombits(r.Uint32N(0x7f800000)), float32(math.Exp(r.NormFloat64())))
	}
	return all
}

// Scales of many blocks are those of each.
func TestScalesAtOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(41, 42))
	largest := magnitudes(r)
	dst, scales := make([]byte, len(largest)), make([]float32, len(largest))
	check := func(what string, one func(dst []byte, largest float32) float32) {
		t.Helper()
		for k, x := range largest {
			var want [1]byte
			if scale := one(want[:], x); dst[k] != want[0] || math.Float32bits(scales[k]) != math.Float32bits(scale) {
				t.Fatalf("%s: up to %x, the scale is %#x = %x, want %#x = %x", what, x, dst[k], scales[k], want[0], scale)
			}
		}
	}
	for _, table := range []*codeTable{&tableE2M1, &tableE2M3} {
		table.powers(dst, scales, largest)
		check("E8M0", func(dst []byte, largest float32) float32 { return table.scale(format.F8E8M0, dst, largest) })
	}
	for _, divides := range []bool{false, true} {
		for _, global := range []float32{1, 3, 0x1p-20, 1e-30, 1e30, 2e4} {
			l := &scaleLevel{divides}
			l.scales(dst, scales, largest, global)
			check("E4M3", func(dst []byte, largest float32) float32 { return l.scale(dst, largest, global) })
		}
	}
}

// What is stored of a row of blocks is what is stored block by block, with blocks of zeros among them, and with values whose code could be read as infinite.
func TestScalesOfARowAndOfItsBlocks(t *testing.T) {
	r := rand.New(rand.NewPCG(43, 44))
	for _, c := range []coding{
		{blockGrid: blockGrid{1, 5, 96}, block: blockGrid{1, 1, 32}, scaleType: format.F8E8M0, codes: &tableWriter{&tableE2M1, packedRows{bitPacking{bits: 4, values: valuesE2M1}, 96, 48}}},
		{blockGrid: blockGrid{1, 5, 96}, block: blockGrid{1, 1, 32}, scaleType: format.F8E8M0, codes: &tableWriter{&tableE2M1, packedRows{bitPacking{bits: 4, values: valuesE2M1}, 96, 48}}, ofZeros: []byte{9}},
	} {
		for range 200 {
			values := make([]float32, 5*96)
			factor := math.Exp2(float64(r.IntN(250) - 125))
			for i := range values {
				if i/32%4 != 3 {
					values[i] = float32(r.NormFloat64() * factor)
				}
			}
			s := &stripe{values: values, row: make([]float32, 96)}
			if err := c.encode(s, 0, 0, given{}); err != nil {
				t.Fatal(err)
			}
			codes, scales := slices.Clone(s.codes), slices.Clone(s.scales)
			for k := range scales {
				var want [1]byte
				x := extremes{0, largestFinite(values[k*32:][:32])}
				f, err := c.factorsOf(want[:], x, 0)
				if err != nil || scales[k] != want[0] {
					t.Fatalf("block %d up to %v: scale %#x, want %#x (%v)", k, x.high, scales[k], want[0], err)
				}
				var one [16]byte
				quotients := make([]float32, 32)
				for i := range quotients {
					quotients[i] = values[k*32+i] / f.scale
				}
				if c.codes.encode(one[:], 0, quotients); !bytes.Equal(codes[k*16:][:16], one[:]) {
					t.Fatalf("block %d: codes % x, want % x", k, codes[k*16:][:16], one)
				}
			}
		}
		values := make([]float32, 5*96)
		values[40] = math.MaxFloat32 // 4 × 2^126 is nearest
		if err := c.encode(&stripe{values: values, row: make([]float32, 96)}, 0, 0, given{}); err == nil {
			t.Error("a value has a code that is read as infinite, and is stored")
		}
	}
}

// A scale of scales that makes an infinite one of them is an error, as it is for each block.
func TestScalesOfARowAreNumbers(t *testing.T) {
	c := coding{
		blockGrid: blockGrid{1, 2, 64}, block: blockGrid{1, 1, 16}, scaleType: format.F8E4M3, level: &scaleLevel{divides: true},
		codes: &tableWriter{&tableE2M1, packedRows{bitPacking{bits: 4, values: valuesE2M1}, 64, 32}},
	}
	values := slices.Repeat([]float32{1}, 128)
	for global, want := range map[float32]bool{3: true, 1e-40: false} {
		err := c.encode(&stripe{values: values, row: make([]float32, 64)}, 0, 0, given{measured: &measured{coding: &c, global: global}})
		if (err == nil) != want {
			t.Errorf("by %v: %v", global, err)
		}
	}
}
