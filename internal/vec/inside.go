package vec

// Inside marks the scores with low ≤ s < high, one bit for each from the lowest of the first word on, and returns how many
// there are. Marks has a word for each 64 scores that are begun.
func Inside(marks []uint64, s []float32, low, high float32) (n int) {
	marks = marks[:(len(s)+63)/64]
	seen, n := insideSIMD(marks, s, low, high)
	for w := seen / 64; w < len(marks); w++ {
		word := uint64(0)
		for i, v := range s[w*64 : min(w*64+64, len(s))] {
			in := bit(v >= low) & bit(v < high)
			word |= uint64(in) << i
			n += int(in)
		}
		marks[w] = word
	}
	return n
}
