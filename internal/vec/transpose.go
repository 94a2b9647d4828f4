package vec

// Transpose stores rows of so many columns as columns: dst[c·dstStep + r] = src[r·srcStep + c]. Steps are in elements.
func Transpose(dst []float32, dstStep int, src []float32, srcStep, rows, cols int) {
	if rows == 0 || cols == 0 {
		return
	}
	_, _ = dst[(cols-1)*dstStep+rows-1], src[(rows-1)*srcStep+cols-1]
	done, across := transposeSIMD(dst, dstStep, src, srcStep, rows, cols)
	for r := range rows {
		c := across
		if r >= done {
			c = 0
		}
		for ; c < cols; c++ {
			dst[c*dstStep+r] = src[r*srcStep+c]
		}
	}
}
