package quant

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"

	"weld/format"
	"weld/mmapio"
)

// memory is a [format.Writer] into memory.
type memory struct {
	mu      sync.Mutex
	tensors [][]byte
	wrote   []int64
}

func newMemory(tensors ...format.Tensor) *memory {
	m := &memory{wrote: make([]int64, len(tensors))}
	for _, t := range tensors {
		m.tensors = append(m.tensors, make([]byte, t.Bytes()))
	}
	return m
}

func (m *memory) WriteAt(i int, off int64, p []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wrote[i] += int64(copy(m.tensors[i][off:], p))
	return nil
}

func (m *memory) CopyAt(int, int64, *mmapio.File, int64, int64) error { return nil }
func (m *memory) Abort(error)                                         {}
func (m *memory) Close() error                                        { return nil }

// Each block is stored by its own scale, the largest magnitude over the largest code, and its codes are the nearest there are; blocks
// that are the reference's keep its bytes. In which pieces values come, and from how many goroutines, changes nothing.
func TestWriter(t *testing.T) {
	for name, c := range map[string]struct {
		codes, scales []int64
		dtype, scale  format.DType
		block         [3]int64
	}{
		"blocks":        {[]int64{300, 260}, []int64{3, 3}, format.F8E4M3, format.F32, [3]int64{1, 128, 128}},
		"bfloat16":      {[]int64{260, 130}, []int64{3, 2}, format.F8E4M3, format.BF16, [3]int64{1, 128, 128}},
		"powers of two": {[]int64{256, 384}, []int64{2, 3}, format.F8E4M3, format.F8E8M0, [3]int64{1, 128, 128}},
		"e5m2":          {[]int64{256, 130}, []int64{2, 2}, format.F8E5M2, format.F32, [3]int64{1, 128, 128}},
		"rows":          {[]int64{1000, 33}, []int64{1000, 1}, format.F8E4M3, format.F16, [3]int64{1, 1, 33}},
		"groups":        {[]int64{70, 2048}, []int64{70, 64}, format.F8E4M3, format.F32, [3]int64{1, 1, 32}},
		"whole":         {[]int64{70, 48}, []int64{1}, format.F8E4M3, format.F32, [3]int64{1, 70, 48}},
		"experts":       {[]int64{3, 200, 130}, []int64{3, 2, 2}, format.F8E4M3, format.F32, [3]int64{1, 128, 128}},
		"large whole":   {[]int64{3000, 1500}, []int64{1}, format.F8E4M3, format.F32, [3]int64{1, 3000, 1500}},
		"large experts": {[]int64{3, 1100, 4000}, []int64{3}, format.F8E4M3, format.F32, [3]int64{1, 1100, 4000}},
		"stack":         {[]int64{3, 20, 30}, []int64{1}, format.F8E4M3, format.BF16, [3]int64{3, 20, 30}},
		"columns":       {[]int64{70_000, 70}, []int64{1, 70}, format.F8E4M3, format.F32, [3]int64{1, 70_000, 1}},
		"large blocks":  {[]int64{9_000, 1000}, []int64{2, 2}, format.F8E5M2, format.F32, [3]int64{1, 4500, 500}},
		"kernels":       {[]int64{60, 40, 3, 3}, []int64{60, 1, 1, 1}, format.F8E4M3, format.F32, [3]int64{40, 3, 3}},
		"kernel":        {[]int64{60, 40, 3, 3}, []int64{1}, format.F8E4M3, format.F32, [3]int64{2400, 3, 3}},
		"narrow blocks": {[]int64{3000, 5}, []int64{24, 1}, format.F8E4M3, format.F32, [3]int64{1, 128, 5}},
		"long rows":     {[]int64{3, 70_000}, []int64{3, 1}, format.F8E4M3, format.F32, [3]int64{1, 1, 70_000}},
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(5, 6))
			codes, scales, input := random(r, "a.weight", c.dtype, c.codes...), random(r, "a.weight_scale_inv", c.scale, c.scales...), random(r, "a.input_scale", format.F32)
			for i, code := range codes.data { // finite
				if c.dtype == format.F8E5M2 && code&0x7c == 0x7c || code&0x7f == 0x7f {
					codes.data[i] = 1
				}
			}
			declared := Declared{Config: []byte(`{"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}`)}
			if c.block[2] == 32 || c.block[2] == 500 {
				declared = Declared{}
			}
			shown, err := Show(saved(t, codes, scales, input), declared)
			if err != nil {
				t.Fatal(err)
			}
			v := shown.(*Decoded)
			e, ok := v.Encoding(0)
			if !ok || e.Codes.Name != "a.weight" || len(e.Companions) != 2 || e.Companions[0].Name != "a.weight_scale_inv" || e.Companions[1].Name != "a.input_scale" {
				t.Fatalf("%v %+v", ok, e)
			}
			view, err := v.View(0, 0, v.Tensors()[0].Bytes())
			if err != nil {
				t.Fatal(err)
			}
			defer view.Release()
			reference := make([]float32, codes.Elements())
			format.Decode(format.F32, reference, view.Data)
			values := append([]float32(nil), reference...)
			g := gridOf(c.codes)
			changed := func(at int) bool { // in every other column of blocks, and every other stack of them
				return (int64(at)%g.cols/c.block[2]+int64(at)/g.cols/g.rows/c.block[0])%2 == 0 && int64(at)%7 == 0
			}
			for at := range values {
				if changed(at) {
					values[at] = float32(r.NormFloat64())
				}
			}
			clear(values[:min(2*c.block[2], 20)]) // zeros, in one or two blocks
			wantCodes, wantScales := naive(values, reference, codes, scales, g, c.block)

			m := newMemory(e.Codes, e.Companions[0], e.Companions[1])
			q := NewWriter(m, []EncodedTarget{{e, 0, []int{1, 2}}})
			data := make([]byte, 4*len(values))
			format.Encode(format.F32, data, values)
			given := bytes.Clone(data)
			passes := []func(int, int64, []byte) error{q.writeLent}
			if e.Measures() {
				passes = slices.Insert(passes, 0, q.Measure)
			}
			size := max(20000, len(data)/800*4)
			for _, take := range passes {
				var group sync.WaitGroup
				for _, at := range r.Perm((len(data) + size - 1) / size) {
					group.Go(func() {
						lo, hi := at*size, min((at+1)*size, len(data))
						if err := take(0, int64(lo), data[lo:hi]); err != nil {
							t.Error(err)
						}
					})
				}
				group.Wait()
			}
			if !bytes.Equal(data, given) {
				t.Error("values were changed that belong to others")
			}
			m.copyBeside(t, e)
			for k, want := range [][]byte{wantCodes, wantScales, input.data} {
				if m.wrote[k] != int64(len(want)) || !bytes.Equal(m.tensors[k], want) {
					t.Errorf("tensor %d: %d of %d bytes are written, equal: %v", k, m.wrote[k], len(want), bytes.Equal(m.tensors[k], want))
				}
			}
		})
	}
}

