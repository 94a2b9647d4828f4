package fuse

// L1 is the sum of a task vector's magnitudes before a mask and after it.
type L1 struct{ Before, After float64 }

// l1Negligible is the norm below which nothing is rescaled.
const l1Negligible = 1e-7

// Factor is what restores the sum that a task vector had; ok is false where either sum is next to nothing.
func (n L1) Factor() (factor float32, ok bool) {
	if n.Before >= l1Negligible && n.After >= l1Negligible {
		return float32(n.Before / n.After), true
	}
	return 1, false
}
