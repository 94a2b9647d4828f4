package huffman

import (
	"math"
	"math/bits"
)

// Entropy is the least bits that a code of its own could take for such bytes, in the whole.
func (c *Counts) Entropy() float64 {
	n, bits := 0.0, 0.0
	for _, k := range c {
		n += float64(k)
		bits -= float64(k) * log2(k)
	}
	return bits + n*log2(uint32(n))
}

// log2 is near enough to the logarithm for choices: to 0.0005, with no call.
func log2(k uint32) float64 {
	if k == 0 {
		return 0
	}
	e := bits.Len32(k) - 1
	return float64(e) + logs[uint64(k)<<10>>e&1023]
}

// logs are the logarithms of 1 to 2, to base 2, in 1024 steps.
var logs = func() (l [1024]float64) {
	for i := range l {
		l[i] = math.Log2(1 + (float64(i)+0.5)/1024)
	}
	return l
}()
