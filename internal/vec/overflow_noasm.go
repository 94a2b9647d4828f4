//go:build !amd64 || noasm

package vec

func finiteSIMD[T Float]([]T, T) int { return 0 }
