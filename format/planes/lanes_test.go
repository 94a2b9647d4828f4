package planes

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// What is done with lanes is compared with one element at a time, on all short lengths and shares of what differs.
func TestLanes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	some := func(n int) []byte {
		p := make([]byte, n)
		for i := range p {
			p[i] = byte(r.Uint32())
		}
		return p
	}
	for n := range 70 {
		for _, share := range []float64{0, 0.1, 0.5, 1} {
			base, src := some(2*n), some(2*n)
			for i := range n {
				if r.Float64() >= share {
					copy(src[2*i:2*i+2], base[2*i:])
				} else if r.Float64() < 0.3 {
					src[2*i] = base[2*i] // one of two bytes differs
				}
			}
			name := fmt.Sprintf("%d elements, %v differ", n, share)
			values, back := make([]byte, 2*n), make([]byte, 2*n)
			differences(values, src, base)
			for i := range n {
				d := int64(int16(word(src[2*i:], 2) - word(base[2*i:], 2)))
				if want := uint64(uint16(d<<1 ^ d>>63)); word(values[2*i:], 2) != want {
					t.Fatalf("%s: difference %d is %x, want %x", name, i, word(values[2*i:], 2), want)
				}
			}
			if undo(back, values, base); !bytes.Equal(back, src) {
				t.Fatalf("%s: not restored", name)
			}
			checkMask(t, name, src, base, 2, func(mask, others []byte) int { return maskElements(mask, others, src, base, 2) })
			checkMask(t, name+" from 0", values, make([]byte, 2*n), 2, func(mask, others []byte) int { return maskElements(mask, others, values, nil, 2) })
			const value = 0x80
			for i := range values {
				if r.Float64() >= share {
					values[i] = value
				}
			}
			checkMask(t, name+" from a byte", values, bytes.Repeat([]byte{value}, 2*n), 1, func(mask, others []byte) int { return maskBytes(mask, others, values, value) })
		}
	}
}

// checkMask demands the mask and the elements of w bytes that differ from the base.
func checkMask(t *testing.T, name string, src, base []byte, w int, call func(mask, others []byte) int) {
	t.Helper()
	mask, others := bytes.Repeat([]byte{0xaa}, (len(src)/w+7)/8), make([]byte, len(src))
	n := call(mask, others)
	var want []byte
	wantMask := make([]byte, len(mask))
	for i := range len(src) / w {
		if !bytes.Equal(src[i*w:i*w+w], base[i*w:i*w+w]) {
			want = append(want, src[i*w:i*w+w]...)
			wantMask[i/8] |= 1 << (i % 8)
		}
	}
	if !bytes.Equal(mask, wantMask) || !bytes.Equal(others[:n*w], want) {
		t.Fatalf("%s: mask %x of %x, want %x of %x", name, mask, others[:n*w], wantMask, want)
	}
}
