package vec

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// Every level writes the bytes of the reference, and stops at the same block; the reference rounds as numbers of any precision do.
func TestEncodeHalfScaledI8(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for n := range 40 {
		src := guardedFloats(32 * n)
		for k := range n {
			scale, kind := math.Exp2(float64(r.IntN(60)-40)), r.IntN(6)
			for i := range 32 {
				v := r.NormFloat64() * scale
				switch kind {
				case 1:
					v = float64(r.IntN(509)-254) * scale / 254 // ties
				case 2:
					v = 0
				case 3:
					v = r.NormFloat64() * 0x1p-140
				}
				src[32*k+i] = float32(v)
			}
		}
		if n%8 == 7 {
			src[32*r.IntN(n)+5] = -1e7 // whose scale has no binary16
		}
		want := make([]byte, 34*n)
		var blocks int
		at(Portable, func() { blocks = EncodeHalfScaledI8(want, src) })
		if (blocks == n) == (n%8 == 7) {
			t.Fatalf("%d of %d blocks", blocks, n)
		}
		for k := range blocks {
			checkHalfScaled(t, want[34*k:][:34], src[32*k:][:32])
		}
		everyLevel(t, func(t *testing.T) {
			got := bytes.Repeat([]byte{77}, 34*n+40)
			if b := EncodeHalfScaledI8(got[:34*n], src); b != blocks || !bytes.Equal(got[:34*blocks], want[:34*blocks]) {
				t.Fatalf("%d blocks of %d:\n%x, want %d\n%x", b, n, got[:34*b], blocks, want[:34*blocks])
			}
			if !bytes.Equal(got[34*n:], bytes.Repeat([]byte{77}, 40)) {
				t.Fatal("wrote behind the end")
			}
		})
	}
}

// checkHalfScaled holds a block against integers: twice the product, and one more, halved.
func checkHalfScaled(t *testing.T, block []byte, x []float32) {
	t.Helper()
	largest := float32(0)
	for _, v := range x {
		largest = max(largest, v, -v)
	}
	scale := largest / 127
	half := make([]byte, 2)
	EncodeF16(half, []float32{scale})
	inverse := 1 / scale
	if math.IsInf(float64(inverse), 0) {
		inverse = 0
	}
	if binary.LittleEndian.Uint16(half) != binary.LittleEndian.Uint16(block) {
		t.Fatalf("scale %x, want %x", block[:2], half)
	}
	for i, v := range x {
		product := new(big.Rat).SetFloat64(math.Abs(float64(v * inverse)))
		product.Add(product, big.NewRat(1, 2))
		want := new(big.Int).Quo(product.Num(), product.Denom()).Int64()
		if v < 0 {
			want = -want
		}
		if got := int64(int8(block[2+i])); got != want {
			t.Fatalf("%v by %v is %d, want %d", v, inverse, got, want)
		}
	}
}
