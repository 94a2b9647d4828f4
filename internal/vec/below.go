package vec

// Below counts the scores that are smaller than that at index i, or equal and before it: its rank among all.
// Scores are finite and at least +0.
func Below(s []float32, i int) int {
	v := s[i]
	n, others := belowSIMD(s, i)
	for j, x := range s[n:] {
		others += int(bit(x > v) | bit(x == v)&bit(n+j >= i))
	}
	return len(s) - others
}
