package packs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"weld/format"
	"weld/format/packed"
	"weld/format/planes"
	"weld/mmapio"
)

// recordsOf lists the records of a pack that is whole.
func recordsOf(pack []byte) (list [][]byte) {
	for at := 16; at < len(pack); {
		size := 32 + int(binary.LittleEndian.Uint32(pack[at+4:]))
		list = append(list, pack[at:at+size:at+size])
		at += size
	}
	return list
}

// sealed makes a record's checksums right.
func sealed(r []byte) {
	binary.LittleEndian.PutUint32(r[24:], crc32.ChecksumIEEE(r[32:]))
	binary.LittleEndian.PutUint32(r[28:], crc32.ChecksumIEEE(r[:28]))
}

// resealed makes index and end of a changed pack or patch right, so that it is refused for what is changed.
func resealed(pack []byte) []byte {
	records := recordsOf(pack)
	index, end := records[len(records)-2], records[len(records)-1]
	k := len(index) - 16*blocksIn(records)
	for _, r := range records {
		if string(r[:4]) == "DATA" {
			copy(index[k:], r[4:8])
			copy(index[k+4:], r[16:20])
			copy(index[k+8:], r[20:22])
			copy(index[k+12:], r[24:28])
			k += 16
		}
	}
	sealed(index)
	h := sha256.New()
	h.Write(pack[:16])
	for _, r := range records[:len(records)-1] {
		if string(r[:4]) == "DATA" {
			r = r[:32]
		}
		h.Write(r)
	}
	copy(end[48:], h.Sum(nil))
	sealed(end)
	return pack
}

func blocksIn(records [][]byte) (n int) {
	for _, r := range records {
		if string(r[:4]) == "DATA" {
			n++
		}
	}
	return n
}

