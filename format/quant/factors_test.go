package quant

import (
	"sync"
	"testing"

	"weld/format"
)

// counted counts the writes of each tensor, and notes whether the last codes came before all scales.
type counted struct {
	*memory
	mu     sync.Mutex
	writes []int
	early  bool
}

func (c *counted) WriteAt(i int, off int64, p []byte) error {
	if err := c.memory.WriteAt(i, off, p); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes[i]++
	full := func(i int) bool { return c.wrote[i] == int64(len(c.tensors[i])) }
	c.early = c.early || full(0) && !full(1)
	return nil
}

// Scales of a matrix are written at once, by whoever encodes its last stripe, before the last codes; those of many are not collected.
func TestScalesAreWrittenTogether(t *testing.T) {
	for _, c := range []struct {
		name                     string
		slices, rows, cols, wide int64 // wide: values of one scale
		want                     int   // writes of scales; 0 for as many as of codes
	}{
		{"rows", 1, 300, 2048, 2048, 1},
		{"experts", 3, 300, 2048, 2048, 3},
		{"more than is collected", 1, 3000, 3072, 32, 0},
		{"one stripe", 1, 4, 64, 64, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			shape := []int64{c.slices, c.rows, c.cols}
			e := &Encoding{
				Codes:      format.Tensor{Name: "a.weight", DType: format.F8E4M3, Shape: shape},
				Companions: []format.Tensor{{Name: "a.weight_scale", DType: format.F32, Shape: []int64{c.slices, c.rows, c.cols / c.wide}}},
				coding:     coding{blockGrid: blockGrid{c.slices, c.rows, c.cols}, block: blockGrid{1, 1, c.wide}, scaleType: format.F32, codes: floatWriter{format.F8E4M3, 448}},
			}
			m := &counted{memory: newMemory(e.Codes, e.Companions[0]), writes: make([]int, 2)}
			q := NewWriter(m, []EncodedTarget{{e, 0, []int{1}}})
			values := make([]float32, e.Codes.Elements())
			for i := range values {
				values[i] = float32(i%1013 + 1)
			}
			data := make([]byte, len(values)*width)
			format.Encode(format.F32, data, values)
			const piece = 40_000 * width
			for off := len(data) / piece * piece; off >= 0; off -= piece { // from behind
				if err := q.WriteAt(0, int64(off), data[off:min(off+piece, len(data))]); err != nil {
					t.Fatal(err)
				}
			}
			want := c.want
			if want == 0 {
				want = m.writes[0]
			}
			if m.writes[1] != want || m.writes[0] < want {
				t.Errorf("%d writes of scales and %d of codes, want %d of scales", m.writes[1], m.writes[0], want)
			}
			if m.early {
				t.Error("the last codes came before the last scales")
			}
			if m.wrote[1] != int64(len(m.tensors[1])) {
				t.Errorf("%d of %d bytes of scales were written", m.wrote[1], len(m.tensors[1]))
			}
			got := make([]float32, e.Companions[0].Elements())
			format.Decode(format.F32, got, m.tensors[1])
			for k, scale := range got {
				largest := float32(0)
				for _, v := range values[int64(k)*c.wide:][:c.wide] {
					largest = max(largest, v)
				}
				if scale != largest/448 {
					t.Fatalf("scale %d is %g, want %g", k, scale, largest/448)
				}
			}
		})
	}
}
