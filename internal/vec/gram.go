package vec

// gramLanes are the lanes of ⟨a,a⟩, ⟨a,b⟩ and ⟨b,b⟩.
type gramLanes [3]lanes

// add adds element i of both vectors.
func (l *gramLanes) add(i int, a, b float64) {
	j := i % len(l[0])
	l[0][j] += float64(a * a)
	l[1][j] += float64(a * b)
	l[2][j] += float64(b * b)
}

func (l *gramLanes) fold() (aa, ab, bb float64) { return l[0].fold(), l[1].fold(), l[2].fold() }

// Gram returns the inner products ⟨a,a⟩, ⟨a,b⟩ and ⟨b,b⟩: [Dot] of each pair, in one sweep.
// If ⟨a,a⟩ is finite, so is all of a.
func Gram[T Float](a, b []T) (aa, ab, bb float64) {
	b = b[:len(a)]
	var l gramLanes
	for i := gramSIMD(&l, a, b); i < len(a); i++ {
		l.add(i, float64(a[i]), float64(b[i]))
	}
	return l.fold()
}

// GramBF16 is [Gram] of bfloat16 bytes: [DecodeBF16] of both, then Gram.
func GramBF16(a, b []byte) (aa, ab, bb float64) {
	n := len(a) / 2
	a, b = a[:2*n], b[:2*n]
	var l gramLanes
	for i := gramBF16SIMD(&l, a, b); i < n; i++ {
		l.add(i, float64(fromBF16(a, i)), float64(fromBF16(b, i)))
	}
	return l.fold()
}
