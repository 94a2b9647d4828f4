package quant

// Parts are the tensors of the checkpoint that make up one of the view: itself, or its codes and what belongs to them.
func (v *Decoded) Parts(i int) []int {
	from := v.from[i]
	return append([]int{from.index}, from.hides...)
}
