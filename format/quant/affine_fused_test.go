package quant

import (
	"math/rand/v2"
	"testing"

	"weld/format"
)

// What the kernels restore is what the steps restore one after the other, of every part of a tensor, whatever the sizes of rows and groups.
func TestFused(t *testing.T) {
	r := rand.New(rand.NewPCG(91, 92))
	for _, size := range []struct{ rows, cols, group int64 }{{5, 96, 32}, {3, 64, 16}, {4, 35, 5}, {2, 45, 15}, {7, 33, 33}, {3, 20, 1}, {130, 40, 8}, {9, 21, 7}} {
		of := blockGrid{1, size.rows, size.cols}
		groups, block := blockGrid{1, size.rows, size.cols / size.group}, blockGrid{1, 1, size.group}
		codes := random(r, "codes", format.U8, size.rows, size.cols) // of four bits, more than there are
		scales, zeros := random(r, "scales", format.BF16, groups.rows, groups.cols), random(r, "zeros", format.I8, groups.rows, groups.cols)
		from := codeLender{Checkpoint: saved(t, codes, scales, zeros), scratch: make([]float32, 50)}
		at := indexByName(from)
		nibbles := packedRows{bitPacking{bits: 4, values: offsetIntegers[4]}, size.cols, (size.cols + 1) / 2}
		bytes := packedRows{bitPacking{bits: 8, values: offsetIntegers[8]}, size.cols, size.cols}
		for _, reader := range []codeReader{&bitCodes{at["codes"], nibbles}, &bitCodes{at["codes"], bytes}, wholeCodes{at["codes"], format.I8, 8}, wholeCodes{at["codes"], format.F8E4M3, 0}} {
			for _, zero := range []*zeroGrid{nil, {tensor: at["zeros"], dtype: format.I8, blockGrid: groups, block: block}} {
				d := &affine{blockGrid: of, codeReader: reader, zeros: zero, scales: &levelGrid{scaleGrid: scaleGrid{tensor: at["scales"], dtype: format.BF16, blockGrid: groups, block: block}, global: -1}}
				c := d.fused()
				if c == nil {
					if r, ok := reader.(wholeCodes); !ok || r.dtype != format.F8E4M3 || zero == nil {
						t.Fatalf("%T of %v: no kernel", reader, size)
					}
					continue
				}
				for range 100 {
					lo := r.Int64N(size.rows * size.cols)
					got, want := make([]float32, 1+r.Int64N(size.rows*size.cols-lo)), make([]float32, size.rows*size.cols)
					want = want[:len(got)]
					err := d.decodeFused(c, from, got, lo)
					if err == nil {
						err = d.numbers(from, want, lo)
					}
					if err == nil {
						err = d.restore(from, want, lo, nil)
					}
					if err != nil {
						t.Fatal(err)
					}
					if !sameValues(got, want) {
						t.Fatalf("%T, zero points %v, %v: elements [%d, %d) are\n%v, want\n%v", reader, zero != nil, size, lo, lo+int64(len(got)), got, want)
					}
				}
			}
		}
	}
}

// indexByName finds tensors.
func indexByName(c format.Checkpoint) map[string]int {
	at := make(map[string]int)
	for i, t := range c.Tensors() {
		at[t.Name] = i
	}
	return at
}

// Zero points of other blocks than scales are of are left to the steps.
func TestFusedBlocks(t *testing.T) {
	grid, block := blockGrid{1, 4, 2}, blockGrid{1, 1, 16}
	d := &affine{blockGrid: blockGrid{1, 4, 32}, codeReader: wholeCodes{0, format.I8, 8}, scales: &levelGrid{scaleGrid: scaleGrid{tensor: 1, dtype: format.BF16, blockGrid: grid, block: block}, global: -1}}
	for _, c := range []struct {
		grid, block blockGrid
		fused       bool
	}{{grid, block, true}, {blockGrid{1, 4, 1}, blockGrid{1, 1, 32}, false}, {blockGrid{1, 1, 2}, blockGrid{1, 4, 16}, false}} {
		d.zeros = &zeroGrid{tensor: 2, dtype: format.I8, blockGrid: c.grid, block: c.block}
		if got := d.fused() != nil; got != c.fused {
			t.Errorf("zero points of blocks of %v: %v, want %v", c.block, got, c.fused)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	const rows, cols = 64, 4096
	r := rand.New(rand.NewPCG(93, 94))
	codes := random(r, "codes", format.U8, rows, cols)
	nibbles := func(values []float32) func(i int) codeReader {
		return func(i int) codeReader {
			return &bitCodes{i, packedRows{bitPacking{bits: 4, values: values}, cols, cols / 2}}
		}
	}
	for _, c := range []struct {
		name   string
		reader func(tensor int) codeReader
		group  int64
	}{
		{"E2M1/32", nibbles(valuesE2M1), 32},
		{"int4/128", nibbles(offsetIntegers[4]), 128},
		{"int8/channel", func(i int) codeReader { return wholeCodes{i, format.I8, 8} }, cols},
		{"E4M3/channel", func(i int) codeReader { return wholeCodes{i, format.F8E4M3, 0} }, cols},
	} {
		scales := random(r, "scales", format.BF16, rows, cols/c.group)
		from := codeLender{Checkpoint: saved(b, codes, scales), scratch: make([]float32, pieceElements)}
		at := indexByName(from)
		d := &affine{blockGrid: blockGrid{1, rows, cols}, codeReader: c.reader(at["codes"]), scales: &levelGrid{scaleGrid: scaleGrid{tensor: at["scales"], dtype: format.BF16, blockGrid: blockGrid{1, rows, cols / c.group}, block: blockGrid{1, 1, c.group}}, global: -1}}
		dst := make([]float32, pieceElements)
		decode := func(name string, decode func() error) {
			b.Run(c.name+"/"+name, func(b *testing.B) {
				b.SetBytes(4 * pieceElements)
				for b.Loop() {
					if err := decode(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		decode("kernel", func() error { return d.decodeFused(d.fused(), from, dst, 0) })
		decode("steps", func() error {
			if err := d.numbers(from, dst, 0); err != nil {
				return err
			}
			return d.restore(from, dst, 0, nil)
		})
	}
}
