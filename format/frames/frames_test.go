package frames

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
)

// flip codes content by turning its bits over.
func flip(dst, src []byte) {
	for i, b := range src {
		dst[i] = ^b
	}
}

// Content written in any order by several goroutines is read back, whole and in parts, although frames
// are announced while others are under way.
func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	content := make([]byte, 50_000)
	for i := range content {
		content[i] = byte(r.Uint32())
	}
	var cuts []int64
	for last := 0; last < len(content); {
		last = min(len(content), last+1+r.IntN(900))
		cuts = append(cuts, int64(last))
	}
	var coded [][]byte
	w := NewWriter(3, func(_ int, _ int64, content, buffer []byte) ([]byte, error) {
		buffer = append(buffer, content...)
		flip(buffer, content)
		return buffer, nil
	}, func(frame int, size int64, data []byte) error {
		if frame != len(coded) || size != int64(len(data)) {
			t.Errorf("frame %d of %d bytes comes as number %d with %d", frame, size, len(coded), len(data))
		}
		coded = append(coded, bytes.Clone(data))
		return nil
	})
	half := len(cuts) / 2
	for _, part := range [][]int64{cuts[:half], cuts[half:]} {
		if err := w.Extend(part...); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	next := 0
	var g sync.WaitGroup
	for range 3 {
		g.Go(func() {
			for {
				mu.Lock()
				lo := next
				hi := min(lo+777, len(content))
				next = hi
				mu.Unlock()
				if lo == hi {
					return
				}
				if n, err := w.WriteAt(content[lo:hi], int64(lo)); err != nil || n != hi-lo {
					t.Error(n, err)
					return
				}
			}
		})
	}
	g.Wait()
	if err := w.Complete(); err != nil {
		t.Fatal(err)
	}

	reader := NewReader("x", cuts, func(i int, dst []byte) error { flip(dst, coded[i]); return nil })
	for range 300 {
		off := r.IntN(len(content))
		n := r.IntN(min(4000, len(content)-off))
		v, err := reader.View(int64(off), int64(n))
		got := make([]byte, n)
		_, err2 := reader.ReadAt(got, int64(off))
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		if want := content[off : off+n]; !bytes.Equal(v.Data, want) || !bytes.Equal(got, want) {
			t.Fatalf("[%d, %d) holds something else", off, off+n)
		}
		v.Release()
	}
	if lent, idle := reader.Buffers(); lent != 0 || idle > idleFrames {
		t.Errorf("%d frames are lent, %d idle", lent, idle)
	}
	var spare int64
	for _, b := range reader.spare {
		spare += int64(cap(b))
	}
	if spare > 4*reader.largest {
		t.Errorf("%d bytes wait for their next use", spare)
	}
}

// A frame that cannot be decoded is an error for everyone who wants it, again and again.
func TestDecodeFails(t *testing.T) {
	broken := errors.New("broken")
	reader := NewReader("x", []int64{10, 20}, func(i int, dst []byte) error {
		if i == 1 {
			return broken
		}
		clear(dst)
		return nil
	})
	for range 2 {
		for _, c := range [][2]int64{{12, 3}, {5, 10}, {10, 10}} {
			if _, err := reader.View(c[0], c[1]); !errors.Is(err, broken) {
				t.Errorf("bytes from %d: %v", c[0], err)
			}
		}
	}
	if lent, _ := reader.Buffers(); lent != 0 {
		t.Errorf("%d frames are still lent", lent)
	}
}

// What coding or appending reports ends the writer.
func TestFailures(t *testing.T) {
	broken := errors.New("broken")
	encode := func(_ int, _ int64, content, buffer []byte) ([]byte, error) { return append(buffer, content...), nil }
	for name, w := range map[string]*Writer{
		"encode": NewWriter(1, func(int, int64, []byte, []byte) ([]byte, error) { return nil, broken }, func(int, int64, []byte) error { return nil }),
		"put":    NewWriter(1, encode, func(int, int64, []byte) error { return broken }),
	} {
		if err := w.Extend(2, 4); err != nil {
			t.Fatal(err)
		}
		if _, err := w.WriteAt([]byte("ab"), 0); err != broken {
			t.Errorf("%s: %v", name, err)
		}
		if err := w.Complete(); err != broken {
			t.Errorf("%s: complete: %v", name, err)
		}
	}
}
