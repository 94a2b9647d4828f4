package seekzstd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"weld/mmapio"
)

// weights is content like that of a checkpoint: bfloat16 values that are noise in the
// low bits and alike in the high ones, with runs of zeros.
func weights(r *rand.Rand, n int) []byte {
	data := make([]byte, 0, n+2)
	for len(data) < n {
		if r.IntN(1000) == 0 {
			data = append(data, make([]byte, min(r.IntN(3000), n-len(data)))...)
		}
		bits := math.Float32bits(float32(r.NormFloat64() * 0.02))
		data = binary.LittleEndian.AppendUint16(data, uint16(bits>>16))
	}
	return data[:n]
}

// randomCuts cuts n bytes into frames of 1 to most bytes.
func randomCuts(r *rand.Rand, n, most int) []int64 {
	var cuts []int64
	for at := 0; at < n; {
		at = min(n, at+1+r.IntN(most))
		cuts = append(cuts, int64(at))
	}
	return cuts
}

// piece is a range of content that one call writes.
type piece struct{ from, to int }

func randomPieces(r *rand.Rand, n, most int) []piece {
	var pieces []piece
	for at := 0; at < n; {
		to := min(n, at+1+r.IntN(most))
		pieces = append(pieces, piece{at, to})
		at = to
	}
	return pieces
}

// write compresses data with so many goroutines, which take the pieces in order.
func write(out io.Writer, data []byte, cuts []int64, pieces []piece, workers int) error {
	w, err := NewWriter(out, cuts, workers)
	if err != nil {
		return err
	}
	var g sync.WaitGroup
	var mu sync.Mutex
	next := 0
	take := func() (p piece, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		if next == len(pieces) {
			return piece{}, false
		}
		next++
		return pieces[next-1], true
	}
	errs := make([]error, workers)
	for i := range workers {
		g.Go(func() {
			for p, ok := take(); ok && errs[i] == nil; p, ok = take() {
				var n int
				n, errs[i] = w.WriteAt(data[p.from:p.to], int64(p.from))
				if errs[i] == nil && n != p.to-p.from {
					errs[i] = io.ErrShortWrite
				}
			}
		})
	}
	g.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return w.Complete()
}

// compress is write with frames and pieces of even size.
func compress(t *testing.T, data []byte, frame int) []byte {
	t.Helper()
	var cuts []int64
	for at := 0; at < len(data); {
		at = min(len(data), at+frame)
		cuts = append(cuts, int64(at))
	}
	var out bytes.Buffer
	if err := write(&out, data, cuts, []piece{{0, len(data)}}, 1); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func saved(t *testing.T, file []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "content.zst")
	if err := os.WriteFile(path, file, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func opened(t *testing.T, file []byte) *CompressedFile {
	t.Helper()
	z, err := Open(saved(t, file))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { z.Close() })
	return z
}

func TestRoundTrip(t *testing.T) {
	decoder, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer decoder.Close()
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 0))
		data := weights(r, r.IntN(300_000))
		cuts := randomCuts(r, len(data), 1+r.IntN(40_000))
		pieces := randomPieces(r, len(data), 1+r.IntN(60_000))
		var file bytes.Buffer
		if err := write(&file, data, cuts, pieces, 1+r.IntN(6)); err != nil {
			t.Fatal(err)
		}
		if got, err := decoder.DecodeAll(file.Bytes(), nil); err != nil || !bytes.Equal(got, data) {
			t.Errorf("seed %d: a plain decoder restores %d of %d bytes: %v", seed, len(got), len(data), err)
		}
		z := opened(t, file.Bytes())
		if z.Size() != int64(len(data)) {
			t.Errorf("seed %d: Size %d, want %d", seed, z.Size(), len(data))
		}
		if got, err := io.ReadAll(io.NewSectionReader(z, 0, z.Size())); err != nil || !bytes.Equal(got, data) {
			t.Errorf("seed %d: reading restores %d of %d bytes: %v", seed, len(got), len(data), err)
		}
		for i, cut := range cuts {
			if z.Find(cut-1) != i || z.Find(cut) != i+1 {
				t.Errorf("seed %d: frame %d ends elsewhere than it was cut", seed, i)
			}
		}
	}
}

