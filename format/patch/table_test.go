package patch

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"slices"
	"testing"

	"weld/format"
	"weld/format/packed"
	"weld/mmapio"
)

// items are tables as a writer makes them.
func items() ([]Item, []placedItem) {
	w := Item{Tensor: format.Tensor{Name: "w", DType: format.BF16, Shape: []int64{10, 3}}, Digest: TreeDigest{1}, Known: true}
	f := Item{Tensor: format.Tensor{Name: "config.json", DType: format.U8, Shape: []int64{7}}, File: true, Digest: TreeDigest{2}, Known: true}
	gone := Item{Tensor: format.Tensor{Name: "gone", DType: format.F32, Shape: []int64{2}}}
	renamed := w
	renamed.Name = "renamed"
	return []Item{w, gone, f}, []placedItem{{w, 20, 0}, {renamed, 80, 0}, {f, 150, 2}}
}

// appendTables prints tables as a writer does, each with its tag.
func appendTables(base []Item, result []placedItem) (printed []packed.Table) {
	for _, t := range tables(len(base), func(i int) Item { return base[i] }, len(result), func(i int) placedItem { return result[i] }) {
		var b bytes.Buffer
		if err := t.Print(&b); err != nil {
			panic(err)
		}
		printed = append(printed, packed.Table{Tag: t.Tag, Payload: b.Bytes()})
	}
	return printed
}

func TestTables(t *testing.T) {
	base, result := items()
	tables := appendTables(base, result)
	gotBase, gotResult, err := parse("x", tables[0].Payload, tables[1].Payload, 157)
	if err != nil || len(gotBase) != len(base) || len(gotResult) != len(result) {
		t.Fatal(gotBase, gotResult, err)
	}
	again := appendTables(gotBase, gotResult)
	for i := range tables {
		if !bytes.Equal(tables[i].Payload, again[i].Payload) {
			t.Errorf("table %d: other bytes when written again", i)
		}
	}
	if gotResult[2].base != 2 || !gotResult[2].File || gotBase[1].Known {
		t.Errorf("%+v, %+v", gotBase, gotResult)
	}
}

// Every fault of a table is an error that says so.
func TestDamagedTables(t *testing.T) {
	base, result := items()
	for name, change := range map[string]func(base []Item, result []placedItem){
		"beyond the content":          func(_ []Item, r []placedItem) { r[2].begin = 151 },
		"overlapping":                 func(_ []Item, r []placedItem) { r[1].begin = 70 },
		"before the first":            func(_ []Item, r []placedItem) { r[0].begin = -1 },
		"leans on none":               func(_ []Item, r []placedItem) { r[0].base = 3 },
		"leans on another shape":      func(b []Item, _ []placedItem) { b[0].Shape = []int64{3, 10} },
		"leans on another type":       func(b []Item, _ []placedItem) { b[0].DType = format.F16 },
		"leans on a file":             func(_ []Item, r []placedItem) { r[0].base = 2 },
		"leans on what is not known":  func(b []Item, _ []placedItem) { b[0].Known = false },
		"result without a digest":     func(_ []Item, r []placedItem) { r[1].Known = false },
		"file of two dimensions":      func(b []Item, _ []placedItem) { b[2].Shape = []int64{7, 1} },
		"impossible shape":            func(b []Item, _ []placedItem) { b[1].Shape = []int64{1 << 40, 1 << 40} },
		"negative dimension":          func(b []Item, _ []placedItem) { b[1].Shape = []int64{-1} },
		"a rank over 64":              func(b []Item, _ []placedItem) { b[1].Shape = slices.Repeat([]int64{1}, format.MaxRank+1) },
		"tensor without element type": func(b []Item, _ []placedItem) { b[1].DType = format.Invalid },
	} {
		b, r := append([]Item{}, base...), append([]placedItem{}, result...)
		change(b, r)
		tables := appendTables(b, r)
		if _, _, err := parse("x", tables[0].Payload, tables[1].Payload, 157); format.KindOf(err) != format.KindRecord {
			t.Errorf("%s: %v", name, err)
		}
	}
	tables := appendTables(base, result)
	for i := range 2 {
		for cut := 4; cut < len(tables[i].Payload); cut++ {
			short := [][]byte{tables[0].Payload, tables[1].Payload}
			short[i] = short[i][:cut]
			if _, _, err := parse("x", short[0], short[1], 157); format.KindOf(err) != format.KindRecord {
				t.Errorf("table %d cut after %d bytes: %v", i, cut, err)
			}
		}
		for _, count := range []uint32{0, 2, 4, 1 << 31} {
			wrong := [][]byte{bytes.Clone(tables[0].Payload), bytes.Clone(tables[1].Payload)}
			binary.LittleEndian.PutUint32(wrong[i], count)
			if _, _, err := parse("x", wrong[0], wrong[1], 157); format.KindOf(err) != format.KindRecord {
				t.Errorf("table %d of %d items: %v", i, count, err)
			}
		}
	}
}

func FuzzTables(f *testing.F) {
	base, result := items()
	tables := appendTables(base, result)
	f.Add(tables[0].Payload, tables[1].Payload)
	f.Add([]byte{0, 0, 0, 0}, []byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, base, result []byte) {
		if len(base) < 4 || len(result) < 4 {
			return
		}
		items, places, err := parse("x", base, result, 157)
		if err != nil {
			if format.KindOf(err) != format.KindRecord {
				t.Errorf("%v", err)
			}
			return
		}
		again := appendTables(items, places)
		if _, _, err := parse("x", again[0].Payload, again[1].Payload, 157); err != nil {
			t.Errorf("written again: %v", err)
		}
	})
}

// The digest of chunks does not depend on the order in which they come.
func TestTree(t *testing.T) {
	data := make([]byte, 3*ChunkSize+100)
	for i := range data {
		data[i] = byte(i >> 10)
	}
	want, err := DigestOf(context.Background(), int64(len(data)), func(off, n int64) (mmapio.View, error) {
		return mmapio.View{Data: data[off : off+n]}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var tree Tree
	for _, i := range []int64{2, 0, 3, 1} {
		tree.Add(i, data[i*ChunkSize:min((i+1)*ChunkSize, int64(len(data)))])
	}
	if tree.Sum() != want {
		t.Error("another digest in another order")
	}
	_, err = DigestOf(context.Background(), 1, func(int64, int64) (mmapio.View, error) { return mmapio.View{}, io.ErrUnexpectedEOF })
	if err != io.ErrUnexpectedEOF {
		t.Error(err)
	}
}
