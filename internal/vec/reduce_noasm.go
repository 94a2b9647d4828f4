//go:build !amd64 || noasm

package vec

func sumSIMD[T Float](*lanes, []T) int { return 0 }

func sumAbsSIMD[T Float](*lanes, []T) int { return 0 }

func sumSquaresSIMD[T Float](*lanes, []T) int { return 0 }

func dotSIMD[T Float](*lanes, []T, []T) int { return 0 }

func maxSIMD(_ []float32, start float32) (n int, most float32) { return 0, start }

func minSIMD(_ []float32, start float32) (n int, least float32) { return 0, start }
