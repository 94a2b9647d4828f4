package quant

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"weld/format"
)

// stepwise hides the kernels of a codeWriter.
type stepwise struct{ codeWriter }

// Runs of blocks become by kernels what they become value by value, whatever sizes they have and wherever they begin; so do the errors.
func TestBandsByKernels(t *testing.T) {
	r := rand.New(rand.NewPCG(103, 104))
	const rows = 3
	nibbles := func(table *codeTable, cols int64) *tableWriter {
		return &tableWriter{table, packedRows{bitPacking{bits: 4, values: table.values}, cols, (cols + 1) / 2}}
	}
	offset := func(cols int64) *tableWriter {
		return &tableWriter{&offsetTables[8], packedRows{bitPacking{bits: 8, values: offsetIntegers[8]}, cols, cols}}
	}
	for range 2000 {
		block, blocks := 1+r.Int64N(70), 1+r.Int64N(6)
		cols := block*blocks - r.Int64N(block)
		asymmetric := r.IntN(2) == 0
		writers := []codeWriter{nibbles(&offsetTables[4], cols), wholeIntegers(cols), offset(cols)}
		if !asymmetric {
			writers = append(writers, nibbles(&tableE2M1, cols), floatWriter{format.F8E4M3, 448}, floatWriter{format.F8E5M2, 57344})
		}
		c := coding{blockGrid: blockGrid{1, rows, cols}, block: blockGrid{1, rows, block}, scaleType: format.F32, codes: writers[r.IntN(len(writers))]}
		if asymmetric {
			c.zeros = &zeroCoding{bits: 8, dtype: format.I8, rows: 1}
			if w := c.codes.(*tableWriter); w.bits == 4 {
				c.zeros.bits = 4
			}
		}
		values := make([]float32, rows*cols)
		for i := range values {
			values[i] = float32(r.NormFloat64())
			if r.IntN(5) == 0 {
				values[i] = float32(math.Round(r.NormFloat64()*4)) / 2 // ties, and zeros
			}
		}
		if r.IntN(3) == 0 {
			values[r.IntN(len(values))] = []float32{float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())}[r.IntN(3)]
		}
		first := r.Int64N(blocks)
		end := first + 1 + r.Int64N(blocks-first)
		encode := func(writer codeWriter) (codes, scales []byte, err error) {
			c := c
			c.codes = writer
			var s stripe
			s.values = slices.Clone(values)
			c.lay(&s, 0, 0)
			for i := range s.codes {
				s.codes[i] = 0xaa // of blocks that are kept
			}
			b := band{coding: &c, given: &given{}, values: s.values, codes: s.codes, scales: s.scales, zeros: s.zeros, kept: s.kept, blocks: s.blocks, room: make([]float32, cols)}
			if c.zeros == nil {
				b.findLargest()
			}
			return s.codes, append(s.scales, s.zeros...), b.encodeBlocks(first, end)
		}
		got, gotScales, err := encode(c.codes)
		want, wantScales, wantErr := encode(stepwise{c.codes})
		if fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Fatalf("%T, blocks of %d in rows of %d: %v, want %v", c.codes, block, cols, err, wantErr)
		}
		if err == nil && (!bytes.Equal(got, want) || !bytes.Equal(gotScales, wantScales)) {
			t.Fatalf("%T, blocks [%d, %d) of %d in rows of %d:\n%x, want\n%x", c.codes, first, end, block, cols, got, want)
		}
	}
}

// A scale that is 0 as it is read divides nothing.
func TestNoScale(t *testing.T) {
	const cols = 32
	c := coding{
		blockGrid: blockGrid{1, 1, cols}, block: blockGrid{1, 1, 16}, scaleType: format.F8E4M3, level: new(scaleLevel),
		codes: &tableWriter{&tableE2M1, packedRows{bitPacking{bits: 4, values: valuesE2M1}, cols, cols / 2}},
	}
	s := stripe{values: make([]float32, cols), row: make([]float32, cols)}
	for i := range s.values {
		s.values[i] = 0x1p-149 * float32(2688-2687*(i/16))
	}
	if err := c.encode(&s, 0, 0, given{measured: &measured{coding: &c, global: 0x1p-149}}); err == nil {
		t.Errorf("%x by scales %x", s.codes, s.scales)
	}
}
