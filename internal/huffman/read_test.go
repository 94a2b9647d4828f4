package huffman

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/huff0"
)

// Any two parts are read side by side.
func TestRead(t *testing.T) {
	everyReader(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		var c Code
		var ta, tb Table
		for _, n := range lengths {
			parts := specimens(r, n)
			for _, m := range []int{n, lengths[r.IntN(len(lengths))]} {
				others := specimens(r, m)
				for name, src := range parts {
					other := others[name]
					if r.IntN(2) == 0 {
						other = others["bfloat16"]
					}
					first, second := coded(&c, src), coded(&c, other)
					if first == nil || second == nil {
						continue
					}
					got, gotOther := make([]byte, n), make([]byte, m)
					a, err := part(&ta, first, got)
					b, errB := part(&tb, second, gotOther)
					if err := errors.Join(err, errB, Read(a, b)); err != nil || !bytes.Equal(got, src) || !bytes.Equal(gotOther, other) {
						t.Fatalf("%s, %d and %d bytes: %v", name, n, m, err)
					}
					clear(got)
					if err := ReadOne(a); err != nil || !bytes.Equal(got, src) {
						t.Fatalf("%s, %d bytes alone: %v", name, n, err)
					}
				}
			}
		}
	})
}

// part is what a code and its streams say of some content.
func part(t *Table, coded, content []byte) (*Part, error) {
	rest, err := t.Read(coded)
	return &Part{t, rest, content}, err
}

// What another implementation writes is read, too.
func TestReadOthers(t *testing.T) {
	everyReader(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 4))
		var table Table
		for _, n := range []int{100, 1000, 20000, MostBytes} {
			for name, src := range specimens(r, n) {
				theirs, _, err := huff0.Compress4X(src, &huff0.Scratch{Reuse: huff0.ReusePolicyNone})
				if err != nil {
					continue
				}
				got, twice := make([]byte, n), make([]byte, n)
				a, err := part(&table, theirs, got)
				if err != nil {
					t.Fatalf("%s, %d bytes: %v", name, n, err)
				}
				if err := Read(a, &Part{&table, a.Coded, twice}); err != nil || !bytes.Equal(got, src) || !bytes.Equal(twice, src) {
					t.Fatalf("%s, %d bytes: %v", name, n, err)
				}
			}
		}
	})
}

// What is no description, and what are no streams, is refused.
func TestRefused(t *testing.T) {
	var table Table
	for name, d := range map[string][]byte{
		"nothing": {}, "cut short": {128}, "coded, cut short": {3, 1, 1}, "a code of 12 bits": {127 + 12, 0x11, 0x23, 0x45, 0x67, 0x89, 0xab},
		"a weight of 13": {127 + 2, 0xd1}, "no power of 2 is left": {127 + 5, 0x11, 0x11, 0x10}, "no weight": {128, 0}, "no pair of longest codes": {127 + 2, 0x22},
	} {
		if _, err := table.Read(d); !errors.Is(err, errDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var c Code
	src := make([]byte, 1000)
	for i := range 100 {
		src[7*i] = byte(1 + i%3) // 0 has a code of one bit
	}
	rest, err := table.Read(coded(&c, src))
	if err != nil {
		t.Fatal(err)
	}
	changed := func(at int, b ...byte) []byte {
		p := bytes.Clone(rest)
		copy(p[at:], b)
		return p
	}
	everyReader(t, func(t *testing.T) {
		for name, x := range map[string]struct {
			coded []byte
			n     int
		}{
			"no room for lengths": {rest[:jumps-1], 1000}, "an empty stream": {changed(0, 0, 0), 1000}, "one beyond the end": {changed(2, 255, 255), 1000},
			"one without an end": {changed(len(rest)-1, 0), 1000}, "no last stream": {rest[:len(rest)-int(rest[4])], 1000},
			"a bit more": {rest, 996}, "a byte less": {rest, 1004}, "too little": {c.AppendStreams(nil, make([]byte, 8)), 8},
			"too much": {c.AppendStreams(nil, make([]byte, MostBytes+4)), MostBytes + 4}, "a byte behind the end": {append(c.AppendStreams(nil, make([]byte, 28)), 0), 28},
		} {
			p := &Part{&table, x.coded, make([]byte, x.n)}
			if err := ReadOne(p); !errors.Is(err, errDamaged) {
				t.Errorf("%s: %v", name, err)
			}
			if err := Read(p, p); !errors.Is(err, errDamaged) {
				t.Errorf("%s, twice: %v", name, err)
			}
		}
	})
}

// FuzzRead reads whatever it is given, by assembly and by the reference: both say the same, and what is read is what another
// implementation reads.
func FuzzRead(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 6))
	var c Code
	for _, n := range []int{13, 100, 1000} {
		for _, src := range specimens(r, n) {
			if whole := coded(&c, src); whole != nil {
				f.Add(whole, n)
				f.Add(whole[:len(whole)/2], n)
			}
		}
	}
	f.Fuzz(func(t *testing.T, whole []byte, n int) {
		if n < 0 || n > 1<<14 {
			return
		}
		var table Table
		got, twice := make([]byte, n), make([]byte, n)
		a, err := part(&table, whole, got)
		if err != nil {
			return
		}
		var results []error
		readers(t, func(string) {
			results = append(results, ReadOne(a), Read(a, &Part{&table, a.Coded, twice}))
		})
		for _, err := range results {
			if (err == nil) != (results[0] == nil) {
				t.Errorf("%v and %v", results[0], err)
			}
		}
		if results[0] != nil {
			return
		}
		if !bytes.Equal(got, twice) {
			t.Error("a part and itself differ")
		}
		if theirs, err := readBack(whole, n); err != nil || !bytes.Equal(theirs, got) {
			t.Errorf("huff0: %v", err)
		}
	})
}

// everyReader runs a test with the reference, and with what the machine has.
func everyReader(t *testing.T, test func(t *testing.T)) {
	readers(t, func(name string) { t.Run(name, test) })
}
