package quant

import "slices"

// Columns may be in groups that are no runs of them: a tensor says which group each belongs to. A row is sorted by it, so that groups lie
// together while it is encoded, and its codes go where its columns are.

// order reads the columns by their groups, each group in its own order; nil where groups are runs of columns.
func (r *lentReference) order(cols int64) (order []int32, err error) {
	if r == nil || r.groups < 0 {
		return nil, nil
	}
	err = r.from.with(r.groups, 0, 4*cols, func(index []byte) error {
		order = make([]int32, cols)
		for c := range order {
			order[c] = int32(c)
		}
		slices.SortStableFunc(order, func(a, b int32) int { return int(groupAt(index, int64(a))) - int(groupAt(index, int64(b))) })
		return nil
	})
	return order, err
}

// sort brings a row into the order of its groups.
func (b *band) sort(row []float32) {
	if b.order == nil {
		return
	}
	for i, c := range b.order {
		b.sorted[i] = row[c]
	}
	copy(row, b.sorted)
}

// column is the column that a place in a row belongs to.
func (b *band) column(at int64) int64 {
	if b.order == nil {
		return at
	}
	return int64(b.order[at])
}

// put stores the codes of values in a row, whose places begin with one; false if one has none.
func (b *band) put(row []byte, at int64, values []float32) bool {
	if b.order == nil {
		return b.coding.codes.encode(row, at, values)
	}
	for i := range values {
		if !b.coding.codes.encode(row, b.column(at+int64(i)), values[i:i+1]) {
			return false
		}
	}
	return true
}
