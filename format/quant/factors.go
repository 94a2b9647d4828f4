package quant

import "weld/format"

// Scales and zero points of a stripe are few bytes, and a write takes as long for few: those of a matrix are collected, and whoever encodes its last
// stripe writes them.

// mostCollected is the most bytes of the scales, and of the zero points, of a matrix that are collected: where there are more, a stripe has more of them.
const mostCollected = 1 << 20

// matrixFactors are the scales and zero points of a matrix.
type matrixFactors struct {
	scales, zeros []byte
	left          int64 // values whose scales have not come
}

// factorsAt is where scales and zero points of a matrix are in their tensors, and how many bytes.
func (c *coding) factorsAt(slice int64) (scalesAt, scales, zerosAt, zeros int64) {
	grid := c.scaleGrid()
	scalesAt, scales = slice*grid.rows*c.scaleBytes(), grid.rows*c.scaleBytes()
	if c.zeros != nil {
		zerosAt, zeros = c.zeros.stored(slice*grid.rows, (slice+1)*grid.rows, grid.cols)
	}
	return scalesAt, scales, zerosAt, zeros
}

// collectedBytes is the memory in which scales and zero points of one matrix are collected; 0 where they are not.
func (c *coding) collectedBytes() int64 {
	if c.inBlocks != nil || c.turned != nil || !c.fits() || c.rows <= c.stripeRows() {
		return 0
	}
	_, scales, _, zeros := c.factorsAt(0)
	if max(scales, zeros) > mostCollected {
		return 0
	}
	return scales + zeros
}

// writeFactors passes on scales and zero points of a stripe, or collects them.
func (t *encodedTensor) writeFactors(w format.Writer, slice int64, s *stripe) error {
	scalesAt, zerosAt, scales, zeros := s.scalesAt, s.zerosAt, s.scales, s.zeros
	if t.collectedBytes() > 0 {
		m := t.collectFactors(slice, s)
		if m == nil {
			return nil
		}
		scales, zeros = m.scales, m.zeros
		scalesAt, _, zerosAt, _ = t.factorsAt(slice)
	}
	if len(scales) > 0 {
		if err := w.WriteAt(t.Companions[0], scalesAt, scales); err != nil {
			return err
		}
	}
	if len(zeros) > 0 {
		return w.WriteAt(t.Companions[1], zerosAt, zeros)
	}
	return nil
}

// collectFactors adds those of a stripe, and returns those of the matrix if they are the last.
func (t *encodedTensor) collectFactors(slice int64, s *stripe) *matrixFactors {
	t.mu.Lock()
	defer t.mu.Unlock()
	scalesAt, scales, zerosAt, zeros := t.factorsAt(slice)
	m := t.factors[slice]
	if m == nil {
		m = &matrixFactors{make([]byte, scales), make([]byte, zeros), t.rows * t.cols}
		t.factors[slice] = m
	}
	copy(m.scales[s.scalesAt-scalesAt:], s.scales)
	copy(m.zeros[s.zerosAt-zerosAt:], s.zeros)
	if m.left -= int64(len(s.values)); m.left > 0 {
		return nil
	}
	delete(t.factors, slice)
	return m
}
