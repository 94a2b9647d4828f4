package quant

import (
	"weld/format"
	"weld/internal/vec"
)

// This file restores codes of four and of eight bits together with their zero points and scales in one kernel: a decoder has to keep up
// with plain models.

// fusedCodes are codes that a kernel restores.
type fusedCodes interface {
	codeReader
	// source is the tensor that has the codes.
	source() int
	// restore fills a part of a row, which begins at a column, with values. The bytes begin with the one that the first code begins in. zeros, nil for
	// none, and scales are those of the row, each of so many columns.
	restore(dst []float32, codes []byte, at int64, zeros, scales []float32, group int64)
}

// fused is the codes, if a kernel restores them; else nil.
func (d *affine) fused() fusedCodes {
	if d.scales == nil || d.groups != nil || d.zeros != nil && (d.zeros.block != d.scales.block || d.zeros.cols != d.scales.cols) {
		return nil
	}
	switch c := d.codeReader.(type) {
	case *bitCodes:
		if c.bits == 4 || c.bits == 8 && &c.values[0] == &offsetIntegers[8][0] {
			return c
		}
	case wholeCodes:
		if c.dtype == format.I8 || c.dtype == format.F8E4M3 && d.zeros == nil {
			return c
		}
	}
	return nil
}

// quiet implements [quieted]: kernels write one NaN.
func (d *affine) quiet() bool { return d.fused() != nil }

// decodeFused is decode by a kernel: a run of rows whose zero points and scales fit the scratch at a time.
func (d *affine) decodeFused(c fusedCodes, from codeLender, dst []float32, lo int64) error {
	s := d.scales
	blocks := perBlock{s.blockGrid, s.block, d.blockGrid}
	return blocks.runs(dst, lo, int64(len(from.scratch))/2, func(run blockRun) error {
		n := (run.bottom - run.top) * s.cols
		both := from.floats(2 * n)
		scales, zeros := both[:n], both[n:]
		if err := s.load(from, run.slice, run.top, run.bottom, scales); err != nil {
			return err
		}
		if d.zeros == nil {
			zeros = nil
		} else if err := d.zeros.load(from, run.slice, run.top, run.bottom, zeros); err != nil {
			return err
		}
		off, size := c.stored(run.lo, run.lo+int64(len(run.dst)))
		return from.with(c.source(), off, size, func(codes []byte) error {
			blocks.rows(run, func(row []float32, lo, at, k int64) {
				begin, _ := c.stored(lo, lo+1)
				var of []float32
				if zeros != nil {
					of = zeros[k*s.cols:][:s.cols]
				}
				c.restore(row, codes[begin-off:], at, of, scales[k*s.cols:][:s.cols], s.block.cols)
			})
			return nil
		})
	})
}

// source implements [fusedCodes].
func (c *bitCodes) source() int { return c.tensor }

// restore implements [fusedCodes].
func (c *bitCodes) restore(dst []float32, codes []byte, at int64, zeros, scales []float32, group int64) {
	if c.bits == 8 {
		restoreI8(dst, codes, 0x80, at, zeros, scales, group)
		return
	}
	values := (*[16]float32)(c.values)
	if at%2 != 0 { // the upper half of a byte
		vec.DecodeNibbleGroups(dst[:1], []byte{codes[0] >> 4}, values, behind(zeros, at/group), scales[at/group:], 1)
		dst, codes, at = dst[1:], codes[1:], at+1
	}
	inGroups(int64(len(dst)), at, group, func(lo, n, k int64) {
		if lo%2 == 0 {
			vec.DecodeNibbleGroups(dst[lo:lo+n], codes[lo/2:], values, behind(zeros, k), scales[k:], int(group))
		} else {
			c.restore(dst[lo:lo+n], codes[lo/2:], at+lo, zeros, scales, group)
		}
	})
}

// source implements [fusedCodes].
func (c wholeCodes) source() int { return c.tensor }

// restore implements [fusedCodes].
func (c wholeCodes) restore(dst []float32, codes []byte, at int64, zeros, scales []float32, group int64) {
	if c.dtype == format.F8E4M3 {
		restoreE4M3(dst, codes, at, scales, group)
		return
	}
	restoreI8(dst, codes, 0, at, zeros, scales, group)
}

// restoreI8 restores signed bytes, of which some bits are flipped.
func restoreI8(dst []float32, codes []byte, flip byte, at int64, zeros, scales []float32, group int64) {
	inGroups(int64(len(dst)), at, group, func(lo, n, k int64) {
		vec.DecodeI8Groups(dst[lo:lo+n], codes[lo:], flip, behind(zeros, k), scales[k:], int(group))
	})
}

// inGroups has use look at n columns from one on: what is left of the group that they begin in, and the groups behind it; lo counts from the first
// column, k is the first group.
func inGroups(n, at, group int64, use func(lo, n, k int64)) {
	first := min(n, (group-at%group)%group)
	if first > 0 {
		use(0, first, at/group)
	}
	if n > first {
		use(first, n-first, (at+first)/group)
	}
}

// behind are the zero points from a group on, if there are any.
func behind(zeros []float32, k int64) []float32 {
	if zeros == nil {
		return nil
	}
	return zeros[k:]
}