// verify refuses what unpack refuses, and apply; nothing more, nothing less.
func TestVerifyRefusesWhatUnpackRefuses(t *testing.T) {
	ctx, tmp := context.Background(), t.TempDir()
	type specimen struct {
		name string
		data []byte
	}
	var table []specimen
	list, err := filepath.Glob("../../fuzz/testdata/malformed/pack/*.weld")
	if err != nil || len(list) < 50 {
		t.Fatalf("%d specimens, %v", len(list), err)
	}
	for _, path := range list {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		table = append(table, specimen{filepath.Base(path), data})
	}
	whole := func(build func(w *packed.Writer)) []byte {
		var out bytes.Buffer
		w := packed.NewWriter(&out, 1)
		build(w)
		if err := w.Complete(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	files := func(names ...string) func(w *packed.Writer) {
		return func(w *packed.Writer) {
			for _, name := range names {
				if err := w.Small(name, []byte("content of a file")); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	change := func(of []byte, from, to string) []byte { // in records of files and in the index
		for _, r := range recordsOf(of) {
			if string(r[:4]) != "DATA" {
				copy(r[32:], bytes.ReplaceAll(r[32:], []byte(from), []byte(to)))
				sealed(r)
			}
		}
		return resealed(of)
	}
	relative := whole(files("a"))
	recordsOf(relative)[1][21] = byte(planes.Xor)
	sealed(recordsOf(relative)[1])
	table = append(table,
		specimen{"sound", whole(files("a", "b/c", "b/d"))},
		specimen{"no files", whole(files())},
		specimen{"a block that leans on a base", resealed(relative)},
		specimen{"a file in a file", change(whole(files("abc", "xyz/d")), "xyz/", "abc/")},
		specimen{"a file twice", change(whole(files("xyz/d", "abcde")), "abcde", "xyz/d")},
		specimen{"a folder that is a file", change(whole(files("x/y/d", "abc")), "abc", "x/y")},
		specimen{"out of the folder", change(whole(files("ab/d")), "ab/d", "../d")},
	)
	refused := 0
	for _, s := range table {
		path := put(t, filepath.Join(tmp, "x.weld"), s.data)
		out := filepath.Join(tmp, "out")
		_, unpacked := Unpack(ctx, path, out, options(nil, nil))
		v, err := Verify(ctx, path, "", options(nil, nil))
		switch {
		case format.KindOf(err) == format.KindUnsupported: // no pack, or of another version: that is no damage, and both say so
			if format.KindOf(unpacked) != format.KindUnsupported {
				t.Errorf("%s: unpack says %v, verify %v", s.name, unpacked, err)
			}
		case err != nil:
			t.Errorf("%s: %v", s.name, err)
		case (unpacked != nil) != (len(v.Damage) > 0):
			t.Errorf("%s: unpack says %v, verify %v", s.name, unpacked, v.Damage)
		}
		if unpacked != nil {
			refused++
		}
		if err := os.RemoveAll(out); err != nil {
			t.Fatal(err)
		}
	}
	if refused != len(table)-2 {
		t.Errorf("%d of %d are refused", refused, len(table))
	}
}

// The tables of a patch, and what its blocks are coded against, are looked at by verify as by apply.
func TestVerifyRefusesWhatApplyRefuses(t *testing.T) {
	ctx, tmp := context.Background(), t.TempDir()
	small := []format.Tensor{{Name: "w", DType: format.BF16, Shape: []int64{40, 10}}, {Name: "v", DType: format.F32, Shape: []int64{9}}}
	base, next := write(t, small, 1, nil), write(t, small, 1, func(_ string, x []float64) { x[3] += 0.1 })
	path := filepath.Join(tmp, "x.weldpatch")
	if _, err := Patch(ctx, base, next, path, options(nil, nil)); err != nil {
		t.Fatal(err)
	}
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	table := func(of []byte, tag string) []byte {
		for _, r := range recordsOf(of) {
			if string(r[:4]) == tag {
				return r
			}
		}
		t.Fatalf("no %s", tag)
		return nil
	}
	for name, spoil := range map[string]func(p []byte){
		"an item of no kind":         func(p []byte) { table(p, "BASE")[36] = 8 },
		"another count":              func(p []byte) { table(p, "RSLT")[32]++ },
		"a rank beyond the limit":    func(p []byte) { table(p, "BASE")[38] = 65 },
		"a place beyond the content": func(p []byte) { r := table(p, "RSLT"); r[len(r)-5] = 0x7f },
		"an item that is not there":  func(p []byte) { r := table(p, "RSLT"); copy(r[len(r)-4:], []byte{0, 1, 0, 0}) },
		"what leans is said not to":  func(p []byte) { r := table(p, "RSLT"); copy(r[len(r)-4:], []byte{255, 255, 255, 255}) },
		"a table of another name":    func(p []byte) { table(p, "BASE")[0] = 'X' },
	} {
		p := bytes.Clone(sound)
		spoil(p)
		for _, tag := range []string{"BASE", "RSLT", "XASE"} {
			for _, r := range recordsOf(p) {
				if string(r[:4]) == tag {
					sealed(r)
				}
			}
		}
		if name == "a table of another name" {
			records := recordsOf(p)
			index := records[len(records)-2]
			copy(index[32:], bytes.Replace(index[32:], []byte("BASE"), []byte("XASE"), 1))
		}
		bad := put(t, filepath.Join(tmp, "bad.weldpatch"), resealed(p))
		_, applied := Apply(ctx, base, []string{bad}, filepath.Join(tmp, "out"), options(nil, nil))
		v, err := Verify(ctx, bad, "", options(nil, nil))
		if err != nil || applied == nil || len(v.Damage) == 0 {
			t.Errorf("%s: apply says %v, verify %v, %v", name, applied, v, err)
		}
		os.RemoveAll(filepath.Join(tmp, "out"))
	}
}

// Nothing is salvaged where there is no room for it, and nothing stands there then.
func TestSalvageNeedsRoom(t *testing.T) {
	ctx, tmp := context.Background(), t.TempDir()
	dir := write(t, tensors(), 1, nil)
	pack := filepath.Join(tmp, "x.weld")
	if _, err := Pack(ctx, dir, pack, options(nil, nil)); err != nil {
		t.Fatal(err)
	}
	var total int64
	for _, data := range contents(t, dir) {
		total += int64(len(data))
	}
	for _, c := range []struct {
		free int64
		ok   bool
	}{{total - 1, false}, {total, true}} {
		o := options(nil, nil)
		o.Free = func(string) (int64, bool) { return c.free, true }
		out := filepath.Join(tmp, "rest")
		_, err := SalvagePack(ctx, pack, out, o)
		_, there := os.Stat(out)
		if (err == nil) != c.ok || (there == nil) != c.ok || !c.ok && !strings.Contains(err.Error(), "are needed for what is whole") {
			t.Errorf("with %d of %d bytes: %v", c.free, total, err)
		}
		if step, _ := o.Progress.Now(); (step.Name == "salvage") != c.ok {
			t.Errorf("with %d of %d bytes it got to %q", c.free, total, step.Name)
		}
	}
}

// What is no regular file is not waited for.
func TestPacksFromFiles(t *testing.T) {
	_, unpacked := Unpack(context.Background(), os.DevNull, filepath.Join(t.TempDir(), "out"), options(nil, nil))
	if other := (*mmapio.NotRegularError)(nil); !errors.As(unpacked, &other) {
		t.Error(unpacked)
	}
	_, unpacked = Unpack(context.Background(), t.TempDir(), filepath.Join(t.TempDir(), "out"), options(nil, nil))
	if format.KindOf(unpacked) != format.KindUnsupported {
		t.Error(unpacked)
	}
	if _, err := Unpack(context.Background(), filepath.Join(t.TempDir(), "none.weld"), "out", options(nil, nil)); format.KindOf(err) != format.KindMissing || errors.Is(err, os.ErrExist) {
		t.Error(err)
	}
}

// A patch counts what differs, whatever it is: values, types, shapes, names, metadata, files.
func TestPatchCounts(t *testing.T) {
	ctx, tmp := context.Background(), t.TempDir()
	ones := func(_ string, x []float64) {
		for i := range x {
			x[i] = 1
		}
	}
	list := func(a, b format.DType, shape ...int64) []format.Tensor {
		return []format.Tensor{
			{Name: "a", DType: a, Shape: []int64{40, 10}}, {Name: "b", DType: b, Shape: shape}, {Name: "c", DType: format.F32, Shape: []int64{9}},
			{Name: "d", DType: format.F32, Shape: []int64{0, 3}},
		}
	}
	base := write(t, list(format.BF16, format.BF16, 8, 10), 1, ones)
	next := write(t, list(format.F16, format.BF16, 10, 8), 1, ones)
	put(t, filepath.Join(next, "config.json"), []byte(`{"num_hidden_layers": 3}`))
	put(t, filepath.Join(next, "sub", "new.txt"), []byte("new"))
	if err := os.Remove(filepath.Join(next, "tokenizer.json")); err != nil {
		t.Fatal(err)
	}
	r, err := Patch(ctx, base, next, filepath.Join(tmp, "x.weldpatch"), options(nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join([]string{strings.Join(r.Retyped, " "), strings.Join(r.Reshaped, " "), strings.Join(r.FilesChanged, " "), strings.Join(r.FilesAdded, " "), strings.Join(r.FilesRemoved, " ")}, ", ")
	if r.Changed != 2 || r.Same != 2 || got != "a, b, config.json, sub/new.txt, tokenizer.json" || r.Metadata {
		t.Errorf("%s: %+v", got, r)
	}
	if _, err := Apply(ctx, base, []string{filepath.Join(tmp, "x.weldpatch")}, filepath.Join(tmp, "out"), options(nil, nil)); err != nil {
		t.Fatal(err)
	}
	same(t, filepath.Join(tmp, "out"), next)

	if runtime.GOOS != "windows" {
		link(t, "nowhere", filepath.Join(base, "link")) // of no concern to a patch
	}
	plain := filepath.Join(tmp, "plain.safetensors")
	merge(t, base, plain) // without metadata
	r, err = Patch(ctx, base, plain, filepath.Join(tmp, "y.weldpatch"), options(nil, nil))
	if err != nil || !r.Metadata || r.Changed != 0 || r.Same != 4 || len(r.FilesRemoved) != 4 {
		t.Errorf("%+v, %v", r, err)
	}
	r, err = Patch(ctx, plain, plain, filepath.Join(tmp, "z.weldpatch"), options(nil, nil))
	if err != nil || r.Metadata || r.Changed+len(r.FilesChanged)+len(r.FilesAdded)+len(r.FilesRemoved) != 0 || r.Same != 4 {
		t.Errorf("%+v, %v", r, err)
	}
}
