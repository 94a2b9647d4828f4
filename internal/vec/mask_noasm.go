//go:build !amd64 || noasm

package vec

func atMostSIMD([]uint32, []int32, int32) int { return 0 }

func hasBitsSIMD([]uint32, []float32, uint32) int { return 0 }

func selectBitsSIMD[T Float]([]T, []uint32) int { return 0 }

func sumAbsBitsSIMD[T Float](_, _ *lanes, _ []T, _ []uint32) int { return 0 }
