package packed

import (
	"bytes"
	"encoding/binary"
	"math"
	"reflect"
	"testing"

	"weld/format"
	"weld/format/planes"
)

// sampleIndex is the index of a pack of files, two of which are empty.
func sampleIndex() *index {
	x := &index{end: headerSize}
	add := func(name string, blocks ...uint32) {
		f := FileInfo{Name: name, Begin: x.size()}
		for _, n := range blocks {
			f.Size += int64(n)
		}
		x.file(f)
		for i, n := range blocks {
			x.data(record{tag: tagData, payload: n / 2, offset: x.size(), content: n, elem: uint8(i), coding: planes.Coding(i), sum: n * 7})
		}
	}
	add("first")
	add("dir/second", 100, planes.MaxContent, 3)
	add("dir/none")
	add("last", 1)
	x.table(tag{'B', 'A', 'S', 'E'}, 12)
	x.table(tag{'R', 'S', 'L', 'T'}, 0)
	return x
}

func printed(t testing.TB, x *index) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := x.print(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestIndexRoundTrip prints an index and reads it again: every place is found.
func TestIndexRoundTrip(t *testing.T) {
	for name, x := range map[string]*index{"files": sampleIndex(), "none": {end: headerSize}} {
		text := printed(t, x)
		got, err := parseIndex("x", text)
		if err != nil {
			t.Fatal(err)
		}
		if name == "files" && !reflect.DeepEqual(got, x) {
			t.Errorf("%+v, want %+v", got, x)
		}
		if got.end != x.end || got.size() != x.size() || !got.same(text) || !bytes.Equal(printed(t, got), text) {
			t.Errorf("%s: ends at %d of %d, %d bytes of content", name, got.end, x.end, got.size())
		}
	}
}

// TestIndexDamaged cuts an index everywhere and changes every bit of it: it is refused, or says something else.
func TestIndexDamaged(t *testing.T) {
	x := sampleIndex()
	text := printed(t, x)
	for n := range text {
		if _, err := parseIndex("x", text[:n]); err == nil {
			t.Errorf("the first %d bytes of %d are an index", n, len(text))
		}
		for bit := range 8 {
			damaged := bytes.Clone(text)
			damaged[n] ^= 1 << bit
			got, err := parseIndex("x", damaged)
			if err == nil && (got.same(text) || !got.same(damaged)) {
				t.Errorf("bit %d of byte %d makes no difference", bit, n)
			}
			if err != nil && format.KindOf(err) == "" {
				t.Errorf("bit %d of byte %d: %v", bit, n, err)
			}
		}
	}
	if _, err := parseIndex("x", append(text, make([]byte, blockEntry)...)); err == nil {
		t.Error("a block that is not counted")
	}
	if _, err := parseIndex("x", append(bytes.Clone(text), 0)); err == nil {
		t.Error("a byte that belongs to nothing")
	}
	alone := &index{end: headerSize}
	alone.data(record{tag: tagData, content: 1})
	_, err := parseIndex("x", printed(t, alone))
	kindAnd(t, "a block without a file", err, format.KindRecord, "block 0 does not fit")
}

// TestIndexRefused changes one figure each.
func TestIndexRefused(t *testing.T) {
	le := binary.LittleEndian
	const files = 4
	size := fileEntry + len("first")
	second := 4 + size
	for _, c := range []struct {
		name   string
		change func(text []byte, blocks []byte) []byte
		kind   format.Kind
		says   string
	}{
		{"a file of a negative size", func(x, _ []byte) []byte { le.PutUint64(x[second:], 1<<63); return x }, format.KindRecord, "impossible size"},
		{"files that are too large together", func(x, _ []byte) []byte {
			le.PutUint64(x[second:], math.MaxInt64)
			le.PutUint64(x[len(x)-4*blockEntry-8-16-4-(fileEntry+len("last")):], 1)
			return x
		}, format.KindRecord, "impossible size"},
		{"more files than there are", func(x, _ []byte) []byte { le.PutUint32(x, files+1); return x }, "", ""},
		{"many more files", func(x, _ []byte) []byte { le.PutUint32(x, math.MaxUint32); return x }, "", ""},
		{"a name that leads away", func(x, _ []byte) []byte { return bytes.Replace(x, []byte("dir/none"), []byte("../x/abc"), 1) }, format.KindShardName, "../x/abc"},
		{"a block of nothing", func(x, b []byte) []byte { le.PutUint32(b[4:], 0); return x }, format.KindRecord, "block 0"},
		{"a block that is too large", func(x, b []byte) []byte { le.PutUint32(b[blockEntry+4:], planes.MaxContent+1); return x }, format.KindRecord, "block 1"},
		{"a payload that is too large", func(x, b []byte) []byte { le.PutUint32(b, 100+planes.Slack+1); return x }, format.KindRecord, "block 0"},
		{"reserved bytes", func(x, b []byte) []byte { b[10] = 1; return x }, format.KindRecord, "block 0"},
		{"a block beyond its file", func(x, b []byte) []byte { le.PutUint32(b[2*blockEntry+4:], 4); return x }, format.KindRecord, "block 2"},
		{"a file that ends inside a block", func(x, b []byte) []byte { le.PutUint32(b[2*blockEntry+4:], 2); return x }, format.KindRecord, ""},
		{"more tables", func(x, b []byte) []byte { le.PutUint32(x[len(x)-4*blockEntry-8-16-4:], math.MaxUint32); return x }, format.KindRecord, "counts"},
	} {
		text := printed(t, sampleIndex())
		_, err := parseIndex("x", c.change(text, text[len(text)-4*blockEntry:]))
		if c.kind == "" {
			if err == nil {
				t.Errorf("%s is taken", c.name)
			}
			continue
		}
		kindAnd(t, c.name, err, c.kind, c.says)
	}
	// The payload may be as large as that of a block which is stored, and the slack.
	text := printed(t, sampleIndex())
	le.PutUint32(text[len(text)-4*blockEntry:], 100+planes.Slack)
	if _, err := parseIndex("x", text); err != nil {
		t.Error(err)
	}
}

// TestIndexNames refuses what cannot lie in one folder.
func TestIndexNames(t *testing.T) {
	for _, c := range []struct {
		names [2]string
		kind  format.Kind
	}{
		{[2]string{"a", "b"}, ""}, {[2]string{"a", "a"}, format.KindDuplicate}, {[2]string{"a", "a/b"}, format.KindDuplicate}, {[2]string{"a/b", "a"}, format.KindDuplicate},
		{[2]string{"a", "CON"}, format.KindShardName},
	} {
		x := &index{end: headerSize}
		for _, name := range c.names {
			x.file(FileInfo{Name: name})
		}
		_, err := parseIndex("x", printed(t, x))
		if format.KindOf(err) != c.kind {
			t.Errorf("%q: %v", c.names, err)
		}
	}
}
