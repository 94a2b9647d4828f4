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
			for _, w := range []int{1, 2} {
				base, src := some(w*n), some(w*n)
				for i := range n {
					if r.Float64() >= share {
						copy(src[w*i:w*i+w], base[w*i:])
					} else if r.Float64() < 0.3 && w > 1 {
						src[w*i] = base[w*i] // one of two bytes differs
					}
				}
				checkLanes(t, fmt.Sprintf("%d elements of %d bytes, %v differ", n, w, share), w, src, base)
			}
			const value = 0x80
			values := some(2 * n)
			for i := range values {
				if r.Float64() >= share {
					values[i] = value
				}
			}
			checkMask(t, fmt.Sprintf("%d from a byte, %v differ", 2*n, share), values, bytes.Repeat([]byte{value}, 2*n), 1, func(mask, others []byte) int { return maskBytes(mask, others, values, nil, value) })
		}
	}
}

// checkLanes compares what becomes of elements of w bytes.
func checkLanes(t *testing.T, name string, w int, src, base []byte) {
	t.Helper()
	n := len(src) / w
	values, back := make([]byte, len(src)), make([]byte, len(src))
	transform(values, src, base, w, Difference)
	for i := range n {
		shift := 64 - 8*w
		d := int64((word(src[w*i:], w)-word(base[w*i:], w))<<shift) >> shift
		if want := uint64(d<<1^d>>63) << shift >> shift; word(values[w*i:], w) != want {
			t.Fatalf("%s: difference %d is %x, want %x", name, i, word(values[w*i:], w), want)
		}
	}
	if restore(back, values, base, w, Difference); !bytes.Equal(back, src) {
		t.Fatalf("%s: not restored", name)
	}
	checkMask(t, name, src, base, w, func(mask, others []byte) int { return maskElements(mask, others, src, base, w) })
	checkMask(t, name+" from 0", values, make([]byte, len(src)), w, func(mask, others []byte) int { return maskElements(mask, others, values, nil, w) })
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
