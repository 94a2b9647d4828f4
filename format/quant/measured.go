package quant

import (
	"fmt"
	"sync"
)

// A scale may be of more values than a stripe has: of a whole tensor, of a matrix of it, of columns. It has to be known before the first
// code is written, so that all values are seen before that. measured holds what they say of each scale.
type measured struct {
	*coding
	ranges blockGrid // how many there are
	of     blockGrid // elements of one

	mu      sync.Mutex
	seen    int64 // elements
	values  []extremes
	changed []bool // ranges with a value that is not the reference's

	scales, zeros []byte    // whole tensors; none where scales have a scale, which is global
	factors       []factors // of the ranges, likewise
	global        float32
	keeps         bool // the global scale is the reference's
}

// mostRanges is how many ranges are measured at most: what is known of them lies in memory.
const mostRanges = 1 << 16

// rangeBytes bounds what is held of a range.
const rangeBytes = 32

// measures reports whether all values have to be seen before one is encoded.
func (c *coding) measures() bool { return c.level != nil || !c.fits() }

// rangeGrid are the ranges that are measured, and what one is of: all values that a scale is of, or a scale of scales.
func (c *coding) rangeGrid() (ranges, of blockGrid) {
	if c.level != nil {
		return blockGrid{1, 1, 1}, c.blockGrid
	}
	return c.scaleGrid(), c.block
}

// newMeasured is of a tensor of which nothing was seen yet.
func newMeasured(c *coding) *measured {
	m := &measured{coding: c}
	m.ranges, m.of = c.rangeGrid()
	n := m.ranges.slices * m.ranges.rows * m.ranges.cols
	m.values, m.changed = make([]extremes, n), make([]bool, n)
	return m
}

// rangeOf is the first range of a row of a matrix.
func (m *measured) rangeOf(slice, row int64) int64 {
	return (slice/m.of.slices*m.ranges.rows + row/m.of.rows) * m.ranges.cols
}

// add takes values into account, at most a piece, of elements from lo on. room is for as many of the reference.
func (m *measured) add(lo int64, values []float32, reference *lentReference, room []float32) error {
	found, changed := make([]extremes, m.ranges.cols), make([]bool, m.ranges.cols)
	for len(values) > 0 {
		row, at := lo/m.cols, lo%m.cols
		n := min(m.cols-at, int64(len(values)))
		first := m.rangeOf(row/m.rows, row%m.rows)
		left, right := at/m.of.cols, (at+n-1)/m.of.cols+1
		compared := reference != nil && m.unchanged(changed[left:right], first+left)
		if compared {
			if err := reference.decode(room[:n], lo); err != nil {
				return err
			}
		}
		for k := left; k < right; k++ {
			begin, end := max(k*m.of.cols, at)-at, min((k+1)*m.of.cols, at+n)-at
			found[k] = m.extremesOf(values[begin:end])
			changed[k] = !compared || changed[k] || !sameValues(values[begin:end], room[begin:end])
		}
		m.note(n, first+left, found[left:right], changed[left:right])
		values, lo = values[n:], lo+n
	}
	return nil
}

// unchanged fills in which ranges from one on have changed, and reports whether one of them has not.
func (m *measured) unchanged(changed []bool, first int64) (any bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k := range changed {
		changed[k] = m.changed[first+int64(k)]
		any = any || !changed[k]
	}
	return any
}

// note adds what was found in so many elements, of ranges from one on.
func (m *measured) note(elements, first int64, found []extremes, changed []bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen += elements
	for k, x := range found {
		i := first + int64(k)
		m.values[i] = m.values[i].and(x)
		m.changed[i] = m.changed[i] || changed[k]
	}
}

// settle finds out what the ranges say, now that all values were seen.
func (m *measured) settle(reference *lentReference) error {
	if n := m.slices * m.rows * m.cols; m.seen != n {
		return fmt.Errorf("%d of %d values were seen before the first is written", m.seen, n)
	}
	if m.level != nil {
		return m.settleGlobal(reference)
	}
	return m.settleScales(reference)
}

// settleGlobal chooses the scale of scales. The reference's stays if it still serves: layers that are computed together share one, and
// blocks without a changed value keep their bytes.
func (m *measured) settleGlobal(reference *lentReference) error {
	m.global = m.level.global(m.values[0].largest())
	if reference == nil {
		return nil
	}
	old, err := reference.globalScale()
	if err == nil && (!m.changed[0] || m.level.serves(old, m.global)) {
		m.global, m.keeps = old, true
	}
	return err
}

// settleScales stores the scales, and the zero points, of all ranges. Those of a range that did not change are the reference's.
func (m *measured) settleScales(reference *lentReference) error {
	size := int64(m.scaleType.Bits() / 8)
	m.scales, m.factors = make([]byte, int64(len(m.values))*size), make([]factors, len(m.values))
	if m.coding.zeros != nil {
		_, n := m.coding.zeros.stored(0, int64(len(m.values)), 1)
		m.zeros = make([]byte, n)
	}
	if reference != nil {
		if err := reference.copyScales(0, m.scales, 0, m.zeros); err != nil {
			return err
		}
	}
	for i, x := range m.values {
		if reference != nil && !m.changed[i] {
			continue
		}
		f, err := m.factorsOf(m.scales[int64(i)*size:][:size], x, 0)
		if err != nil {
			return err
		}
		if m.factors[i] = f; m.zeros != nil {
			m.coding.zeros.put(m.zeros, int64(i), 0, 1, f.zero)
		}
	}
	return nil
}
