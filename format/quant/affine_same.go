package quant

import (
	"slices"

	"weld/internal/vec"
)

// This file finds the blocks of a stripe whose values are those of a reference, by its codes: nearly always the first value of a block says that they are not, and the others
// need not be restored.

// comparable are decoders that compare blocks without restoring all of their values.
type comparable interface {
	// sameBlocks says of each block of a row whether its values are those of the elements from lo on, where rows are whole; see [sameValues]. known is
	// false where it cannot tell.
	sameBlocks(from codeLender, same []bool, values []float32, lo int64) (known bool, err error)
}

// mostCompared is how many values a block has at most that is compared so.
const mostCompared = 128

// sameBlocks implements [comparable] for codes of four bits without zero points, in whole blocks of a row.
func (d *affine) sameBlocks(from codeLender, same []bool, values []float32, lo int64) (known bool, err error) {
	c, ok := d.fused().(*bitCodes)
	if !ok || c.bits != 4 || d.zeros != nil {
		return false, nil
	}
	s, group := d.scales, d.scales.block.cols
	if group > mostCompared || group%2 != 0 || d.cols%group != 0 {
		return false, nil
	}
	blocks := perBlock{s.blockGrid, s.block, d.blockGrid}
	return true, blocks.runs(values, lo, int64(len(from.scratch)), func(run blockRun) error {
		scales := from.floats((run.bottom - run.top) * s.cols)
		if err := s.load(from, run.slice, run.top, run.bottom, scales); err != nil {
			return err
		}
		off, size := c.stored(run.lo, run.lo+int64(len(run.dst)))
		return from.with(c.source(), off, size, func(codes []byte) error {
			blocks.rows(run, func(row []float32, at, _, k int64) {
				begin, _ := c.stored(at, at+1)
				c.sameGroups(same[(at-lo)/group:], row, codes[begin-off:], scales[k*s.cols:], int(group))
			})
			return nil
		})
	})
}

// sameGroups says of each group of a row whether its values are those of its codes of four bits and its scale.
func (c *bitCodes) sameGroups(same []bool, row []float32, codes []byte, scales []float32, group int) {
	values := (*[16]float32)(c.values)
	var old [mostCompared]float32
	for k := range len(row) / group {
		own, of := row[k*group:][:group], codes[k*group/2:][:group/2]
		if same[k] = sameValue(own[0], values[of[0]&15]*scales[k]); same[k] {
			vec.DecodeNibbleGroups(old[:group], of, values, nil, scales[k:k+1], group)
			same[k] = sameValues(own, old[:group])
		}
	}
}

// sameBlocks finds the blocks of a stripe whose values are the reference's, without restoring all of these; nil where it cannot, or there is nothing to keep.
func (r *lentReference) sameBlocks(c *coding, s *stripe, first int64, m *measured) ([]bool, error) {
	if r == nil || c.block.rows > 1 || !c.fits() || c.level != nil && !m.keeps {
		return nil, nil
	}
	d, ok := r.weight.decoder.(comparable)
	if !ok {
		return nil, nil
	}
	n := len(s.values) / int(c.cols) * int(c.scaleGrid().cols)
	s.same = slices.Grow(s.same[:0], n)[:n]
	if known, err := d.sameBlocks(r.from, s.same, s.values, first); !known || err != nil {
		return nil, err
	}
	return s.same, nil
}
