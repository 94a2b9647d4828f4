package planes

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"weld/internal/vec"
)

// Elements of two bytes are looked at four at a time, and counted as one by one.
func TestGlance(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		content := make([]byte, 8*r.IntN(20))
		for at := 0; at < len(content); at += 2 {
			binary.LittleEndian.PutUint16(content[at:], uint16(r.IntN(3))<<(8*r.IntN(2)))
		}
		want := glance{elements: len(content) / 2, pairs: max(0, len(content)/2-1)}
		for at := 0; at < len(content); at += 2 {
			v := binary.LittleEndian.Uint16(content[at:])
			if v == 0 {
				want.zeros++
			}
			if at > 0 && v == binary.LittleEndian.Uint16(content[at-2:]) {
				want.repeated++
			}
		}
		var got glance
		if got.add(content, 2); got != want {
			t.Fatalf("%x: %v, want %v", content, got, want)
		}
	}
}

// Escapes of a group are found at once, in order, and of a rest one by one.
func TestEscaped(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	codes := vec.Codes{Lo: 100, Zero: vec.Escape}
	for v := range codes.Window {
		codes.Window[v] = byte(v) // the last of which is the escape
	}
	for n := range 400 {
		src := make([]byte, n)
		var want []int
		for i := range src {
			if src[i] = 100 + byte(r.IntN(15)); r.IntN(1+n/2) == 0 {
				src[i] = 3
				want = append(want, i)
			}
		}
		pairs := make([]byte, vec.Paired(n))
		vec.PairCodes(pairs, src, &codes)
		for i := range escaped(pairs, n) {
			if len(want) == 0 || want[0] != i {
				t.Fatalf("of %d: %d, want %v", n, i, want)
			}
			want = want[1:]
		}
		if len(want) > 0 {
			t.Fatalf("of %d: %v were not found", n, want)
		}
	}
}
