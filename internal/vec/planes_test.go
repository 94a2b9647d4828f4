package vec

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// planeKernels split elements of a width into planes, and join them.
var planeKernels = []struct {
	name   string
	planes int
	split  func(planes [][]byte, src []byte)
	join   func(dst []byte, planes [][]byte)
	byte   func(p int, element []byte) byte // of plane p
}{
	{"BF16", 2, func(p [][]byte, src []byte) { SplitBF16(p[0], p[1], src) },
		func(dst []byte, p [][]byte) { JoinBF16(dst, p[0], p[1]) },
		func(p int, e []byte) byte {
			if p == 0 {
				return e[1]<<1 | e[0]>>7
			}
			return e[0]&0x7f | e[1]&0x80
		}},
	{"F32", 4, func(p [][]byte, src []byte) { SplitF32(p[0], p[1], p[2], p[3], src) },
		func(dst []byte, p [][]byte) { JoinF32(dst, p[0], p[1], p[2], p[3]) },
		func(p int, e []byte) byte {
			switch p {
			case 0:
				return e[3]<<1 | e[2]>>7
			case 1:
				return e[2]&0x7f | e[3]&0x80
			}
			return e[3-p]
		}},
	{"2", 2, func(p [][]byte, src []byte) { Split2(p[0], p[1], src) },
		func(dst []byte, p [][]byte) { Join2(dst, p[0], p[1]) },
		func(p int, e []byte) byte { return e[1-p] }},
}

// Every plane holds what its definition says, at every length and alignment, up to a page that must not be
// touched; and the elements come back.
func TestPlanes(t *testing.T) {
	const most = 200
	r := rand.New(rand.NewPCG(1, 2))
	var memory [5][]byte
	for i := range memory {
		memory[i] = guarded(4*most + 64)
	}
	levelsFrom(Portable, t, func(t *testing.T) {
		for _, k := range planeKernels {
			for n := range most {
				shift := n % 33
				end := func(i, size int) []byte { return memory[i][len(memory[i])-size-shift:][:size] }
				src := end(4, n*k.planes)
				for i := range src {
					src[i] = byte(r.Uint32())
				}
				planes := make([][]byte, k.planes)
				for p := range planes {
					planes[p] = end(p, n)
				}
				k.split(planes, src)
				for p, plane := range planes {
					for i, b := range plane {
						if want := k.byte(p, src[i*k.planes:][:k.planes]); b != want {
							t.Fatalf("%s, %d elements: plane %d, element %d: %#x, want %#x", k.name, n, p, i, b, want)
						}
					}
				}
				want := bytes.Clone(src)
				clear(src)
				k.join(src, planes)
				if !bytes.Equal(src, want) {
					t.Fatalf("%s, %d elements: joined to something else", k.name, n)
				}
			}
		}
	})
}

// Pairs of codes are what their definition says, at every length, for windows everywhere.
func TestPairCodes(t *testing.T) {
	const most = 330
	r := rand.New(rand.NewPCG(3, 4))
	from, to, back := guarded(most), guarded(most), guarded(most)
	levelsFrom(Portable, t, func(t *testing.T) {
		for n := range most {
			codes := Codes{Lo: byte(r.Uint32()), Zero: byte(r.IntN(16))}
			for i := range codes.Window {
				codes.Window[i] = byte(r.IntN(16))
			}
			if n%3 == 0 {
				codes.Lo = byte(250 + n%8) // over the end
			}
			src := from[len(from)-n:]
			for i := range src {
				src[i] = codes.Lo + byte(r.IntN(20)) - 2
				if r.IntN(9) == 0 {
					src[i] = 0
				}
			}
			dst := to[len(to)-Paired(n):]
			escapes := PairCodes(dst, src, &codes)
			values := [16]byte{}
			for i := range values {
				values[i] = byte(3*i + 1)
			}
			got := back[len(back)-n:]
			UnpairCodes(got, dst, &values)
			count := 0
			for i, v := range src {
				c := codes.Of(v)
				if c == Escape {
					count++
				}
				group, size := i/64*64, min(64, n-i/64*64)
				half := (size + 1) / 2
				b := dst[i/64*32+(i-group)%half] >> (4 * ((i - group) / half)) & 15
				if b != c || got[i] != values[c] {
					t.Fatalf("%d bytes: byte %d, %#x: code %d, value %d; want %d, %d", n, i, v, b, got[i], c, values[c])
				}
			}
			if escapes != count {
				t.Fatalf("%d bytes: %d escapes, want %d", n, escapes, count)
			}
		}
	})
}

func BenchmarkPlanes(b *testing.B) {
	const n = 16 << 10
	src, dst := make([]byte, 4*n), make([]byte, n)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range src {
		src[i] = byte(r.Uint32())
	}
	planes := [][]byte{make([]byte, n), make([]byte, n), make([]byte, n), make([]byte, n)}
	for _, k := range planeKernels {
		b.Run("split"+k.name, func(b *testing.B) {
			b.SetBytes(int64(n * k.planes))
			for b.Loop() {
				k.split(planes, src)
			}
		})
		b.Run("join"+k.name, func(b *testing.B) {
			b.SetBytes(int64(n * k.planes))
			for b.Loop() {
				k.join(src, planes)
			}
		})
	}
	codes := Codes{Lo: 100}
	b.Run("pair", func(b *testing.B) {
		b.SetBytes(n)
		for b.Loop() {
			PairCodes(dst, planes[0], &codes)
		}
	})
	b.Run("unpair", func(b *testing.B) {
		b.SetBytes(n)
		for b.Loop() {
			UnpairCodes(planes[0], dst, &codes.Window)
		}
	})
}