// writeLent writes bytes of values, half of them from the memory that is lent for them.
func (q *Writer) writeLent(i int, off int64, p []byte) error {
	for half := off/width%2 == 0; len(p) > 0; half = !half {
		n := min(len(p), 12*width)
		if !half {
			n = len(p)
		}
		part := p[:n]
		if half {
			if lent := q.Lend(i, off, int64(n)); len(lent) > 0 {
				part = lent[:copy(lent, p)]
			}
		}
		if err := q.WriteAt(i, off, part); err != nil {
			return err
		}
		off, p = off+int64(len(part)), p[len(part):]
	}
	return nil
}

// copyBeside writes what is not made of values.
func (m *memory) copyBeside(t *testing.T, e *Encoding) {
	t.Helper()
	for k := e.Made(); k < len(e.Companions); k++ {
		from, i := e.Source(k)
		if err := m.WriteAt(k+1, 0, whole(t, from, i)); err != nil {
			t.Fatal(err)
		}
	}
}

// naive encodes block by block, and looks for the nearest code among all.
func naive(values, reference []float32, codes, scales stored, g blockGrid, block [3]int64) (c, s []byte) {
	c, s = append([]byte(nil), codes.data...), append([]byte(nil), scales.data...)
	ceil := func(n, by int64) int64 { return (n + by - 1) / by }
	of := func(at int) int64 {
		col, row, slice := int64(at)%g.cols, int64(at)/g.cols%g.rows, int64(at)/g.cols/g.rows
		return (slice/block[0]*ceil(g.rows, block[1])+row/block[1])*ceil(g.cols, block[2]) + col/block[2]
	}
	largest, same := make([]float32, scales.Elements()), make([]bool, scales.Elements())
	for k := range same {
		same[k] = true
	}
	for at, x := range values {
		largest[of(at)] = max(largest[of(at)], float32(math.Abs(float64(x))))
		same[of(at)] = same[of(at)] && x == reference[at]
	}
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	table := make([]float32, 256)
	format.Decode(codes.DType, table, all)
	finite := map[format.DType]int{format.F8E4M3: 0x7f, format.F8E5M2: 0x7c}[codes.DType]
	most := map[format.DType]float32{format.F8E4M3: 448, format.F8E5M2: 57344}[codes.DType]
	size, read := scales.DType.Bits()/8, make([]float32, len(same))
	for at, x := range values {
		k := of(at)
		if same[k] {
			continue
		}
		if read[k] == 0 {
			scale := largest[k] / most
			if largest[k] == 0 {
				scale = 1
			}
			copy(s[int(k)*size:], scaleUp(scales.DType, scale))
			decodeScales(scales.DType, read[k:k+1], s[int(k)*size:][:size])
		}
		y := x / read[k]
		magnitude := float32(math.Abs(float64(y)))
		up := sort.Search(finite, func(code int) bool { return table[code] >= magnitude }) // codes count up with their values
		best := min(up, finite-1)
		if up > 0 && up < finite {
			over, under := float64(table[up])-float64(magnitude), float64(magnitude)-float64(table[up-1])
			if under < over || under == over && up%2 == 1 {
				best = up - 1
			}
		}
		if math.Signbit(float64(y)) {
			best |= 0x80
		}
		c[at] = byte(best)
	}
	return c, s
}

