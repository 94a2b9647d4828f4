package quant

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"weld/format"
	"weld/internal/vec"
)

// torchao's Int4Tensor has two codes of a row in each byte, the first in the lower half, from −8 to 7. Scales and zeros are [groups, rows], of groups
// of columns, the last of which may be cut, and value = code × scale + zero. Sources: torchao 0.18 (workflows/int4/int4_tensor.py, prototype/gptq/api.py,
// which computes the same as (code + 8) × scale + (zero − 8 × scale)), FBGEMM's int4_row_quantize_zp.

// int4Decoder restores them. Scales lie across the codes: a range of rows is restored in one pass over both.
type int4Decoder struct {
	blockGrid
	codes, scales, zeros int // tensors
	dtype                format.DType
	group, groups        int64
}

// int4 restores code × scale + zero; plain is the type of the scales, which the plain weight has.
func (b *torchaoWeight) int4(shape []int64) (d decoder, plain torchaoName, err error) {
	var block []int64
	n := len(shape)
	if json.Unmarshal(b.terms.Data.Block, &block) != nil || len(block) != n || n > 3 || block[n-1] <= 0 || slices.ContainsFunc(block[:n-1], func(size int64) bool { return size != 1 }) {
		return nil, "", fmt.Errorf("blocks of %s in a weight of shape %v", b.terms.Data.Block, shape)
	}
	if !slices.Equal(b.terms.Data.Shape, shape) {
		return nil, "", fmt.Errorf("shape %v, where the codes are of %v", b.terms.Data.Shape, shape)
	}
	x := &int4Decoder{blockGrid: gridOf(shape), codes: b.codes, group: block[n-1]}
	x.groups = (x.cols + x.group - 1) / x.group
	want := append(slices.Clone(shape[:n-2]), x.groups, x.rows)
	for _, p := range []struct {
		name string
		at   *int
	}{{"scale", &x.scales}, {"zero_point", &x.zeros}} {
		i, t, ok := b.part(p.name)
		switch {
		case !ok:
			return nil, "", errors.New("no " + p.name)
		case !slices.Equal(t.Shape, want) || !isScale(t.DType) || t.DType == format.F8E8M0 || x.dtype != format.Invalid && t.DType != x.dtype:
			return nil, "", fmt.Errorf("%s of %v and shape %v, not %v", p.name, t.DType, t.Shape, want)
		}
		*p.at, x.dtype = i, t.DType
		b.hide(i)
	}
	return x, torchaoName(x.dtype.Torch()), nil
}

// stored implements [decoder].
func (d *int4Decoder) stored(lo, hi int64) (off, n int64) { return lo / 2, (hi+1)/2 - lo/2 }

// widest is how much is looked at at a time.
func (*int4Decoder) widest() int64 { return tileBytes }

// decodeSpan implements [spanned].
func (d *int4Decoder) decodeSpan(from codeLender, values []float32, out []byte, lo int64) error {
	for len(out) > 0 {
		row := lo / d.cols
		rows := min((lo%d.cols+int64(len(out)/width)+d.cols-1)/d.cols, d.rows-row%d.rows, max(1, int64(len(from.scratch))/(2*d.groups)))
		n := min(int64(len(out)/width), rows*d.cols-lo%d.cols)
		both := from.floats(2 * d.groups * rows)
		scales, zeros := both[:d.groups*rows], both[d.groups*rows:]
		if err := errors.Join(d.load(from, d.scales, row, rows, scales), d.load(from, d.zeros, row, rows, zeros)); err != nil {
			return err
		}
		for end := lo + n; lo < end; {
			piece := values[:min(int64(len(values)), end-lo)]
			if err := d.restore(from, piece, lo, row, rows, scales, zeros); err != nil {
				return err
			}
			vec.EncodeF32(out[:len(piece)*width], piece)
			out, lo = out[len(piece)*width:], lo+int64(len(piece))
		}
	}
	return nil
}

// load decodes the scales or zeros of some rows of one matrix, as [groups, rows].
func (d *int4Decoder) load(from codeLender, tensor int, row, rows int64, dst []float32) error {
	size := int64(d.dtype.Bits() / 8)
	begin := row/d.rows*d.groups*d.rows + row%d.rows
	return from.strided(tensor, begin*size, d.rows*size, rows*size, d.groups, func(g int64, data []byte) error {
		format.Decode(d.dtype, dst[g*rows:][:rows], data)
		return nil
	})
}

// restore fills dst with values from element lo on. Scales and zeros are of so many rows from one on.
func (d *int4Decoder) restore(from codeLender, dst []float32, lo, row, rows int64, scales, zeros []float32) error {
	off, n := d.stored(lo, lo+int64(len(dst)))
	return from.with(d.codes, off, n, func(codes []byte) error {
		for len(dst) > 0 {
			col := lo % d.cols
			k := col / d.group
			n := min((k+1)*d.group, d.cols) - col
			of := k*rows + lo/d.cols - row
			restoreInt4(dst[:min(n, int64(len(dst)))], codes[lo/2-off:], lo%2, scales[of], zeros[of])
			dst, lo = dst[min(n, int64(len(dst))):], lo+n
		}
		return nil
	})
}

// restoreInt4 restores codes of one group, of which the first stands in the lower half of a byte, or in the upper one.
func restoreInt4(dst []float32, codes []byte, half int64, scale, zero float32) {
	var values [16]float32
	for code := range values {
		values[code] = float32(float32(int8(code<<4)>>4)*scale) + zero
	}
	if half == 1 {
		dst[0] = values[codes[0]>>4]
		dst, codes = dst[1:], codes[1:]
	}
	n := len(dst) / 2
	for i, pair := range codes[:n] {
		two := dst[2*i : 2*i+2 : 2*i+2]
		two[0], two[1] = values[pair&15], values[pair>>4]
	}
	if len(dst)%2 != 0 {
		dst[2*n] = values[codes[n]&15]
	}
}
