//go:build !amd64 || noasm

package vec

func betweenSIMD(_, _ []float32, _, _ float32) (seen, inside, above int) { return 0, 0, 0 }
