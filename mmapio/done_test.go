package mmapio

import (
	"math/rand/v2"
	"testing"
)

// The pages of a file are dropped once all of it is done, in whatever order that happens and however small the pieces are,
// and never one that is wanted: by a system that drops whole folios only.
func TestDonesDropWholeFolios(t *testing.T) {
	const size, page = 64 << 20, 4 << 10
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 7))
		folio := int64(page) << r.IntN(10) // up to 2 MiB
		piece := int64(1000) << r.IntN(13)
		var pieces []fileRange
		for off := int64(0); off < size; {
			n := min(size-off, 1+r.Int64N(piece))
			pieces = append(pieces, fileRange{off, n})
			off += n
		}
		const near = 20 // workers finish out of order, but not by much
		for i := range pieces {
			j := min(len(pieces)-1, i+r.IntN(near))
			pieces[i], pieces[j] = pieces[j], pieces[i]
		}
		cached := make([]bool, size/folio)
		done := make([]int64, size/folio) // bytes
		var d dones
		for round := range 2 {
			for i := range cached {
				cached[i], done[i] = true, 0
			}
			if round > 0 { // all of it is read once more
				d.wanted(0, size)
			}
			calls := 0
			for _, p := range pieces {
				for off := p.off; off < p.off+p.n; {
					n := min(p.off+p.n, (off/folio+1)*folio) - off
					done[off/folio] += n
					off += n
				}
				drop := d.add(p.off, p.n)
				if drop.n == 0 {
					continue
				}
				calls++
				for f := (drop.off + folio - 1) / folio; (f+1)*folio <= drop.off+drop.n; f++ {
					if done[f] < folio {
						t.Fatalf("seed %d: a folio of %d KiB at %d is dropped when %d bytes of it are done", seed, folio>>10, f*folio, done[f])
					}
					cached[f] = false
				}
			}
			left := int64(0)
			for _, c := range cached {
				if c {
					left += folio
				}
			}
			if most := int64(dropBytes + 2*dropEdge); left > most {
				t.Errorf("seed %d, round %d: folios of %d KiB, pieces up to %d bytes: %d KiB stay in the cache", seed, round, folio>>10, piece, left>>10)
			}
			if calls > size/dropBytes+len(pieces)/mostRanges+8 {
				t.Errorf("seed %d: %d calls for %d pieces", seed, calls, len(pieces))
			}
		}
	}
}

// What is wanted again is not dropped with what lies beside it.
func TestDonesKeepWhatIsWanted(t *testing.T) {
	var d dones
	if r := d.add(0, 3*dropBytes); r != (fileRange{0, 3 * dropBytes}) {
		t.Errorf("three times as much as is dropped at once: %v", r)
	}
	d.wanted(dropBytes, 10)
	if r := d.add(3*dropBytes, dropBytes); r != (fileRange{dropBytes + 10, 3*dropBytes - 10}) {
		t.Errorf("%v is dropped; what lies before byte %d is wanted", r, dropBytes+10)
	}
	if r := d.add(dropBytes, 10); r.n != 0 {
		t.Errorf("10 bytes are dropped by themselves: %v", r)
	}
	for i := range int64(mostRanges) { // far from each other
		if r := d.add((100+2*i)*dropBytes, 5); r.n != 0 && r.off+r.n > 4*dropBytes {
			t.Errorf("%v is dropped", r)
		}
	}
	if len(d.ranges) > mostRanges {
		t.Errorf("%d ranges are remembered", len(d.ranges))
	}
}

// What lies beside a told range is told with its edge, and what was told is not told again.
func TestDonesTellEdges(t *testing.T) {
	const m = dropBytes
	var d dones
	for _, c := range []struct {
		off, n int64
		want   fileRange
	}{
		{10 * m, 8 * m, fileRange{10 * m, 8 * m}}, {18 * m, m, fileRange{16 * m, 3 * m}}, {9 * m, m, fileRange{9 * m, 3 * m}},
	} {
		if r := d.add(c.off, c.n); r != c.want {
			t.Errorf("%d bytes at %d: %v is dropped, want %v", c.n, c.off, r, c.want)
		}
	}
	for i := range int64(mostRanges) { // the last one drives out the first, of which all is told
		if r := d.add((100+2*i)*m, 5); r.n != 0 {
			t.Errorf("range %d: %v is dropped", i, r)
		}
	}
	if r := d.add(1000*m, m); r != (fileRange{1000 * m, m}) {
		t.Errorf("%v is dropped, in place of what is enough", r)
	}
	if d.wanted(0, 1<<40); len(d.ranges) != 0 {
		t.Errorf("%d ranges are done, though all is wanted", len(d.ranges))
	}
	d.add(0, m-1)
	d.wanted(100, m)
	if r := d.add(100, 100); r.n != 0 {
		t.Errorf("%v is dropped for 200 bytes", r)
	}
}
