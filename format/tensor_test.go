package format

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

func TestTensorSizes(t *testing.T) {
	const most = math.MaxInt64
	for _, c := range []struct {
		d               DType
		shape           []int64
		elements, bytes int64 // −1 where there is none
		row             int64
	}{
		{F32, nil, 1, 4, 1},
		{F32, []int64{}, 1, 4, 1},
		{U8, []int64{0}, 0, 0, 1},
		{F64, []int64{3}, 3, 24, 1},
		{BF16, []int64{2, 3, 5}, 30, 60, 15},
		{F32, []int64{7, 0}, 0, 0, 0},
		{F32, []int64{0, most}, 0, 0, most},
		{F32, []int64{most, most, 0}, -1, -1, 0},
		{F32, []int64{0, most, most}, 0, 0, 0},
		{F4, []int64{3, 2}, 6, 3, 2},
		{F4, []int64{3}, 3, -1, 1},
		{F4, nil, 1, -1, 1},
		{F6E2M3, []int64{4}, 4, 3, 1},
		{F6E2M3, []int64{2}, 2, -1, 1},
		{U8, []int64{most}, most, -1, 1},
		{U8, []int64{most / 8}, most / 8, most / 8, 1},
		{F64, []int64{most / 64}, most / 64, most / 64 * 8, 1},
		{F64, []int64{most/64 + 1}, most/64 + 1, -1, 1},
		{F32, []int64{1 << 31, 1 << 31}, 1 << 62, -1, 1 << 31},
		{F32, []int64{1 << 32, 1 << 31}, -1, -1, 1 << 31},
		{F32, []int64{-1}, -1, -1, 1},
		{F32, []int64{-2, -2}, -1, -1, 0},
		{Invalid, []int64{1}, 1, -1, 1},
	} {
		none := func(n int64, ok bool) int64 {
			if !ok {
				return -1
			}
			return n
		}
		if n := none(Elements(c.shape)); n != c.elements {
			t.Errorf("%v: %d elements, want %d", c.shape, n, c.elements)
		}
		if n := none(Size(c.d, c.shape)); n != c.bytes {
			t.Errorf("%v %v: %d bytes, want %d", c.d, c.shape, n, c.bytes)
		}
		x := Tensor{DType: c.d, Shape: c.shape}
		if x.Elements() != max(c.elements, 0) || x.Bytes() != max(c.bytes, 0) || x.RowLen() != c.row {
			t.Errorf("%v %v: %d elements, %d bytes, rows of %d", c.d, c.shape, x.Elements(), x.Bytes(), x.RowLen())
		}
	}
}

// Random shapes against numbers that cannot overflow. A product may only be refused if
// a step of it leaves 63 bits, which a later 0 does not heal.
func TestSizesNeverOverflow(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	limit := big.NewInt(math.MaxInt64)
	for range 20_000 {
		shape := make([]int64, r.IntN(5))
		for i := range shape {
			shape[i] = r.Int64N(1 << r.IntN(62))
		}
		product, fits := big.NewInt(1), true
		for _, d := range shape {
			product.Mul(product, big.NewInt(d))
			fits = fits && product.Cmp(limit) <= 0
		}
		n, ok := Elements(shape)
		if ok != fits || ok && n != product.Int64() {
			t.Fatalf("%v: %d, %v", shape, n, ok)
		}
		for _, d := range DTypes() {
			bits := new(big.Int).Mul(product, big.NewInt(int64(d.Bits())))
			want := fits && bits.Cmp(limit) <= 0 && new(big.Int).Mod(bits, big.NewInt(8)).Sign() == 0
			size, ok := Size(d, shape)
			if ok != want || ok && size != bits.Int64()/8 {
				t.Fatalf("%v %v: %d, %v", d, shape, size, ok)
			}
		}
	}
}
