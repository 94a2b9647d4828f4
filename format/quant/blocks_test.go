package quant

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"weld/format"
)

// counts are blocks of four values in a byte each, of which none is over 255.
var counts = &format.Blocks{Name: "counts", Elements: 4, Bytes: 4,
	Encode: func(dst []byte, src []float32) bool {
		for i, v := range src {
			if !(v >= 0 && v <= 255) {
				return false
			}
			dst[i] = byte(v)
		}
		return true
	},
}

// kept is a [format.Writer] of one tensor in memory.
type keptBytes struct {
	format.Writer
	data []byte
}

func (k *keptBytes) WriteAt(_ int, off int64, p []byte) error { copy(k.data[off:], p); return nil }

// Values become blocks however they were stored, in parts and from anywhere; what has no block is said by its element.
func TestBlocksEncoding(t *testing.T) {
	e, ok := BlocksEncoding("w", []int64{2, 3, 8}, counts)
	if !ok || e.Codes.Bytes() != 48 || e.Made() != 0 || e.Measures() {
		t.Fatalf("%+v %v", e, ok)
	}
	if b, shape := e.InBlocks(); b != counts || len(shape) != 3 || shape[2] != 8 {
		t.Errorf("%v %v", b, shape)
	}
	values, want := make([]float32, 48), make([]byte, 48)
	for i := range values {
		values[i], want[i] = float32(5*i), byte(5*i)
	}
	store := func(values []float32) ([]byte, error) {
		data := make([]byte, 4*len(values))
		format.Encode(format.F32, data, values)
		to := &keptBytes{data: make([]byte, 48)}
		w := NewWriter(to, []EncodedTarget{{Encoding: e}})
		for _, part := range [][2]int{{100, 192}, {0, 100}} {
			if err := w.WriteAt(0, int64(part[0]), data[part[0]:part[1]]); err != nil {
				return nil, err
			}
		}
		return to.data, nil
	}
	if got, err := store(values); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v: %v, want %v", err, got, want)
	}
	values[21] = 256
	if _, err := store(values); format.KindOf(err) != format.KindNonfinite || !strings.Contains(err.Error(), `encode "w": values up to 256 from element 20 on have no scale in counts`) {
		t.Error(err)
	}
	values[21] = float32(math.Inf(1))
	if _, err := store(values); err == nil || !strings.Contains(err.Error(), "element 21") {
		t.Error(err)
	}
	for _, shape := range [][]int64{{}, {6}, {4, 2}, {1, 8 << 20}} {
		if _, ok := BlocksEncoding("w", shape, counts); ok {
			t.Errorf("%v has whole blocks", shape)
		}
	}
	if _, ok := BlocksEncoding("w", []int64{4}, &format.Blocks{Elements: 4, Bytes: 4}); ok {
		t.Error("blocks that are not written")
	}
}
