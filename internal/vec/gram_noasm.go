//go:build !amd64 || noasm

package vec

func gramSIMD[T Float](*gramLanes, []T, []T) int { return 0 }

func gramBF16SIMD(_ *gramLanes, a, b []byte) int { return 0 }
