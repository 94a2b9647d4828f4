//go:build !amd64 || noasm

package vec

func decodeNibbleGroupsSIMD([]float32, []byte, *[16]float32, []float32, []float32, int) int { return 0 }

func decodeI8GroupsSIMD([]float32, []byte, byte, []float32, []float32, int) int { return 0 }

func raiseToLargestSIMD([]float32, []float32, int) int { return 0 }

func encodeF8E4M3GroupsSIMD([]byte, []float32, []float32, int) int { return 0 }

func encodeE2M1GroupsSIMD([]byte, []float32, []float32, int) (n int, ok bool) { return 0, true }

func encodeI4GroupsSIMD([]byte, []float32, []float32, []float32, int) (n int, ok bool) {
	return 0, true
}

func encodeI8GroupsSIMD([]byte, []float32, byte, []float32, []float32, int) (n int, ok bool) {
	return 0, true
}