// scaleUp is the smallest scale of a type that is at least x, among all that there are; of float32, x.
func scaleUp(d format.DType, x float32) []byte {
	switch d {
	case format.F32:
		data := make([]byte, 4)
		format.Encode(d, data, []float32{x})
		return data
	case format.F8E8M0:
		for code := range 255 {
			if powerOfTwo(byte(code)) >= x {
				return []byte{byte(code)}
			}
		}
	}
	for code := range 0x7c00 { // of what is positive and finite in float16; bfloat16 has more
		data, read := []byte{byte(code), byte(code >> 8)}, make([]float32, 1)
		if format.Decode(d, read, data); read[0] >= x {
			return data
		}
	}
	return nil
}

// What takes too much memory is no encoding: scales of large ranges that are many, rows that are longer than a stripe.
func TestEncodingOfTooMuch(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for name, shapes := range map[string][2][]int64{"many columns": {{66, 70_000}, {1, 70_000}}, "long rows": {{1, 5_000_000}, {1, 1}}} {
		v, err := Show(saved(t, random(r, "a.weight", format.F8E4M3, shapes[0]...), random(r, "a.weight_scale", format.F32, shapes[1]...)), Declared{})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := v.(*Decoded).Encoding(0); ok {
			t.Errorf("%s: an encoding", name)
		}
	}
}

// Values that were not all seen before are not stored by a scale of all.
func TestWriterDemandsMeasures(t *testing.T) {
	c, _ := golden(t, "compressed-narrow")
	v := c.(*Decoded)
	i, _ := v.Find("layers.nv.weight")
	e, _ := v.Encoding(i)
	values := whole(t, v, i)
	for name, seen := range map[string]int{"nothing": 0, "all but one": len(values) - width} {
		m := newMemory(append([]format.Tensor{e.Codes}, e.Companions...)...)
		q := NewWriter(m, []EncodedTarget{{e, 0, []int{1, 2}}})
		if !q.Measures(0) {
			t.Fatal("nothing is measured")
		}
		if err := q.Measure(0, 0, values[:seen]); err != nil {
			t.Fatal(err)
		}
		if err := q.WriteAt(0, 0, values); err == nil || !strings.Contains(err.Error(), "were seen before") || m.wrote[0] != 0 {
			t.Errorf("%s was seen: %v", name, err)
		}
	}
}

// reread decodes what was written of a weight, by the configuration of its checkpoint.
func reread(t *testing.T, v *Decoded, e *Encoding, m *memory) []float32 {
	t.Helper()
	var written []stored
	for k, x := range append([]format.Tensor{e.Codes}, e.Companions...) {
		written = append(written, stored{x, m.tensors[k]})
	}
	c, err := Show(saved(t, written...), Declared{Config: []byte(format.Metadata(v.Checkpoint)["config"])})
	if err != nil {
		t.Fatal(err)
	}
	values := make([]float32, c.Tensors()[0].Elements())
	format.Decode(format.F32, values, whole(t, c, 0))
	return values
}

