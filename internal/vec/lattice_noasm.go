//go:build !amd64 || noasm

package vec

func tryLineSIMD(*LineFit, []float64, float64, float64) bool { return false }

func tryScaleSIMD(*ScaleFit, []float64, float64, float64) bool { return false }

func latticeCodesSIMD([]byte, []float32, float64, float64, float64, float64, byte) int { return 0 }

func spansSIMD([]float64, *[Lanes]float64, *[Lanes]float64, *[Lanes]float64) bool { return false }
