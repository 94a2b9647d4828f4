//go:build !amd64 || noasm

package vec

func selectSIMD[T Float]([]T, []float32, float32) (n, kept int) { return 0, 0 }

func selectAxpySIMD[T Float]([]T, T, []T, []float32, float32) (n, kept int) { return 0, 0 }

func countAtLeastSIMD([]float32, float32) (n, kept int) { return 0, 0 }
func selectSizeSIMD[T Float](_ []T, _, _ float32) int   { return 0 }
