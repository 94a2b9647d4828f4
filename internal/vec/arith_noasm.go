//go:build !amd64 || noasm

package vec

func deltaSIMD[T Float]([]T, []T, []T) int { return 0 }

func absSIMD[T Float]([]T, []T) int { return 0 }

func sqrtSIMD[T Float]([]T, []T) int { return 0 }

func squareSIMD[T Float]([]T, []T) int { return 0 }

func mulSIMD[T Float]([]T, []T, []T) int { return 0 }

func mulAbsSIMD[T Float]([]T, []T, []T) int { return 0 }

func scaleSIMD[T Float]([]T, []T, T) int { return 0 }

func axpySIMD[T Float]([]T, T, []T) int { return 0 }

func mulAxpySIMD[T Float]([]T, T, []T, []T) int { return 0 }

func addSIMD[T Float]([]T, []T) int { return 0 }

func divSIMD[T Float]([]T, []T, T) int { return 0 }

func divBySIMD[T Float]([]T, []T, []T) int { return 0 }

func subDivSIMD[T Float]([]T, []T, T, T) int { return 0 }

func applySIMD[T Float]([]T, []T, T, []T) int { return 0 }

func contrastSIMD([]float32, []float32, []float32, float32, float32) int { return 0 }

func countNonZeroSIMD[T Float]([]T, []T) int { return 0 }

func addWhereNonZeroSIMD[T Float]([]T, []T, []T) int { return 0 }

func fillSIMD[T Float]([]T, T) int { return 0 }

func keepSignSIMD[T Float]([]T, []T, []T) int { return 0 }

func approachSIMD[T Float](dst, x []T, t, least T) int { return 0 }
