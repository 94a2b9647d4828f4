package seekzstd

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"

	"weld/format/frames"
)

func TestCutsAreChecked(t *testing.T) {
	for name, cuts := range map[string][]int64{
		"empty first frame": {0},
		"negative":          {-5},
		"empty frame":       {10, 10},
		"descending":        {10, 5},
		"too large":         {MaxFrame + 1},
		"too large later":   {MaxFrame, 2*MaxFrame + 1},
	} {
		if _, err := NewWriter(io.Discard, cuts, 1); err == nil {
			t.Errorf("%s: %v was accepted", name, cuts)
		}
	}
	if _, err := NewWriter(io.Discard, []int64{1, MaxFrame + 1}, 1); err != nil {
		t.Error(err)
	}
}

// TestWindow writes a piece that is too far ahead: it waits until the frames before
// it are appended, one after the other.
func TestWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const workers, frame = 2, 10
		ahead := frames.Window(workers)
		cuts := make([]int64, ahead+3)
		for i := range cuts {
			cuts[i] = int64(i+1) * frame
		}
		var out bytes.Buffer
		w, err := NewWriter(&out, cuts, workers)
		if err != nil {
			t.Fatal(err)
		}
		content := make([]byte, len(cuts)*frame)
		for i := range content {
			content[i] = byte(i)
		}
		fill := func(i int) error {
			_, err := w.WriteAt(content[i*frame:][:frame], int64(i*frame))
			return err
		}
		for i := 1; i < ahead; i++ { // all but the first: nothing waits, nothing is appended
			if err := fill(i); err != nil {
				t.Fatal(err)
			}
		}
		if held, _ := w.Buffers(); out.Len() != 0 || held != ahead-1 {
			t.Errorf("%d bytes are out, %d frames are held", out.Len(), held)
		}
		done := make([]bool, len(cuts))
		for i := ahead; i < len(cuts); i++ {
			go func() {
				if err := fill(i); err != nil {
					t.Error(err)
				}
				done[i] = true
			}()
		}
		synctest.Wait()
		for i := ahead; i < len(cuts); i++ {
			if done[i] {
				t.Errorf("frame %d did not wait", i)
			}
		}
		if held, _ := w.Buffers(); held != ahead-1 {
			t.Errorf("%d frames are held while others wait", held)
		}
		if err := fill(0); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for i := ahead; i < len(cuts); i++ {
			if !done[i] {
				t.Errorf("frame %d still waits", i)
			}
		}
		if err := w.Complete(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(io.NewSectionReader(opened(t, out.Bytes()), 0, 1<<20)); err != nil || !bytes.Equal(got, content) {
			t.Errorf("the file holds other content: %v", err)
		}
	})
}

func TestAbortWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := NewWriter(io.Discard, []int64{1, 2, 3, 4, 5, 6}, 1)
		if err != nil {
			t.Fatal(err)
		}
		stop := errors.New("stop")
		results := make(chan error, 2)
		for i := range 2 {
			go func() {
				_, err := w.WriteAt([]byte{1}, int64(4+i))
				results <- err
			}()
		}
		synctest.Wait()
		if len(results) != 0 {
			t.Error("nothing waited")
		}
		w.Abort(stop)
		w.Abort(errors.New("the second reason does not count"))
		for range 2 {
			if err := <-results; err != stop {
				t.Errorf("a writer that waited got %v", err)
			}
		}
		if _, err := w.WriteAt([]byte{1}, 0); err != stop {
			t.Errorf("a later write got %v", err)
		}
		if err := w.Complete(); err != stop {
			t.Errorf("Complete got %v", err)
		}
	})
}

// full is a disk that takes so many writes.
type full struct {
	bytes.Buffer
	takes int
}

var errFull = errors.New("no space left")

func (f *full) Write(p []byte) (int, error) {
	if f.takes--; f.takes < 0 {
		return 0, errFull
	}
	return f.Buffer.Write(p)
}

// TestWriteErrorsSurface fails each of the writes in turn; the last is the table's.
func TestWriteErrorsSurface(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	data := weights(r, 100_000)
	cuts := randomCuts(r, len(data), 9_000)
	for takes := range len(cuts) + 1 {
		err := write(&full{takes: takes}, data, cuts, randomPieces(r, len(data), 5_000), 4)
		if !errors.Is(err, errFull) {
			t.Errorf("after %d writes: error %v, want that of the disk", takes, err)
		}
	}
	if err := write(&full{takes: len(cuts) + 1}, data, cuts, randomPieces(r, len(data), 5_000), 4); err != nil {
		t.Error(err)
	}
}

func TestUnfilledFrames(t *testing.T) {
	for name, pieces := range map[string][]piece{
		"nothing":     nil,
		"last frame":  {{0, 20}},
		"first frame": {{10, 30}},
		"one byte":    {{0, 14}, {15, 30}},
	} {
		var out bytes.Buffer
		err := write(&out, make([]byte, 30), []int64{10, 20, 30}, pieces, 2)
		if err == nil || !strings.Contains(err.Error(), "never filled") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestMisuseIsAnError writes what nobody announced, or twice.
func TestMisuseIsAnError(t *testing.T) {
	w, err := NewWriter(io.Discard, []int64{10, 20, 30}, 2)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := w.WriteAt(make([]byte, 15), 20); n != 10 || err == nil {
		t.Errorf("beyond the end: %d, %v, want 10 and an error", n, err)
	}
	if _, err := w.WriteAt(make([]byte, 10), 20); err == nil {
		t.Error("a frame that waits was written twice")
	}
	if _, err := w.WriteAt(make([]byte, 10), 0); err != nil {
		t.Error(err)
	}
	if _, err := w.WriteAt(make([]byte, 1), 3); err == nil {
		t.Error("a frame that was appended was written again")
	}
	if n, err := w.WriteAt(nil, 3); n != 0 || err != nil {
		t.Errorf("nothing: %d, %v", n, err)
	}
}

// TestBuffersAreBounded writes frames of ever larger size, which no spare buffer fits.
func TestBuffersAreBounded(t *testing.T) {
	const workers = 2
	var cuts []int64
	last := int64(0)
	for size := range int64(200) {
		last += 1 + 50*size
		cuts = append(cuts, last)
	}
	w, err := NewWriter(io.Discard, cuts, workers)
	if err != nil {
		t.Fatal(err)
	}
	data := weights(rand.New(rand.NewPCG(2, 2)), int(last))
	from := int64(0)
	for i, cut := range cuts {
		if _, err := w.WriteAt(data[from:cut], from); err != nil {
			t.Fatal(err)
		}
		if _, spare := w.Buffers(); spare > 2*frames.Window(workers) {
			t.Fatalf("%d buffers are kept after %d frames", spare, i+1)
		}
		from = cut
	}
	if err := w.Complete(); err != nil {
		t.Error(err)
	}
}
