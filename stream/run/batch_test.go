package run

import (
	"testing"
	"time"

	"weld/stream/fuse"
)

// Workers that take batches make the stages of their tensors at once: whoever makes some holds no lock.
func TestStagesAreMadeAtOnce(t *testing.T) {
	s := shapes{models: 1}
	s.add(8, 8)
	s.add(8, 8)
	meet := make(chan struct{})
	w := &walk{Runner: New(Config{Tensors: s, Method: constant{}, Budget: Budget{Workers: 2, Span: bestSpan}})}
	w.chain = func(int) []fuse.Stage {
		select {
		case meet <- struct{}{}:
		case <-meet:
		case <-time.After(20 * time.Second):
			t.Error("nobody else makes stages meanwhile")
		}
		return []fuse.Stage{new(countingStage)}
	}
	if n := w.Batch(0); n != 2 {
		t.Fatalf("a batch of %d", n)
	}
	other := make(chan bool)
	go func() { other <- w.open(new(task), 1) }()
	if !w.open(new(task), 0) || !<-other {
		t.Error("nothing to do")
	}
}
