package planes

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"weld/format"
)

// Words of codes are bytes; those of numbers are not, nor is what is too short to say.
func TestElements(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	nibble := func() uint32 { return uint32(min(max(r.NormFloat64()*2.5+8, 0), 15)) }
	codes := func(int) (w uint32) {
		for k := range 8 {
			w |= nibble() << (4 * k)
		}
		return w
	}
	for name, c := range map[string]struct {
		dtype format.DType
		n     int
		word  func(i int) uint32
		want  format.DType
	}{
		"codes":              {format.I32, 100_000, codes, format.U8},
		"codes without sign": {format.U32, 100_000, codes, format.U8},
		"few codes":          {format.I32, 1024, codes, format.U8},
		"too few codes":      {format.I32, 1023, codes, format.I32},
		"no words":           {format.F32, 100_000, codes, format.F32},
		"groups":             {format.I32, 100_000, func(i int) uint32 { return uint32(i / 128) }, format.I32},
		"numbers":            {format.I32, 100_000, func(int) uint32 { return uint32(r.UintN(150_000)) }, format.I32},
		"zero points":        {format.I32, 100_000, func(int) uint32 { return 0x88888888 }, format.I32},
		"large numbers":      {format.I32, 100_000, func(int) uint32 { return uint32(r.NormFloat64() * 1e8) }, format.I32},
	} {
		content := make([]byte, 0, 4*c.n)
		for i := range c.n {
			content = binary.LittleEndian.AppendUint32(content, c.word(i))
		}
		if got := Elements(c.dtype, content); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
