package stream

import (
	"testing"

	"weld/format/open"
)

// Headers and plan count towards the memory up to half of it, and what they take beside it is told while they grow.
func TestHeld(t *testing.T) {
	const memory = 192 << 20
	for _, c := range []struct{ tensors, within, beyond int64 }{
		{1_000, 130_000, 0},
		{240_000, 31_200_000, 0},
		{1_000_000, memory / 2, 130_000_000 - memory/2},
	} {
		p := &Plan{Options: Options{Memory: memory}, lists: c.tensors}
		if p.within() != c.within || p.beyond() != c.beyond || p.heldBytes() != c.within+c.beyond {
			t.Errorf("%d tensors: %d within, %d beyond", c.tensors, p.within(), p.beyond())
		}
	}
	told := int64(-1)
	dir := t.TempDir()
	a := checkpoint{raw("a", 1, nil, 0)}.saveShards(t, dir+"/a", 1)
	p := &Plan{Options: Options{Memory: 100, Beyond: func(bytes int64) { told = bytes }}}
	for range 2 {
		c, err := open.Checkpoint(a)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		p.Sources = append(p.Sources, Source{Checkpoint: c})
		p.hold(len(p.Sources) - 1)
	}
	if p.lists != 1 || told != listedBytes+plannedBytes-50 {
		t.Errorf("%d tensors are listed, %d bytes told", p.lists, told)
	}
}
