//go:build !amd64 || noasm

package vec

func varianceSIMD[T Float](_ []float32, _ [][]T, models, share float64) int { return 0 }

func addElectedSIMD[T Float](dst []T, _ [][]T, w []T) int { return 0 }

func applyElectedSIMD[T Float](dst []T, lambda T, _ [][]T, w []T, mean bool) int { return 0 }

func addActiveSIMD[T Float](dst []T, _ [][]T, w []T, epsilon T) int { return 0 }

func countActiveSIMD[T Float](shared, unique []int64, n int, _ [][]T, epsilon T) int { return 0 }
