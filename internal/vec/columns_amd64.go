//go:build !noasm

package vec

// columnStep is how many columns assembly takes at a time.
const columnStep = 8

func decodeNibbleColumnsSIMD(dst []float32, dstStep int, src []byte, srcStep int, values *[16]float32, scales []float32) int {
	n := len(scales) &^ (columnStep - 1)
	if level == Portable || n == 0 {
		return 0
	}
	decodeNibbleColumnsAVX2(&dst[0], &src[0], values, &scales[0], n, dstStep, srcStep)
	return n
}

func encodeE2M1ColumnsSIMD(dst []byte, dstStep int, scales []byte, src []float32, srcStep int) (int, bool) {
	n := len(scales) &^ (columnStep - 1)
	if level == Portable || n == 0 {
		return 0, true
	}
	return n, encodeE2M1ColumnsAVX2(&dst[0], &scales[0], &src[0], n, dstStep, srcStep)
}

// n is a positive multiple of columnStep.

//go:noescape
func decodeNibbleColumnsAVX2(dst *float32, src *byte, values *[16]float32, scales *float32, n, dstStep, srcStep int)

//go:noescape
func encodeE2M1ColumnsAVX2(dst, scales *byte, src *float32, n, dstStep, srcStep int) (ok bool)
