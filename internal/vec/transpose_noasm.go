//go:build !amd64 || noasm

package vec

func transposeSIMD([]float32, int, []float32, int, int, int) (rows, cols int) { return 0, 0 }