// The scale of scales stays while it serves, and with it the bytes of blocks that are not changed; else all is made anew.
func TestScalesOfScales(t *testing.T) {
	for _, c := range []struct {
		golden, weight, global string
		companion              int
	}{{"compressed-narrow", "layers.nv.weight", "layers.nv.weight_global_scale", 1}, {"modelopt", "layers.a.weight", "layers.a.weight_scale_2", 1}} {
		shown, _ := golden(t, c.golden)
		v := shown.(*Decoded)
		i, _ := v.Find(c.weight)
		e, ok := v.Encoding(i)
		if !ok || e.Companions[c.companion].Name != c.global {
			t.Fatalf("%+v", e)
		}
		codes, _ := v.Checkpoint.Find(e.Codes.Name)
		before := [][]byte{whole(t, v.Checkpoint, codes)}
		for _, x := range e.Companions {
			j, _ := v.Checkpoint.Find(x.Name)
			before = append(before, whole(t, v.Checkpoint, j))
		}
		for factor, kept := range map[float32]bool{0.01: false, 0.5: true, 0.99: true, 1.01: false} { // of all values but those of the last row
			values := make([]float32, v.Tensors()[i].Elements())
			format.Decode(format.F32, values, whole(t, v, i))
			last := len(values) - int(e.cols)
			for k := range values[:last] {
				values[k] *= factor
			}
			for k := range values[last:] { // of magnitudes that decide nothing
				values[last+k] *= 0.001
			}
			m := rewritten(t, v, i, e, encoded(values))
			if same := bytes.Equal(m.tensors[1+c.companion], before[1+c.companion]); same != kept {
				t.Errorf("%s × %v: the scale of scales is kept: %v", c.weight, factor, same)
			}
		}
		// Where one value outgrows the others, blocks that are not changed are stored by the new scale of scales as well.
		grown := make([]float32, v.Tensors()[i].Elements())
		format.Decode(format.F32, grown, whole(t, v, i))
		most := 0
		for k, x := range grown {
			if math.Abs(float64(x)) > math.Abs(float64(grown[most])) {
				most = k
			}
		}
		grown[most] *= 3
		again := reread(t, v, e, rewritten(t, v, i, e, encoded(grown)))
		for lo := 0; lo < len(grown); lo += 16 {
			largest := 0.0
			for _, x := range grown[lo : lo+16] {
				largest = max(largest, math.Abs(float64(x)))
			}
			for k, x := range grown[lo : lo+16] {
				if off := math.Abs(float64(again[lo+k]) - float64(x)); off > largest/6*1.07 {
					t.Errorf("%s: element %d is %v, stored as %v", c.weight, lo+k, x, again[lo+k])
				}
			}
		}
		// Of a block that is not changed, codes and scale stay.
		values := make([]float32, v.Tensors()[i].Elements())
		format.Decode(format.F32, values, whole(t, v, i))
		at := 16 + slices.IndexFunc(values[16:32], func(x float32) bool { return x != 0 })
		values[at] = -values[at]
		m := rewritten(t, v, i, e, encoded(values))
		if m.tensors[0][at/2] == before[0][at/2] {
			t.Errorf("%s: the value that is changed has its code", c.weight)
		}
		copy(m.tensors[0][8:16], before[0][8:16])
		for k := range before {
			if !bytes.Equal(m.tensors[k], before[k]) {
				t.Errorf("%s: tensor %d is not as it was beside the block that is changed", c.weight, k)
			}
		}
	}
}

// encodedFloat8 stores values of one row as a weight of FP8 whose scales have a type, and returns codes and scale.
func encodedFloat8(t *testing.T, codes, scale stored, values []float32) (c, s []byte, err error) {
	t.Helper()
	v, err := Show(saved(t, codes, scale), Declared{})
	if err != nil {
		t.Fatal(err)
	}
	e, ok := v.(*Decoded).Encoding(0)
	if !ok {
		t.Fatal("no encoding")
	}
	m := newMemory(e.Codes, e.Companions[0])
	data := make([]byte, 4*len(values))
	format.Encode(format.F32, data, values)
	err = NewWriter(m, []EncodedTarget{{e, 0, []int{1}}}).WriteAt(0, 0, data)
	return m.tensors[0], m.tensors[1], err
}

// A merge that adds nothing makes of −0 a 0. The block has the same values then, and keeps its bytes, whatever its scale.
func TestZerosOfEitherSignAreTheSame(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	codes, scale := random(r, "a.weight", format.F8E4M3, 1, 4), random(r, "a.weight_scale", format.F32, 1)
	copy(codes.data, []byte{0x80, 0x11, 0x92, 0x77})
	format.Encode(format.F32, scale.data, []float32{0.3})
	values := make([]float32, 4)
	format.Decode(format.F8E4M3, values, codes.data)
	for i := range values {
		values[i] = values[i]*0.3 + 0
	}
	c, s, err := encodedFloat8(t, codes, scale, values)
	if err != nil || !bytes.Equal(c, codes.data) || !bytes.Equal(s, scale.data) {
		t.Errorf("%x %x, want %x %x (%v)", c, s, codes.data, scale.data, err)
	}
}

