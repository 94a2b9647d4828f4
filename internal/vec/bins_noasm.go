//go:build !amd64 || noasm

package vec

import "math"

func bitRangeSIMD([]float32) (n int, least, most uint32) { return 0, math.MaxUint32, 0 }

func binsSIMD([]uint16, []float32, uint32, uint) int { return 0 }

func countBinsSIMD(_, _ []uint32, _ []uint16) int { return 0 }

func settleSIMD(_, _ []uint32, _ []int32, _ []uint16, _ []Limits) int { return 0 }

func addLimitsSIMD(_ []Limits, first, odd []uint32, base, step, slack float64) (n int, before uint32) {
	return 0, 0
}
