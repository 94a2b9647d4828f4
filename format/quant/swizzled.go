package quant

// Scales may lie as the tensor cores of Blackwell want them: in tiles of 128 rows and 4 columns, one row of tiles after the other, those at the edges filled
// up. Of a tile of 512 bytes, row r has its four columns at 16 × (r mod 32) + 4 × (r ÷ 32). Source: cuBLAS 12.9, "1D Block Scaling Factors Layout".

// The rows and columns of a tile, and its bytes: a scale is one.
const (
	swizzledRows  = 128
	swizzledCols  = 4
	swizzledBlock = swizzledRows * swizzledCols
)

// swizzledBytes are those of so many scales, with what fills the tiles at the edges.
func swizzledBytes(rows, cols int64) int64 {
	return (rows + swizzledRows - 1) / swizzledRows * swizzledStride(cols)
}

// swizzledStride are the bytes of a row of tiles.
func swizzledStride(cols int64) int64 {
	return (cols + swizzledCols - 1) / swizzledCols * swizzledBlock
}

// loadSwizzled decodes the scales of n rows, counted over all matrices.
func (s *scaleGrid) loadSwizzled(from codeLender, first, n int64, dst []float32) error {
	stride := swizzledStride(s.cols)
	for n > 0 {
		rows := min(n, swizzledRows-first%swizzledRows)
		err := from.with(s.tensor, first/swizzledRows*stride, stride, func(tiles []byte) error {
			for r := first % swizzledRows; r < first%swizzledRows+rows; r++ {
				at := r%32*16 + r/32*swizzledCols
				for c := int64(0); c < s.cols; c += swizzledCols {
					some := min(swizzledCols, s.cols-c)
					decodeScales(s.dtype, dst[c:c+some], tiles[at:at+some])
					at += swizzledBlock
				}
				dst = dst[s.cols:]
			}
			return nil
		})
		if err != nil {
			return err
		}
		first, n = first+rows, n-rows
	}
	return nil
}
