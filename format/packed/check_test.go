package packed

import (
	"bytes"
	"slices"
	"testing"

	"weld/format"
)

// recovered is what is found in what is left of a pack.
func recovered(t *testing.T, data []byte) (*Archive, []Lost) {
	t.Helper()
	a, lost, err := RecoverStorage(&inMemory{data: data})
	if err != nil {
		t.Fatal(err)
	}
	return a, lost
}

// whole lists the files that can be read.
func whole(a *Archive) (names []string) {
	for i, f := range a.Files() {
		if _, err := a.Source(i).ReadAt(make([]byte, f.Size), 0); err == nil {
			names = append(names, f.Name)
		}
	}
	return names
}

// TestRecoverWhole finds everything of a pack that is not damaged, with an index or without.
func TestRecoverWhole(t *testing.T) {
	pack := packOf(t, sample())
	_, records := recordsIn(pack)
	end := len(records[len(records)-1])
	index := len(records[len(records)-2])
	for what, data := range map[string][]byte{"whole": pack, "without its end": pack[:len(pack)-end]} {
		a, lost := recovered(t, data)
		if len(lost) > 0 {
			t.Errorf("%s: lost %v", what, lost)
		}
		files, err := readAll(a)
		for _, f := range sample() {
			if err != nil || !bytes.Equal(files[f.name], f.data) {
				t.Errorf("%s: %s is another one, %v", what, f.name, err)
			}
		}
		if got, want := a.Content(), opened(t, pack).Content(); got != want {
			t.Errorf("%s: %d bytes of %d", what, got, want)
		}
	}
	// The index alone is damaged, or cut: nothing is lost. Without its head, or cut before it, one cannot know.
	begin := len(pack) - end - index
	damaged := bytes.Clone(pack)
	damaged[begin+recordSize] ^= 1
	for what, data := range map[string][]byte{"damaged": damaged, "cut": pack[:begin+recordSize+1]} {
		if a, lost := recovered(t, data); len(lost) > 0 || len(whole(a)) != len(sample()) {
			t.Errorf("the index is %s: lost %v, whole %v", what, lost, whole(a))
		}
	}
	damaged[begin] ^= 1
	if a, lost := recovered(t, damaged); !slices.Equal(lost, []Lost{{int64(begin), int64(len(pack))}}) || len(whole(a)) != len(sample()) {
		t.Errorf("lost %v, whole %v", lost, whole(a))
	}
	cut := int64(len(pack) - end - index)
	if _, lost := recovered(t, pack[:cut]); !slices.Equal(lost, []Lost{{cut, cut}}) {
		t.Errorf("lost %v, want what follows %d", lost, cut)
	}
}

// TestRecoverEveryByte damages each byte of the records before the index: one file of all is lost at most, and what is
// read is what was written.
func TestRecoverEveryByte(t *testing.T) {
	files := []sampleFile{sample()[1], {name: "b", data: []byte("bytes")}, {name: "c", data: []byte("more of them")}}
	pack := packOf(t, files)
	_, records := recordsIn(pack)
	end := len(pack) - len(records[len(records)-1]) - len(records[len(records)-2])
	for i := headerSize; i < end; i++ {
		damaged := bytes.Clone(pack)
		damaged[i] ^= 0x5a
		a, _ := recovered(t, damaged)
		names := whole(a)
		if len(names) < len(files)-1 {
			t.Errorf("byte %d: %v are left", i, names)
		}
		got := make(map[string][]byte)
		for k, f := range a.Files() {
			data := make([]byte, f.Size)
			if _, err := a.Source(k).ReadAt(data, 0); err == nil {
				got[f.Name] = data
			}
		}
		for name, data := range got {
			k := slices.IndexFunc(files, func(f sampleFile) bool { return f.name == name })
			if k < 0 || !bytes.Equal(data, files[k].data) {
				t.Errorf("byte %d: %q has bytes that were never written", i, name)
			}
		}
		if len(got) == len(files) {
			t.Errorf("byte %d makes no difference", i)
		}
	}
}

