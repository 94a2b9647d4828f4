//go:build !amd64 || noasm

package vec

func exponentialsSIMD[T Float](dst []float64, _ []T, shift float64) int { return 0 }

func entropyTermsSIMD(dst, p, q []float64, toP, toQ, least float64) int { return 0 }
