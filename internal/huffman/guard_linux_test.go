package huffman

import (
	"bytes"
	"math/rand/v2"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// guarded returns n bytes that end, or begin, where a page that must not be touched begins, or ends. They are never given back.
func guarded(t *testing.T, n int, atEnd bool) []byte {
	page := os.Getpagesize()
	whole := (n + page - 1) / page * page
	region, err := unix.Mmap(-1, 0, page+whole+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	for _, guard := range [][]byte{region[:page], region[page+whole:]} {
		if err := unix.Mprotect(guard, unix.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	if atEnd {
		return region[page+whole-n : page+whole : page+whole]
	}
	return region[page : page+n : page+n]
}

// Kernels touch nothing beside what they were given, whatever is read: also streams that are damaged.
func TestGuarded(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{LeastBytes, 64, 257, 1000, 40000} {
		for _, atEnd := range []bool{false, true} {
			src, room, dst, other := guarded(t, n, atEnd), guarded(t, Room(n), atEnd), guarded(t, n, atEnd), guarded(t, n, atEnd)
			coded := guarded(t, 2*n+200, atEnd)
			for name, content := range specimens(r, n) {
				copy(src, content)
				var counts Counts
				counts.Add(src)
				var c Code
				var table Table
				if !c.Build(&counts) {
					continue
				}
				if _, err := table.Read(c.Description()); err != nil {
					t.Fatal(err)
				}
				kernels(t, func(string) {
					streams := c.AppendStreams(room[:0], src)
					in := coded[:len(streams)]
					if atEnd {
						in = coded[len(coded)-len(streams):]
					}
					copy(in, streams)
					a, b := &Part{&table, in, dst}, &Part{&table, in, other}
					if Read(a, b) != nil || !bytes.Equal(dst, content) || ReadOne(b) != nil || !bytes.Equal(other, content) {
						t.Errorf("%s, %d bytes: not read", name, n)
					}
					for range 20 {
						in[r.IntN(len(in))] ^= byte(1 << r.IntN(8))
						Read(a, b)
						ReadOne(b)
					}
				})
			}
		}
	}
}
