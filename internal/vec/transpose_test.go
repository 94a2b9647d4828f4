package vec

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Every size up to some squares, with rows that lie apart; what is between them stays.
func TestTranspose(t *testing.T) {
	r := rand.New(rand.NewPCG(111, 112))
	levelsFrom(Portable, t, func(t *testing.T) {
		for rows := range 36 {
			for cols := range 36 {
				srcStep, dstStep := cols+r.IntN(4), rows+r.IntN(4)
				src := guardedFloats(max(0, (rows-1)*srcStep+cols))
				for i := range src {
					src[i] = math.Float32frombits(r.Uint32())
				}
				dst := guardedFloats(max(0, (cols-1)*dstStep+rows))
				Fill(dst, 42)
				Transpose(dst, dstStep, src, srcStep, rows, cols)
				for i, got := range dst {
					want := float32(42)
					if c, row := i/max(1, dstStep), i%max(1, dstStep); rows > 0 && cols > 0 && row < rows {
						want = src[row*srcStep+c]
					}
					if !sameBits(got, want) {
						t.Fatalf("%d by %d, steps %d and %d: element %d is %x, want %x", rows, cols, srcStep, dstStep, i, got, want)
					}
				}
			}
		}
	})
}