func TestZstdToolReadsIt(t *testing.T) {
	tool, err := exec.LookPath("zstd")
	if err != nil {
		t.Skip("no zstd tool")
	}
	r := rand.New(rand.NewPCG(9, 9))
	for _, n := range []int{0, 1, 200_000} {
		data := weights(r, n)
		path := saved(t, compress(t, data, 30_000))
		if out, err := exec.Command(tool, "-q", "-t", path).CombinedOutput(); err != nil {
			t.Errorf("%d bytes: zstd -t: %v: %s", n, err, out)
		}
		got, err := exec.Command(tool, "-q", "-d", "-c", path).Output()
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("zstd -d restores %d of %d bytes: %v", len(got), n, err)
		}
	}
}

func TestSameBytesForAnyWorkers(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	data := weights(r, 500_000)
	cuts := randomCuts(r, len(data), 20_000)
	var want []byte
	for _, workers := range []int{1, 2, 3, 8} {
		for range 2 {
			var file bytes.Buffer
			if err := write(&file, data, cuts, randomPieces(r, len(data), 30_000), workers); err != nil {
				t.Fatal(err)
			}
			if want == nil {
				want = file.Bytes()
			}
			if !bytes.Equal(file.Bytes(), want) {
				t.Errorf("the file that %d workers wrote differs", workers)
			}
		}
	}
}

func TestReadAnywhere(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	data := weights(r, 200_000)
	cuts := randomCuts(r, len(data), 9_000)
	var file bytes.Buffer
	if err := write(&file, data, cuts, randomPieces(r, len(data), 50_000), 2); err != nil {
		t.Fatal(err)
	}
	z := opened(t, file.Bytes())
	ranges := [][2]int{{0, 0}, {0, 1}, {0, len(data)}, {len(data) - 1, 1}, {len(data), 0}}
	for _, cut := range cuts[:min(10, len(cuts)-1)] {
		ranges = append(ranges, [2]int{int(cut), 1}, [2]int{int(cut) - 1, 1}, [2]int{int(cut) - 1, 2}, [2]int{int(cut), 0})
	}
	for range 100 {
		off := r.IntN(len(data))
		ranges = append(ranges, [2]int{off, r.IntN(min(len(data)-off, 30_000))})
	}
	for _, x := range ranges {
		checkRange(t, z, data, x[0], x[1])
	}
	checkIdle(t, z)
}

// checkRange reads content in both ways and compares.
func checkRange(t *testing.T, z *CompressedFile, data []byte, off, n int) {
	t.Helper()
	want := data[off : off+n]
	v, err := z.View(int64(off), int64(n))
	if err != nil || !bytes.Equal(v.Data, want) {
		t.Errorf("View(%d, %d): %v, or other content", off, n, err)
	}
	defer v.Release()
	z.Advise(mmapio.Soon, int64(off), int64(n))
	buf := make([]byte, n)
	if got, err := z.ReadAt(buf, int64(off)); err != nil || got != n || !bytes.Equal(buf, want) {
		t.Errorf("ReadAt(%d bytes, %d): %d, %v, or other content", n, off, got, err)
	}
}

// checkIdle demands that no frame is lent, and few are kept.
func checkIdle(t *testing.T, z *CompressedFile) {
	t.Helper()
	if lent, idle := z.Buffers(); lent != 0 || idle > 2 {
		t.Errorf("%d frames are lent, %d are kept; want none, and at most 2", lent, idle)
	}
}

