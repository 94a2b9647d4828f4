package quant

import (
	"weld/format"
	"weld/internal/vec"
)

// This file restores E4M3 codes with their scales in one kernel: most FP8 checkpoints have them, and a decoder has to
// keep up with plain models.

// decodeFused is decode for codes of E4M3: a run of rows whose scales fit the scratch at a time.
func (d *blockDecoder) decodeFused(from codeLender, dst []float32, lo int64) error {
	s := &d.scales
	for len(dst) > 0 {
		slice, row := lo/d.cols/d.rows, lo/d.cols%d.rows
		rows := min((lo%d.cols+int64(len(dst))+d.cols-1)/d.cols, d.rows-row) // of this matrix
		top := row / s.block.rows
		bottom := min((row+rows-1)/s.block.rows+1, top+max(1, int64(len(from.scratch))/s.cols))
		rows = min(rows, bottom*s.block.rows-row)
		scales, err := s.some(from, slice/s.block.slices, top, bottom)
		if err != nil {
			return err
		}
		n := min(rows*d.cols-lo%d.cols, int64(len(dst)))
		err = from.with(d.codes, lo, n, func(codes []byte) error {
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

// heldScales are scales that were loaded together with those that were asked for: the next piece most often has its own
// among them.
type heldScales struct {
	tensor     int
	begin, end int64 // in the tensor
	values     [format.FewBytes / width]float32
}

// some lends rows [top, bottom) of the scales of one matrix of them, until the next call.
func (s *scaleGrid) some(from codeLender, slice, top, bottom int64) ([]float32, error) {
	h, begin, end := from.held, (slice*s.rows+top)*s.cols, (slice*s.rows+bottom)*s.cols
	if h == nil || end-begin > int64(len(h.values)) {
		scales := from.floats(end - begin)
		return scales, s.load(from, slice, top, bottom, scales)
	}
	if h.tensor != s.tensor || begin < h.begin || end > h.end {
		more := min(s.rows, top+int64(len(h.values))/s.cols)
		h.end = h.begin // nothing, if it fails
		if err := s.load(from, slice, top, more, h.values[:]); err != nil {
			return nil, err
		}
		h.tensor, h.begin, h.end = s.tensor, begin, (slice*s.rows+more)*s.cols
	}
	return h.values[begin-h.begin : end-h.begin], nil
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
