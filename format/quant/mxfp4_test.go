package quant

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"weld/format"
)

func TestMXFP4Golden(t *testing.T) {
	holdGolden(t, "mxfp4", "model.layers.0.mlp.experts.gate_up_proj_bias", "model.layers.0.mlp.experts.down_proj_bias")
}

// Experts larger than a piece, in rows and in columns.
func TestMXFP4(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, shape := range [][3]int64{{3, 700, 11}, {2, 70_000, 1}, {1, 3, 2500}} {
		experts, out, groups := shape[0], shape[1], shape[2]
		blocks, scales := random(r, "e_blocks", format.U8, experts, out, groups, 16), random(r, "e_scales", format.F8E8M0, experts, out, groups)
		v, err := Show(saved(t, blocks, scales), Declared{})
		if err != nil {
			t.Fatal(err)
		}
		in := groups * 32
		want := make([]float32, experts*out*in)
		for at := range want {
			e, i, o := int64(at)/(in*out), int64(at)/out%in, int64(at)%out
			k := (e*out+o)*in + i
			want[at] = mxfp4Values[blocks.data[k/2]>>(4*(k%2))&15] * powerOfTwo(scales.data[k/32])
		}
		holdRanges(t, v, 0, encoded(want))
	}
}

// In memory whose elements lie across those of the machine, they are the same.
func TestMXFP4Unaligned(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	const experts, out, groups = 2, 37, 3
	blocks, scales := random(r, "e_blocks", format.U8, experts, out, groups, 16), random(r, "e_scales", format.F8E8M0, experts, out, groups)
	shown, err := Show(saved(t, blocks, scales), Declared{})
	if err != nil {
		t.Fatal(err)
	}
	v := shown.(*Decoded)
	want, from := whole(t, v, 0), codeLender{Checkpoint: v.Checkpoint, scratch: make([]float32, pieceElements)}
	for range 300 {
		lo := r.IntN(len(want) / width)
		n := 1 + r.IntN(len(want)/width-lo)
		got := make([]byte, 1+n*width)[1:]
		if err := v.from[0].decoder.(spanned).decodeSpan(from, make([]float32, pieceElements), got, int64(lo)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want[lo*width:][:n*width]) {
			t.Fatalf("%d elements from %d on are others", n, lo)
		}
	}
}

func TestMXFP4Refused(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, c := range []struct{ blocks, scales []int64 }{
		{[]int64{2, 3, 4, 8}, []int64{2, 3, 4}},
		{[]int64{2, 3, 16}, []int64{2, 3}},
		{[]int64{2, 3, 4, 16}, []int64{2, 3, 5}},
		{[]int64{2, 3, 4, 16}, []int64{2, 3}},
		{[]int64{2, 0, 4, 16}, []int64{2, 0, 4}},
	} {
		refused(t, "", "e_blocks", random(r, "e_blocks", format.U8, c.blocks...), random(r, "e_scales", format.U8, c.scales...))
	}
	refused(t, "", "e_blocks", random(r, "e_blocks", format.U8, 2, 3, 4, 16), random(r, "e_scales", format.F32, 2, 3, 4))
}

// storedMXFP4 stores 32 values: the power of two by which the largest magnitude, rounded to one bit of mantissa, is 4 or 6, and of each
// value the nearest code, of two the one whose mantissa is even.
func storedMXFP4(values []float32) (codes [16]byte, scale byte) {
	largest := 0.0
	for _, x := range values {
		largest = max(largest, math.Abs(float64(x)))
	}
	exponent := math.Ilogb(largest)
	if largest/math.Exp2(float64(exponent)) >= 1.75 {
		exponent++
	}
	if largest == 0 {
		exponent = 2
	}
	for i, x := range values {
		y, best := math.Abs(float64(x))/math.Exp2(float64(exponent-2)), 0
		for code := range 8 {
			off, least := math.Abs(float64(mxfp4Values[code])-y), math.Abs(float64(mxfp4Values[best])-y)
			if off < least || off == least && code%2 == 0 {
				best = code
			}
		}
		if math.Signbit(float64(x)) {
			best |= 8
		}
		codes[i/2] |= byte(best << (4 * (i % 2)))
	}
	return codes, byte(exponent - 2 + 127)
}