func TestReadConcurrently(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	data := weights(r, 200_000)
	z := opened(t, compress(t, data, 10_000))
	var g sync.WaitGroup
	for seed := range uint64(8) {
		g.Go(func() {
			r := rand.New(rand.NewPCG(seed, 9))
			for range 60 {
				off := r.IntN(len(data))
				checkRange(t, z, data, off, r.IntN(min(len(data)-off, 15_000)))
			}
		})
	}
	g.Wait()
	checkIdle(t, z)
}

// TestLentFramesAreDecodedOnce borrows the parts of one frame at the same time.
func TestLentFramesAreDecodedOnce(t *testing.T) {
	data := weights(rand.New(rand.NewPCG(1, 1)), 10_000)
	z := opened(t, compress(t, data, 10_000))
	a, errA := z.View(0, 5000)
	b, errB := z.View(2500, 5000)
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	if &a.Data[2500] != &b.Data[0] {
		t.Error("the frame was decoded twice")
	}
	if cap(a.Data) != len(a.Data) {
		t.Error("a view can be appended to, over its neighbour's bytes")
	}
	a.Release()
	b.Release()
	checkIdle(t, z)
}

func TestReadBounds(t *testing.T) {
	z := opened(t, compress(t, make([]byte, 1000), 300))
	for _, c := range [][2]int64{{-1, 1}, {0, -1}, {0, 1001}, {1000, 1}, {1001, 0}, {1, math.MaxInt64}, {math.MaxInt64, 1}} {
		if _, err := z.View(c[0], c[1]); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("View(%d, %d): error %v, want io.ErrUnexpectedEOF", c[0], c[1], err)
		}
	}
	buf := make([]byte, 100)
	if n, err := z.ReadAt(buf, 950); n != 50 || err != io.EOF {
		t.Errorf("ReadAt across the end: %d, %v, want 50, EOF", n, err)
	}
	for _, off := range []int64{1000, 5000, math.MaxInt64} {
		if n, err := z.ReadAt(buf, off); n != 0 || err != io.EOF {
			t.Errorf("ReadAt(%d): %d, %v, want 0, EOF", off, n, err)
		}
	}
	if _, err := z.ReadAt(buf, -1); err == nil || err == io.EOF {
		t.Errorf("ReadAt(-1): %v", err)
	}
	for _, c := range [][2]int64{{-5, 2}, {0, 0}, {990, 100}, {5000, 1}} {
		z.Advise(mmapio.Soon, c[0], c[1]) // does nothing, but must not fail
	}
}

// TestViewLimit asks for more than any view may hold, in a file whose frames would
// have it.
func TestViewLimit(t *testing.T) {
	zeros := make([]byte, MaxFrame)
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.Close()
	one := encoder.EncodeAll(zeros, nil) // of the largest size
	var file []byte
	entries := make([][2]uint32, 3)
	for i := range entries {
		file = append(file, one...)
		entries[i] = [2]uint32{uint32(len(one)), MaxFrame}
	}
	z := opened(t, append(file, seekTable(entries, 0)...))
	v, err := z.View(MaxFrame-1, 2)
	if err != nil || len(v.Data) != 2 {
		t.Errorf("across frames of the largest size: %v", err)
	}
	v.Release()
	if _, err := z.View(0, mmapio.MaxView+1); err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a view over the limit: %v", err)
	}
}

func TestEmptyContent(t *testing.T) {
	z := opened(t, compress(t, nil, 1))
	if z.Size() != 0 {
		t.Errorf("Size %d", z.Size())
	}
	checkRange(t, z, nil, 0, 0)
	if n, err := z.ReadAt(make([]byte, 1), 0); n != 0 || err != io.EOF {
		t.Errorf("ReadAt: %d, %v, want 0, EOF", n, err)
	}
}

func TestViewCost(t *testing.T) {
	z := opened(t, compress(t, make([]byte, 1000), 300))
	if got, want := z.ViewCost(50), int64(50+3*300); got != want {
		t.Errorf("ViewCost(50) = %d, want %d", got, want)
	}
}
