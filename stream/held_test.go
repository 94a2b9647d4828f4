package stream

import (
	"slices"
	"testing"

	"weld/format"
	"weld/stream/run"
)

// Headers and plan count towards the memory up to half of it, and what they take beside it is said while they grow.
func TestHeld(t *testing.T) {
	const memory = 192 << 20
	for _, c := range []struct{ held, within int64 }{{130_000, 130_000}, {31_200_000, 31_200_000}, {130_000_000, memory / 2}} {
		if got := run.Within(c.held, memory); got != c.within {
			t.Errorf("of %d bytes, %d count towards the memory, want %d", c.held, got, c.within)
		}
	}
	p := newFamily(1, describe("a", format.F32, 3)).save(t)
	var said []int64
	_, err := Prepare(p.recipe(t, ask("linear", "base="+p.base)), "", Options{Memory: 100, Beyond: func(bytes int64) { said = append(said, bytes) }})
	if err == nil {
		t.Error("100 bytes are enough")
	}
	// One list of one tensor, which all inputs share, and one tensor that is planned.
	if want := int64(130 + 160 - 50); len(said) < 2 || slices.Max(said) != want || slices.Min(said) != want {
		t.Errorf("%d bytes beyond the memory are said, want %d for each input", said, want)
	}
}
