package quant

import (
	"weld/format"
	"weld/internal/vec"
)

// This file restores E4M3 codes with their scales in one kernel: most FP8 checkpoints have them, and a decoder has to
// keep up with plain models.

// decodeFused is decode for codes of E4M3: a run of rows whose scales fit the scratch at a time.
func (d *blockDecoder) decodeFused(from lender, dst []float32, lo int64) error {
	s := &d.scales
	for len(dst) > 0 {
		slice, row := lo/d.cols/d.rows, lo/d.cols%d.rows
		rows := min((lo%d.cols+int64(len(dst))+d.cols-1)/d.cols, d.rows-row) // of this matrix
		top := row / s.block.rows
		bottom := min((row+rows-1)/s.block.rows+1, top+max(1, int64(len(from.scratch))/s.cols))
		rows = min(rows, bottom*s.block.rows-row)
		scales := from.floats((bottom - top) * s.cols)
		if err := s.load(from, slice/s.block.slices, top, bottom, scales); err != nil {
			return err
		}
		n := min(rows*d.cols-lo%d.cols, int64(len(dst)))
		err := from.with(d.codes, lo, n, func(codes []byte) error {
			d.restore(dst[:n], codes, lo%d.cols, row-top*s.block.rows, scales)
			return nil
		})
		if err != nil {
			return err
		}
		dst, lo = dst[n:], lo+n
	}
	return nil
}

// restore multiplies codes, which begin at a column of a row, with scales; rows count from the first that these are of.
func (d *blockDecoder) restore(dst []float32, codes []byte, at, row int64, scales []float32) {
	s := &d.scales
	for len(dst) > 0 {
		below := scales[row/s.block.rows*s.cols:][:s.cols]
		for end := at + min(d.cols-at, int64(len(dst))); at < end; {
			block := at / s.block.cols
			n := min((block+1)*s.block.cols, end) - at
			vec.DecodeScaledF8E4M3(dst[:n], codes, below[block])
			dst, codes, at = dst[n:], codes[n:], at+n
		}
		row, at = row+1, 0
	}
}

// quiet implements [quieted].
func (d *blockDecoder) quiet() bool { return d.dtype == format.F8E4M3 }