// Experts are written back the way they lie: every 32 values of a column have a scale of their own, and keep their bytes if none of them
// is changed. In which pieces values come, and from how many goroutines, changes nothing.
func TestMXFP4Written(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, shape := range [][3]int64{{3, 70, 11}, {2, 5000, 2}, {1, 3, 2500}, {2, 1, 1}} {
		experts, out, groups := shape[0], shape[1], shape[2]
		blocks, scales := random(r, "e_blocks", format.U8, experts, out, groups, 16), random(r, "e_scales", format.U8, experts, out, groups)
		for i := range scales.data {
			scales.data[i] = scales.data[i]%40 + 100
		}
		scales.data[len(scales.data)-1] = 255 // NaN, which stays where it is
		shown, err := Show(saved(t, blocks, scales), Declared{})
		if err != nil {
			t.Fatal(err)
		}
		v := shown.(*Decoded)
		e, ok := v.Encoding(0)
		if !ok || e.Codes.Name != "e_blocks" || len(e.Companions) != 1 || e.Companions[0].Name != "e_scales" || e.Measures() {
			t.Fatalf("%v %+v", ok, e)
		}
		in := groups * 32
		values := make([]float32, experts*in*out)
		format.Decode(format.F32, values, whole(t, v, 0))
		wantCodes, wantScales := bytes.Clone(blocks.data), bytes.Clone(scales.data)
		block := make([]float32, 32)
		for k := range scales.data[:len(scales.data)-1] {
			if k%3 == 1 { // stays
				continue
			}
			expert, column, group := int64(k)/groups/out, int64(k)/groups%out, int64(k)%groups
			for i := range block {
				at := (expert*in+group*32+int64(i))*out + column
				if k%3 == 0 || i == 7 {
					values[at] = float32(r.NormFloat64())
				}
				if k%6 == 0 {
					values[at] = 0
				}
				block[i] = values[at]
			}
			codes, scale := storedMXFP4(block)
			copy(wantCodes[k*16:], codes[:])
			wantScales[k] = scale
		}
		m := newMemory(e.Codes, e.Companions[0])
		q := NewWriter(m, []EncodedTarget{{e, 0, []int{1}}})
		data := encoded(values)
		var group sync.WaitGroup
		for _, at := range r.Perm((len(data) + 39999) / 40000) {
			group.Go(func() {
				lo, hi := at*40000, min((at+1)*40000, len(data))
				if err := q.WriteAt(0, int64(lo), data[lo:hi]); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		for k, want := range [][]byte{wantCodes, wantScales} {
			if m.wrote[k] != int64(len(want)) || !bytes.Equal(m.tensors[k], want) {
				t.Errorf("%v: tensor %d: %d of %d bytes are written, equal: %v", shape, k, m.wrote[k], len(want), bytes.Equal(m.tensors[k], want))
			}
		}
	}
}

// A value that has no code is named by its place among the values, unless its block is kept.
func TestMXFP4WithoutCode(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	shown, err := Show(saved(t, random(r, "e_blocks", format.U8, 2, 3, 2, 16), random(r, "e_scales", format.U8, 2, 3, 2)), Declared{})
	if err != nil {
		t.Fatal(err)
	}
	v := shown.(*Decoded)
	e, _ := v.Encoding(0)
	values := make([]float32, 2*64*3)
	values[64*3+40*3+1] = float32(math.Inf(1))
	m := newMemory(e.Codes, e.Companions[0])
	err = NewWriter(m, []EncodedTarget{{e, 0, []int{1}}}).WriteAt(0, 0, encoded(values))
	if err == nil || !strings.Contains(err.Error(), "element 313 is +Inf") {
		t.Error(err)
	}
}