// Values whose scale is subnormal, and so has few bits, have codes nevertheless: none is rounded over the largest.
func TestTinyValuesHaveCodes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, d := range []format.DType{format.F32, format.BF16, format.F16, format.F8E8M0} {
		for _, dtype := range []format.DType{format.F8E4M3, format.F8E5M2} {
			codes, scale := random(r, "a.weight", dtype, 1, 2), random(r, "a.weight_scale", d, 1)
			for largest := float32(0x1p-149); largest < 1e-30; largest *= 1.2 + 0x1p-20 {
				largest = math.Nextafter32(largest, 1)
				c, s, err := encodedFloat8(t, codes, scale, []float32{largest, -largest})
				if err != nil {
					t.Fatal(err)
				}
				var read [1]float32
				got := make([]float32, 2)
				decodeScales(d, read[:], s)
				format.Decode(dtype, got, c)
				for i, x := range got {
					want := largest * float32(1-2*i)
					if off := math.Abs(float64(x)*float64(read[0]) - float64(want)); !(off <= float64(largest)/8 || off <= float64(read[0])*0x1p-10) {
						t.Errorf("%v with %v: %v is stored as %v × %v", dtype, d, want, x, read[0])
					}
				}
			}
		}
	}
}

// Values beyond what the largest scale reaches stop the merge.
func TestHugeValuesHaveNoScale(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	codes, scale := random(r, "a.weight", format.F8E4M3, 1, 2), random(r, "a.weight_scale", format.F16, 1)
	if _, _, err := encodedFloat8(t, codes, scale, []float32{1, 3e7}); err == nil || !strings.Contains(err.Error(), "no scale of F16") {
		t.Error(err)
	}
}

// A NaN that a merge passes on has other bits than the codes' own. The block has the same values then, and keeps its bytes.
func TestNaNsAreTheSame(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	codes, scale := random(r, "a.weight", format.F8E5M2, 1, 4), random(r, "a.weight_scale", format.F32, 1)
	copy(codes.data, []byte{0x11, 0xff, 0x7d, 0x37})
	format.Encode(format.F32, scale.data, []float32{0.3})
	values := make([]float32, 4)
	format.Decode(format.F8E5M2, values, codes.data)
	for i := range values {
		if values[i] *= 0.3; values[i] != values[i] {
			values[i] = math.Float32frombits(0x7fc00000)
		}
	}
	c, s, err := encodedFloat8(t, codes, scale, values)
	if err != nil || !bytes.Equal(c, codes.data) || !bytes.Equal(s, scale.data) {
		t.Errorf("%x %x, want %x %x (%v)", c, s, codes.data, scale.data, err)
	}
}

// TestOrderedValuesStayTheirs writes a whole stripe at once of a tensor whose columns have an order: they are sorted to be encoded, and not in
// the memory of whoever gives them.
func TestOrderedValuesStayTheirs(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 1))
	const rows, cols, size = 4, 64, 16
	index := random(r, "a.weight_g_idx", format.I32, cols)
	for c := range cols {
		put32(index.data[4*c:], uint32((c*5)%(cols/size)))
	}
	shape := stored{Tensor: format.Tensor{Name: "a.weight_shape", DType: format.I64, Shape: []int64{2}}, data: make([]byte, 16)}
	put32(shape.data, rows)
	put32(shape.data[8:], cols)
	shown, err := Show(saved(t, random(r, "a.weight_packed", format.I32, rows, cols/8), random(r, "a.weight_scale", format.F32, rows, cols/size), shape, index),
		declare(`{"num_bits": 4, "group_size": 16, "symmetric": true}`, "pack-quantized"))
	if err != nil {
		t.Fatal(err)
	}
	e, ok := shown.(*Decoded).Encoding(0)
	if !ok {
		t.Fatal("not written")
	}
	companions := make([]int, len(e.Companions))
	for k := range companions {
		companions[k] = k + 1
	}
	values := make([]float64, rows*cols)
	for i := range values {
		values[i] = r.NormFloat64()
	}
	data := make([]byte, 4*len(values))
	format.Encode(format.F32, data, values)
	given := bytes.Clone(data)
	q := NewWriter(newMemory(append([]format.Tensor{e.Codes}, e.Companions...)...), []EncodedTarget{{e, 0, companions}})
	if err := q.WriteAt(0, 0, data); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, given) {
		t.Error("values were sorted that belong to others")
	}
}
