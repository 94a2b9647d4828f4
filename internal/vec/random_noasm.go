//go:build !amd64 || noasm

package vec

func randomSIMD([]int32, uint64, uint64) int { return 0 }

func randomMaskSIMD([]uint32, uint64, uint64, int16) int { return 0 }
