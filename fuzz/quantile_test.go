package fuzz_test

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"weld/scoring"
)

// scores reads bytes as scores: finite and at least 0, of any magnitude.
func scores(data []byte) []float32 {
	const infinity = 0x7f800000
	s := make([]float32, len(data)/4)
	for i := range s {
		s[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]) % infinity)
	}
	return s
}

func scoreBytes(s ...float32) []byte {
	var data []byte
	for _, x := range s {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
	}
	return data
}

// quantile finds the k-th largest score as the engine does: tiles of the lengths that
// cuts says, shared out between two workers.
func quantile(s []float32, k int64, cuts []byte) float32 {
	q := scoring.NewQuantile(k)
	workers := [2]*scoring.Counts{scoring.NewCounts(), scoring.NewCounts()}
	for again := true; again; again = q.Next() {
		rest := s
		for i := 0; len(rest) > 0; i++ {
			n := len(rest)
			if i < len(cuts) {
				n = min(n, int(cuts[i]))
			}
			q.Count(workers[i%2], rest[:n], q.Window(scoring.Identity))
			rest = rest[n:]
			if i%5 == 4 { // a worker adds what it has whenever a tensor ends
				q.Add(workers[i%2])
			}
		}
		q.Add(workers[1])
		q.Add(workers[0])
	}
	return q.Value()
}

// FuzzQuantile demands the threshold that sorting everything gives, to the bit, and a
// mask that keeps at least the share that was asked for.
func FuzzQuantile(f *testing.F) {
	f.Add(scoreBytes(0), 1.0, []byte(nil))
	f.Add(scoreBytes(1, 1, 1, 1, 1), 0.2, []byte{1, 0, 3})
	f.Add(scoreBytes(0, 0, 0, 2, 0), 0.5, []byte{2, 2})
	f.Add(scoreBytes(1, math.Nextafter32(1, 2), 1, math.Nextafter32(1, 0)), 0.25, []byte{1, 1, 1, 1, 1, 1})
	f.Add(scoreBytes(math.MaxFloat32, math.SmallestNonzeroFloat32, 0), 0.34, []byte{1})
	f.Add(scoreBytes(3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5), 1e-300, []byte{4, 0, 0, 7})
	f.Fuzz(func(t *testing.T, data []byte, density float64, cuts []byte) {
		s := scores(data[:min(len(data), 1<<14)])
		if !(density >= 0 && density <= 1) {
			t.Skip("recipes refuse such a density")
		}
		k := scoring.Rank(density, int64(len(s)))
		if exact := density * float64(len(s)); float64(k) < exact || exact > 0 && float64(k)-1 >= exact {
			t.Fatalf("density %v of %d scores: rank %d", density, len(s), k)
		}
		if k == 0 {
			return // nothing is kept, and no quantile is looked for
		}
		sorted := slices.Clone(s)
		slices.Sort(sorted)
		want := sorted[int64(len(s))-k]
		got := quantile(s, k, cuts)
		if math.Float32bits(got) != math.Float32bits(want) {
			t.Fatalf("the score of rank %d of %d is %v (%#08x), got %v (%#08x)", k, len(s), want, math.Float32bits(want), got, math.Float32bits(got))
		}
		kept := int64(scoring.Threshold{T: got}.Kept(s))
		switch {
		case got > 0 && kept < k:
			t.Errorf("threshold %v keeps %d of %d scores, fewer than %d", got, kept, len(s), k)
		case got == 0 && kept > k: // only scores above 0, which are fewer
			t.Errorf("threshold 0 keeps %d scores, more than %d", kept, k)
		}
	})
}
