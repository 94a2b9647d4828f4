package huffman

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/klauspost/compress/huff0"
)

// specimens are bytes of many distributions.
func specimens(r *rand.Rand, n int) map[string][]byte {
	list := map[string][]byte{}
	add := func(name string, next func(i int) byte) {
		p := make([]byte, n)
		for i := range p {
			p[i] = next(i)
		}
		list[name] = p
	}
	add("two", func(int) byte { return byte(r.IntN(2)) })
	add("two far apart", func(int) byte { return byte(r.IntN(2)) * 255 })
	add("uniform", func(int) byte { return byte(r.IntN(256)) })
	add("of 129", func(int) byte { return byte(r.IntN(129)) })
	add("of 15", func(int) byte { return byte(r.IntN(15)) })
	add("normal", func(int) byte { return byte(int(r.NormFloat64()*9) + 128) })
	add("pairs of exponents", func(int) byte { return exponent(r)&15 | exponent(r)<<4 })
	add("geometric", func(int) byte { return byte(min(255, int(r.ExpFloat64()*2))) })
	add("steep", func(int) byte { return byte(min(255, int(math.Exp(r.ExpFloat64())))) })
	add("one of 1000", func(i int) byte {
		if i%1000 == 3 {
			return byte(i / 1000)
		}
		return 77
	})
	add("bfloat16", func(i int) byte { return byte(bfloat16(r) >> (8 * (i & 1))) })
	if n >= 2 {
		list["bfloat16"] = weights(r, n)
	}
	return list
}

func exponent(r *rand.Rand) byte { return byte(124 + math.Ilogb(math.Abs(r.NormFloat64())+1e-4)) }

func bfloat16(r *rand.Rand) uint16 {
	return uint16(math.Float32bits(float32(r.NormFloat64()*0.02)) >> 16)
}

func weights(r *rand.Rand, n int) []byte {
	p := make([]byte, 0, n)
	for len(p) < n {
		p = binary.LittleEndian.AppendUint16(p, bfloat16(r))
	}
	return p[:n]
}

// lengths are those at which a stream has blocks, a rest, and neither.
var lengths = []int{LeastBytes, 13, 17, 63, 64, 100, 255, 256, 257, 260, 319, 400, 511, 512, 513, 1000, 4096, 70001, MostBytes - 1, MostBytes}

// everyKernel runs a test with the reference, and with what the machine has.
func everyKernel(t *testing.T, test func(t *testing.T)) {
	kernels(t, func(name string) { t.Run(name, test) })
}

// coded is the whole of a code and what it says; nil if there is no code.
func coded(c *Code, src []byte) []byte {
	var counts Counts
	counts.Add(src)
	if !c.Build(&counts) {
		return nil
	}
	return c.AppendStreams(slices.Clone(c.Description()), src)
}

// What is written is read by another implementation.
func TestReadBack(t *testing.T) {
	everyKernel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		var c Code
		for _, n := range lengths {
			for name, src := range specimens(r, n) {
				got := coded(&c, src)
				if got == nil {
					continue
				}
				back, err := readBack(got, n)
				if err != nil || !bytes.Equal(back, src) {
					t.Fatalf("%s, %d bytes: %v", name, n, err)
				}
			}
		}
	})
}

func readBack(coded []byte, n int) ([]byte, error) {
	s, rest, err := huff0.ReadTable(coded, nil)
	if err != nil {
		return nil, err
	}
	return s.Decoder().Decompress4X(make([]byte, 0, n), rest)
}

// There is a code for whatever another implementation finds one, and it takes hardly more bytes: of a thousand, whose description that one
// makes shorter, a dozen.
func TestAsSmall(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var c Code
	for _, n := range []int{1000, 20000, MostBytes} {
		for name, src := range specimens(r, n) {
			theirs, _, err := huff0.Compress4X(src, &huff0.Scratch{Reuse: huff0.ReusePolicyNone})
			if err != nil {
				continue
			}
			ours := coded(&c, src)
			if ours == nil || len(ours) > len(theirs)+len(theirs)/400+12 {
				t.Errorf("%s, %d bytes: %d, by huff0 %d", name, n, len(ours), len(theirs))
			}
		}
	}
}

// Kernels write the bits of the reference, whatever the code: also where eight of them are longer than a word.
func TestBlocks(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for round := range 300 {
		var counts Counts
		for b := range counts {
			if steep := r.IntN(4) > 0; steep {
				counts[b] = uint32(math.Exp(r.Float64() * float64(r.IntN(20))))
			}
		}
		var c Code
		if !c.Build(&counts) {
			continue
		}
		src := make([]byte, LeastBytes+r.IntN(5000))
		rare := round%3 == 0
		for i := range src {
			if src[i] = byte(r.IntN(256)); rare && c.tables.length[src[i]] < 8 {
				src[i] = byte(c.leaves[r.IntN(1+len(c.leaves)/4)])
			}
		}
		var want []byte
		kernels(t, func(name string) {
			got := c.AppendStreams(make([]byte, 3), src)
			if want == nil {
				want = got
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("round %d, %d bytes: %s differs from the reference", round, len(src), name)
			}
		})
	}
}

// A code of any counts is complete, and none of its codes is too long.
func TestComplete(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for round := range 2000 {
		var counts Counts
		a, b := uint32(1), uint32(1)
		n := 2 + r.IntN(255)
		for i := range n {
			switch round % 3 {
			case 0: // Fibonacci: as deep as can be
				counts[i], a, b = a, b, min(a+b, 1<<30)
			case 1:
				counts[i] = uint32(math.Exp(r.Float64() * 20))
			default:
				counts[i] = 1 + uint32(r.IntN(3))
			}
		}
		var c Code
		if !c.Build(&counts) {
			continue
		}
		sum := 0
		for i, k := range counts {
			l := c.tables.length[i]
			if (l == 0) != (k == 0) || l > MaxBits {
				t.Fatalf("byte %d, %d times, has a code of %d bits", i, k, l)
			}
			if l > 0 {
				sum += 1 << (MaxBits - l)
			}
		}
		if sum != 1<<MaxBits {
			t.Fatalf("round %d: %d of %d codes are taken", round, sum, 1<<MaxBits)
		}
	}
}

