package quant

import (
	"math"
	"slices"
	"strings"

	"weld/format"
	"weld/internal/vec"
)

// MXFP4 of gpt-oss: X_blocks [experts, out, groups, 16] has two codes of E2M1 in a byte, the lower half first; X_scales [experts, out,
// groups] is the exponent of 32 values in a row. The plain model has X as [experts, in, out], the transpose. value = code × 2^(scale −
// 127). Source: transformers 5.23, integrations/mxfp4.py (convert_moe_packed_tensors).

// mxfp4Group is how many values have one scale.
const mxfp4Group = 32

// mxfp4Values are the values of codes (OCP Microscaling Formats 1.0, E2M1).
var mxfp4Values = [16]float32{0, 0.5, 1, 1.5, 2, 3, 4, 6, float32(math.Copysign(0, -1)), -0.5, -1, -1.5, -2, -3, -4, -6}

// findMXFP4 finds experts of gpt-oss.
func findMXFP4(s *search) error {
	for i, t := range s.Tensors() {
		head, ok := strings.CutSuffix(t.Name, "_blocks")
		if !ok || s.taken[i] || t.DType != format.U8 {
			continue
		}
		j, scales, ok := s.tensor(head + "_scales")
		if !ok {
			continue
		}
		switch {
		case scales.DType != format.U8 && scales.DType != format.F8E8M0:
			return s.refuse(i, "MXFP4 with scales of %v", scales.DType)
		case len(t.Shape) != 4 || t.Shape[3] != mxfp4Group/2 || t.Elements() < 1:
			return s.refuse(i, "MXFP4 of shape %v, which is not [experts, out, groups, %d]", t.Shape, mxfp4Group/2)
		case !slices.Equal(t.Shape[:3], scales.Shape):
			return s.refuse(i, "MXFP4 of shape %v with scales of shape %v", t.Shape, scales.Shape)
		}
		experts, out, groups := t.Shape[0], t.Shape[1], t.Shape[2]
		g := blockGrid{experts, groups * mxfp4Group, out}
		s.add(weight{
			scheme: "mxfp4", name: head, shape: []int64{g.slices, g.rows, g.cols}, plain: format.BF16, codes: i, hides: []int{j},
			decoder: &turned{blockGrid: g, codes: i, step: 1, stride: groups * mxfp4Group / 2, lines: &mxfp4Lines{scales: j, groups: groups, out: out}},
		})
	}
	return nil
}

// mxfp4Lines are rows of stored matrices.
type mxfp4Lines struct {
	scales      int // the tensor
	groups, out int64
}

// across implements [lines]: whole groups.
func (*mxfp4Lines) across(top, bottom int64) (begin, end int64) {
	const size = mxfp4Group / 2
	return top / mxfp4Group * size, (bottom + mxfp4Group - 1) / mxfp4Group * size
}

// most implements [lines].
func (*mxfp4Lines) most() int64 { return pieceElements }

// prepare implements [lines].
func (*mxfp4Lines) prepare(codeLender, codeTile) error { return nil }

// restore implements [lines].
func (l *mxfp4Lines) restore(from codeLender, dst []float32, codes []byte, at codeTile) error {
	first := (at.slice*l.out + at.left) * l.groups
	return from.with(l.scales, first+at.top/mxfp4Group, (at.columns()-1)*l.groups+(at.bottom-1)/mxfp4Group+1-at.top/mxfp4Group, func(scales []byte) error {
		for c := range at.columns() {
			mxfp4Line(dst[c*at.rows():][:at.rows()], codes[c*l.groups*mxfp4Group/2+at.top%mxfp4Group/2:], scales[c*l.groups:], at.top)
		}
		return nil
	})
}

// together implements [placing].
func (*mxfp4Lines) together() int64 { return mxfp4Group }

// place implements [placing]. A group is restored where it belongs if all of its rows do; else in the room, and what belongs is copied.
func (l *mxfp4Lines) place(from codeLender, out, room []float32, codes []byte, at codeTile, cols, skip int64) error {
	n, first := at.columns(), at.top/mxfp4Group
	groups := (at.bottom-1)/mxfp4Group + 1 - first
	return from.with(l.scales, (at.slice*l.out+at.left)*l.groups+first, (n-1)*l.groups+groups, func(scales []byte) error {
		powers := from.floats(n)
		for g := range groups {
			for c := range powers {
				powers[c] = powersOfTwo[scales[int64(c)*l.groups+g]]
			}
			dst, step, top := room, n, (first+g)*mxfp4Group-at.top
			begin := top*cols + at.left - skip
			whole := begin >= 0 && begin+(mxfp4Group-1)*cols+n <= int64(len(out))
			if whole {
				dst, step = out[begin:], cols
			}
			vec.DecodeNibbleColumns(dst, int(step), codes[g*mxfp4Group/2:], int(l.groups*mxfp4Group/2), &mxfp4Values, powers)
			for row := int64(0); row < mxfp4Group && !whole; row++ {
				at := begin + row*cols
				if left, right := max(0, -at), min(n, int64(len(out))-at); left < right {
					copy(out[at+left:], room[row*n:][left:right])
				}
			}
		}
		return nil
	})
}

// mxfp4Line restores values from element top of a row on. Codes and scales begin with those of that element.
func mxfp4Line(dst []float32, codes, scales []byte, top int64) {
	skip := top % 2
	for k := 0; len(dst) > 0; k++ {
		if whole := len(dst) / mxfp4Group; whole > 0 && top%mxfp4Group == 0 {
			mxfp4Groups(dst[:whole*mxfp4Group], codes, scales[k:])
			dst, codes, k = dst[whole*mxfp4Group:], codes[whole*mxfp4Group/2:], k+whole
			if len(dst) == 0 {
				return
			}
		}
		n := min(int64(len(dst)), mxfp4Group-top%mxfp4Group)
		factor := powersOfTwo[scales[k]]
		i := skip
		if skip == 1 {
			dst[0] = mxfp4Values[codes[0]>>4] * factor
		}
		for _, pair := range codes[skip:][:(n-skip)/2] {
			dst[i], dst[i+1] = mxfp4Values[pair&15]*factor, mxfp4Values[pair>>4]*factor
			i += 2
		}
		if i < n {
			dst[i] = mxfp4Values[codes[(skip+i)/2]&15] * factor
		}
		dst, codes, skip, top = dst[n:], codes[(skip+n)/2:], (skip+n)%2, top+n
	}
}

// mxfp4Groups restores whole groups.
func mxfp4Groups(dst []float32, codes, scales []byte) {
	var factors [16]float32
	for len(dst) > 0 {
		n := min(len(factors), len(dst)/mxfp4Group)
		decodeScales(format.F8E8M0, factors[:n], scales[:n])
		vec.DecodeNibbleGroups(dst[:n*mxfp4Group], codes, &mxfp4Values, nil, factors[:n], mxfp4Group)
		dst, codes, scales = dst[n*mxfp4Group:], codes[n*mxfp4Group/2:], scales[n:]
	}
}