// TestRecoverNames has records of files that cannot all be: the first of a name stays, what follows another is lost.
func TestRecoverNames(t *testing.T) {
	const aa, bb, cc = "aaaa", "bb", "ccc"
	for name, second := range map[string]FileInfo{
		"two files of one name":         {"a", 2, 4},
		"a file inside of a file":       {"a/b", 2, 4},
		"a file that leads away":        {"../b", 2, 4},
		"a file of an impossible size":  {"b", -2, 4},
		"a file without end":            {"b", 1<<63 - 3, 4},
		"a file that begins in another": {"b", 2, 3},
	} {
		pack := slices.Concat(appendHeader(nil, Pack, version), fileRecord(FileInfo{"a", 4, 0}), dataRecord(0, aa), fileRecord(second), dataRecord(4, bb), fileRecord(FileInfo{"c", 3, 6}), dataRecord(6, cc))
		a, lost := recovered(t, pack)
		var names []string
		for _, f := range a.Files() {
			names = append(names, f.Name)
		}
		if !slices.Equal(names, []string{"a", "c"}) || !slices.Equal(whole(a), names) {
			t.Errorf("%s: files %q, whole %q", name, names, whole(a))
		}
		at := int64(headerSize + len(fileRecord(FileInfo{"a", 4, 0})) + len(dataRecord(0, aa)))
		if len(lost) == 0 || lost[0] != (Lost{at, at + int64(len(fileRecord(second)))}) {
			t.Errorf("%s: lost %v, want the record at %d", name, lost, at)
		}
		if content := make([]byte, 4); a.ReadContent(content, 0) != nil || string(content) != aa {
			t.Errorf("%s: the first file is %q", name, content)
		}
	}
}

// TestGaps counts content that is lost as blocks that are not there.
func TestGaps(t *testing.T) {
	pack := slices.Concat(appendHeader(nil, Pack, version), fileRecord(FileInfo{"a", 4, 0}), dataRecord(0, "aa"), []byte("nothing that is a record, but longer than one"), dataRecord(3, "a"), fileRecord(FileInfo{"b", 2, 6}), dataRecord(6, "bb"))
	a, lost := recovered(t, pack)
	if len(lost) != 2 { // the text, and whatever followed
		t.Errorf("lost %v", lost)
	}
	var places, ends []int64
	for i := range a.Blocks() {
		place, _, end := a.Extent(i)
		places, ends = append(places, min(place, 0)), append(ends, end)
	}
	// Between the files two bytes belong to none.
	if !slices.Equal(ends, []int64{2, 3, 4, 6, 8}) || !slices.Equal(places, []int64{0, -1, 0, -1, 0}) {
		t.Errorf("blocks end at %v, lost are %v", ends, places)
	}
	buffer := make([]byte, MaxBlock)
	for i, place := range places {
		if err := a.Check(i, buffer); (err == nil) != (place == 0) {
			t.Errorf("block %d: %v", i, err)
		} else if err != nil {
			kindAnd(t, "a lost block", err, format.KindTruncated, "are lost")
		}
	}
	src := a.Source(0)
	for _, c := range []struct {
		off, n int64
		ok     bool
	}{{0, 2, true}, {0, 3, false}, {2, 1, false}, {1, 3, false}, {3, 1, true}, {2, 0, true}} {
		v, err := src.View(c.off, c.n)
		_, errRead := src.ReadAt(make([]byte, c.n), c.off)
		if (err == nil) != c.ok || (errRead == nil) != c.ok {
			t.Errorf("[%d, %d): %v, %v", c.off, c.off+c.n, err, errRead)
		}
		if !c.ok {
			kindAnd(t, "a view", err, format.KindTruncated, "are lost")
			kindAnd(t, "a read", errRead, format.KindTruncated, "are lost")
		}
		v.Release()
	}
}

// TestCheck compares the blocks of a pack with their checksums.
func TestCheck(t *testing.T) {
	pack := packOf(t, sample())
	for i := range opened(t, pack).Blocks() {
		damaged := bytes.Clone(pack)
		place, _, _ := opened(t, pack).Extent(i)
		damaged[place+recordSize] ^= 1
		a := opened(t, damaged)
		buffer := make([]byte, MaxBlock)
		for k := range a.Blocks() {
			if err := a.Check(k, buffer); (err == nil) != (k != i) {
				t.Errorf("block %d of a pack where %d is damaged: %v", k, i, err)
			}
		}
		if at := a.BlockAt(a.cuts[i] - 1); at != i {
			t.Errorf("the last byte of block %d lies in %d", i, at)
		}
	}
}
