package format

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// Kept names are what they were, however many follow, and take a few pieces of memory.
func TestNames(t *testing.T) {
	var names Names
	var got []string
	text := []byte("model.layers.0.mlp.weight")
	allocs := testing.AllocsPerRun(1, func() {
		got = got[:0]
		for i := range 20_000 {
			text = append(strconv.AppendInt(append(text[:0], "model.layers."...), int64(i), 10), ".mlp.weight"...)
			got = append(got, names.Keep(text, 1<<20))
		}
	})
	for i, name := range got {
		if want := fmt.Sprintf("model.layers.%d.mlp.weight", i); name != want {
			t.Fatalf("name %d is %q", i, name)
		}
	}
	if allocs > 100 {
		t.Errorf("%v allocations", allocs)
	}
	long := strings.Repeat("x", 3*namesPiece)
	if names.Keep([]byte(long), len(long)) != long || names.Keep(nil, 0) != "" {
		t.Error("a long name, or an empty one, is not what it was")
	}
}

func TestTable(t *testing.T) {
	var list []string
	at := func(i int) string { return list[i] }
	var table NameTable
	if _, ok := table.Find("a", at); ok {
		t.Error("found in an empty table")
	}
	for i := range 5000 {
		list = append(list, fmt.Sprint("tensor.", i))
		if place, again := table.Add(at); again || place != i {
			t.Fatalf("%d: %d, %v", i, place, again)
		}
		if i == 100 {
			table.Reserve(3000, at)
		}
	}
	for i, name := range list {
		if place, ok := table.Find(name, at); !ok || place != i {
			t.Errorf("%q: %d, %v", name, place, ok)
		}
		if place, ok := table.FindBytes([]byte(name), at); !ok || place != i {
			t.Errorf("%q as bytes: %d, %v", name, place, ok)
		}
	}
	for _, name := range []string{"", "tensor.", "tensor.5000", "Tensor.1"} {
		if place, ok := table.Find(name, at); ok || place != 0 {
			t.Errorf("%q is found at %d", name, place)
		}
	}
	list = append(list, "tensor.77")
	if place, again := table.Add(at); !again || place != 77 {
		t.Errorf("again %v, first at %d", again, place)
	}
	for i := 5001; i < 9000; i++ { // the table grows past the place that was passed over
		list = append(list, fmt.Sprint("other.", i))
		if place, again := table.Add(at); again || place != i {
			t.Fatalf("%d: %d, %v", i, place, again)
		}
	}
	if place, ok := table.Find("tensor.77", at); !ok || place != 77 {
		t.Errorf("%d, %v", place, ok)
	}
}
