//go:build !amd64 || noasm

package vec

func belowSIMD(_ []float32, _ int) (n, others int) { return 0, 0 }
