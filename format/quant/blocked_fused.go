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
	blocks := perBlock{s.blockGrid, s.block, d.blockGrid}
	return blocks.runs(dst, lo, int64(len(from.scratch)), func(run blockRun) error {
		scales, err := s.some(from, run.slice, run.top, run.bottom)
		if err != nil {
			return err
		}
		return from.with(d.codes, run.lo, int64(len(run.dst)), func(codes []byte) error {
			blocks.rows(run, func(row []float32, lo, at, k int64) {
				restoreE4M3(row, codes[lo-run.lo:], at, scales[k*s.cols:][:s.cols], s.block.cols)
			})
			return nil
		})
	})
}

// sameBlocks implements [comparable].
func (d *blockDecoder) sameBlocks(from codeLender, same []bool, values []float32, lo int64) (known bool, err error) {
	if d.dtype != format.F8E4M3 {
		return false, nil
	}
	s := &d.scales
	blocks := perBlock{s.blockGrid, s.block, d.blockGrid}
	return true, blocks.runs(values, lo, int64(len(from.scratch)), func(run blockRun) error {
		scales, err := s.some(from, run.slice, run.top, run.bottom)
		if err != nil {
			return err
		}
		return from.with(d.codes, run.lo, int64(len(run.dst)), func(codes []byte) error {
			blocks.rows(run, func(row []float32, at, _, k int64) {
				first, of := (at-lo)/d.cols*s.cols, scales[k*s.cols:][:s.cols]
				for block := range s.cols {
					left, right := block*s.block.cols, min((block+1)*s.block.cols, d.cols)
					same[first+block] = sameE4M3(row[left:right], codes[at-run.lo+left:], of[block])
				}
			})
			return nil
		})
	})
}

// sameE4M3 reports whether values are those of so many codes and a scale; see [sameValues].
func sameE4M3(values []float32, codes []byte, scale float32) bool {
	var old [mostCompared]float32
	for len(values) > 0 {
		n := min(len(values), len(old))
		vec.DecodeF8E4M3Groups(old[:n], codes[:n], []float32{scale}, len(old))
		if !sameValues(values[:n], old[:n]) {
			return false
		}
		values, codes = values[n:], codes[n:]
	}
	return true
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

// restoreE4M3 multiplies codes of a row, which begin at a column, with scales, each of so many columns.
func restoreE4M3(dst []float32, codes []byte, at int64, scales []float32, block int64) {
	inGroups(int64(len(dst)), at, block, func(lo, n, k int64) {
		vec.DecodeF8E4M3Groups(dst[lo:lo+n], codes[lo:], scales[k:], int(block))
	})
}

// quiet implements [quieted].
func (d *blockDecoder) quiet() bool { return d.dtype == format.F8E4M3 }