// Counts and the estimates that are made of them.
func TestCounts(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for _, n := range []int{0, 1, 7, 1023, 1024, 1031, 50000} {
		src := weights(r, n)
		var got, want Counts
		got.Add(src[:n/3])
		got.Add(src[n/3:])
		entropy := 0.0
		for _, b := range src {
			want[b]++
		}
		for _, k := range want {
			if k > 0 {
				entropy -= float64(k) * math.Log2(float64(k)/float64(n))
			}
		}
		if got != want || got.Total() != n {
			t.Fatalf("%d bytes: wrong counts", n)
		}
		if e := got.Entropy(); math.Abs(e-entropy) > 0.001*float64(n) {
			t.Errorf("%d bytes: entropy %g, want %g", n, e, entropy)
		}
		var c Code
		if c.Build(&got) {
			if bits, size := c.Bits(&got), 8*len(c.AppendStreams(nil, src))-8*jumps; bits > int64(size) || bits < int64(size)-8*streams {
				t.Errorf("%d bytes: %d bits, %d are written", n, bits, size)
			}
		}
	}
}

// One byte alone has no code.
func TestNoCode(t *testing.T) {
	var c Code
	for _, src := range [][]byte{nil, {5}, {7, 7, 7, 7}} {
		if coded(&c, src) != nil {
			t.Errorf("%v has a code", src)
		}
	}
}

// 128 equal weights, which cannot be coded, are told as they are; a byte without a code is estimated to take more than any.
func TestEqualWeights(t *testing.T) {
	var c Code
	src := append(bytes.Repeat([]byte{128}, 1000), make([]byte, 128)...)
	for i := range 128 {
		src[1000+i] = byte(i)
	}
	whole := coded(&c, src)
	if whole == nil || whole[0] != 127+128 {
		t.Fatal("no code, or another")
	}
	if back, err := readBack(whole, len(src)); err != nil || !bytes.Equal(back, src) {
		t.Errorf("read back: %v", err)
	}
	if n := c.Bits(&Counts{200: 1}); n <= MaxBits {
		t.Errorf("%d bits for a byte without a code", n)
	}
}

// Room that is left goes to where it gives most: to the most frequent byte of a length.
func TestRoomGoesToTheMostFrequent(t *testing.T) {
	c := Code{leaves: []uint64{1 << 8, 9<<8 | 1, 10<<8 | 2}}
	many := [MaxBits + 2]int{MaxBits - 1: 1, MaxBits: 2}
	if l := c.dearest(&many, 2); l != MaxBits {
		t.Errorf("a byte of %d bits becomes shorter", l)
	}
}

// Room is enough for bytes that all have the longest codes, which those that were counted need not be.
func TestRoomForOthers(t *testing.T) {
	var c Code
	var counts Counts
	for i := range 20 {
		counts[i] = 1 << i
	}
	if !c.Build(&counts) || c.tables.length[0] != MaxBits {
		t.Fatal("no code as deep as can be")
	}
	kernels(t, func(name string) {
		for n := LeastBytes; n < 300; n++ {
			if got := c.AppendStreams(make([]byte, 0, Room(n)), make([]byte, n)); 8*len(got) < n*MaxBits {
				t.Errorf("%s: %d bytes in %d", name, n, len(got))
			}
		}
	})
}

func BenchmarkHuffman(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for name, src := range specimens(r, MostBytes) {
		if name != "pairs of exponents" && name != "bfloat16" {
			continue
		}
		var c Code
		var counts Counts
		counts.Add(src)
		c.Build(&counts)
		dst := make([]byte, 0, Room(len(src)))
		run := func(what string, f func()) {
			b.Run(fmt.Sprintf("%s/%s", name, what), func(b *testing.B) {
				b.SetBytes(int64(len(src)))
				for b.Loop() {
					f()
				}
			})
		}
		run("count", func() { counts.Add(src) })
		run("entropy", func() { counts.Entropy() })
		run("build", func() { c.Build(&counts) })
		kernels(b, func(kernel string) { run("write "+kernel, func() { dst = c.AppendStreams(dst[:0], src) }) })
		s := huff0.Scratch{Reuse: huff0.ReusePolicyNone}
		run("huff0", func() { huff0.Compress4X(src, &s) })
		whole := coded(&c, src)
		var table *huff0.Scratch
		back := make([]byte, 0, len(src))
		run("read by huff0", func() {
			var rest []byte
			table, rest, _ = huff0.ReadTable(whole, table)
			back, _ = table.Decoder().Decompress4X(back[:0], rest)
		})
		twice := make([]byte, 2*len(src))
		var t Table
		readers(b, func(kernel string) {
			run("read one "+kernel, func() {
				rest, _ := t.Read(whole)
				ReadOne(&Part{&t, rest, twice[:len(src)]})
			})
			b.Run(fmt.Sprintf("%s/read two %s", name, kernel), func(b *testing.B) {
				b.SetBytes(int64(2 * len(src)))
				for b.Loop() {
					rest, _ := t.Read(whole)
					Read(&Part{&t, rest, twice[:len(src)]}, &Part{&t, rest, twice[len(src):]})
				}
			})
		})
	}
}
