//go:build !noasm

package vec

// transposeSIMD does rows and columns in squares of 8, as many as there are, and says how many.
func transposeSIMD(dst []float32, dstStep int, src []float32, srcStep, rows, cols int) (doneRows, doneCols int) {
	const side = 8
	if level == Portable || rows < side || cols < side {
		return 0, 0
	}
	for ; doneRows+side <= rows; doneRows += side {
		transpose8AVX2(&dst[doneRows], &src[doneRows*srcStep], dstStep, srcStep, cols/side)
	}
	return doneRows, cols &^ (side - 1)
}

// transpose8AVX2 does 8 rows, and columns 8 × squares.
//
//go:noescape
func transpose8AVX2(dst, src *float32, dstStep, srcStep, squares int)
