package packed

import (
	"encoding/binary"
	"strconv"
	"testing"

	"weld/format/planes"
)

// A block may repeat an earlier one of the same length and type, which is stored itself; nothing else.
func TestOrigin(t *testing.T) {
	const bf16, f16 = 15, 14
	x := index{
		blocks: []block{{place: 48, elem: bf16}, {place: 90, elem: f16}, {place: 130, elem: bf16, coding: repeated}, {place: -1, elem: bf16}, {place: 170, elem: bf16}},
		cuts:   []int64{100, 200, 300, 400, 500},
	}
	for _, c := range []struct {
		name   string
		origin int64
		bytes  int
		want   int // −1 where it is refused
	}{
		{"the first", 0, 8, 0},
		{"itself", 400, 8, -1},
		{"a later one", 500, 8, -1},
		{"inside one", 1, 8, -1},
		{"another type", 100, 8, -1},
		{"a repeated one", 200, 8, -1},
		{"a lost one", 300, 8, -1},
		{"beyond the content", 1 << 40, 8, -1},
		{"negative", -100, 8, -1},
		{"a short payload", 0, 7, -1},
		{"a long payload", 0, 9, -1},
	} {
		payload := append(binary.LittleEndian.AppendUint64(nil, uint64(c.origin)), 0)[:c.bytes]
		i, fault := x.origin(record{offset: 400, content: 100, elem: bf16, coding: repeated}, payload)
		if (fault == "") != (c.want >= 0) || fault == "" && i != c.want {
			t.Errorf("%s: block %d, %q", c.name, i, fault)
		}
	}
	later := record{offset: 0, content: 100, elem: bf16, coding: repeated}
	if _, fault := x.origin(later, binary.LittleEndian.AppendUint64(nil, 400)); fault == "" {
		t.Error("a block repeats a later one")
	}
	other := record{offset: 400, content: 99, elem: bf16, coding: repeated}
	if _, fault := x.origin(other, make([]byte, 8)); fault == "" {
		t.Error("a block repeats a longer one")
	}
	if repeated.Relative() || repeated == planes.Sparse {
		t.Error("the coding is that of another block")
	}
}

// Counts and sizes beyond the limits are refused, those at the limits are not.
func TestLimits(t *testing.T) {
	if full(maxBlocks, maxFiles, 0) != "" || full(maxBlocks+1, 0, 0) == "" || full(0, maxFiles+1, 0) == "" || full(0, 1, maxIndex) == "" {
		t.Error("counts")
	}
	for tag, most := range map[tag]int64{tagFile: fileEntry + maxName, tagIndex: maxIndex, tagEnd: endPayload, {'B', 'A', 'S', 'E'}: maxTable} {
		if payloadFault(tag, most) != "" || payloadFault(tag, most+1) == "" {
			t.Errorf("%s", tag[:])
		}
	}
	deep := ""
	for range maxDepth {
		deep += "d/"
	}
	if checkName(deep+"f") != "" || checkName(deep+"d/f") == "" {
		t.Error("depth")
	}
	many := newNames()
	for i := range maxFiles {
		many.folders[strconv.Itoa(i)] = true
	}
	if many.add("x") != "" || many.add("folder/y") == "" {
		t.Error("folders")
	}
	x := index{}
	x.file(FileInfo{Name: "abc"})
	if x.named != 3 || x.full() != "" {
		t.Errorf("%d bytes of names, %q", x.named, x.full())
	}
	n := newNames()
	for _, c := range []struct {
		name string
		ok   bool
	}{{"a/b/c", true}, {"a/b/c", false}, {"a/b", false}, {"a", false}, {"a/b/d", true}, {"a/b/c/e", false}, {"a/bc", true}, {"f", true}, {"f/g", false}, {"ab", true}} {
		if fault := n.add(c.name); (fault == "") != c.ok {
			t.Errorf("%s: %q", c.name, fault)
		}
	}
}
