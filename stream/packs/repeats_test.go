package packs

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weld/format"
	"weld/format/open"
	"weld/format/packed"
	"weld/format/safetensors"
)

// repeating is a folder with an output layer that equals the embedding, in another shard, and a second file with
// all of that.
func repeating(t *testing.T) string {
	head := tensors()[0]
	head.Name = "lm_head.weight"
	list := append(tensors(), head)
	list[6].Name = "other.weight" // as long as the embedding's name, and so of the same values
	dir := write(t, list, 1, func(name string, x []float64) {
		if strings.HasSuffix(name, "lm_head.weight") || strings.HasSuffix(name, "embed_tokens.weight") {
			for i := range x {
				x[i] = float64(i%1013)*1e-3 - 0.3
			}
		}
	})
	c, err := open.Checkpoint(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	i, _ := c.Find("model.embed_tokens.weight")
	k, _ := c.Find("lm_head.weight")
	if len(c.Files()) < 3 || format.FileOf(c, i) == format.FileOf(c, k) {
		t.Fatal("embedding and head lie in one shard")
	}
	shard, err := os.ReadFile(c.Files()[format.FileOf(c, i)].Path)
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "consolidated.safetensors"), shard)
	return dir
}

// A tensor that comes again is stored once, in whichever file, and restored in all: from files, from pipes, by the index.
func TestRepeats(t *testing.T) {
	ctx, tmp := context.Background(), t.TempDir()
	dir := repeating(t)
	pack := filepath.Join(tmp, "x.weld")
	r, err := Pack(ctx, dir, pack, options(nil, nil))
	if err != nil || r.Repeats < 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	data, err := os.ReadFile(pack)
	if err != nil || data[8] != 2 {
		t.Fatalf("version %d, %v", data[8], err)
	}
	bare := filepath.Join(tmp, "bare")
	if err := os.CopyFS(bare, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(bare, "consolidated.safetensors")); err != nil {
		t.Fatal(err)
	}
	without, err := Pack(ctx, bare, filepath.Join(tmp, "bare.weld"), options(nil, nil))
	if err != nil || r.Packed-without.Packed > 1000 {
		t.Errorf("the second file takes %d bytes", r.Packed-without.Packed)
	}
	for name, in := range map[string]string{"file": pack, "pipe": Stream} {
		out := filepath.Join(tmp, name)
		if _, err := Unpack(ctx, in, out, options(data, nil)); err != nil {
			t.Fatal(err)
		}
		same(t, out, dir)
	}
	for name, in := range map[string]string{"file": pack, "pipe": Stream} {
		if v, err := Verify(ctx, in, "", options(data, nil)); err != nil || len(v.Damage) > 0 {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
	if s, err := SalvagePack(ctx, pack, filepath.Join(tmp, "salvaged"), options(nil, nil)); err != nil || len(s.Lost) > 0 {
		t.Errorf("%+v, %v", s, err)
	}
	same(t, filepath.Join(tmp, "salvaged"), dir)
	end := put(t, filepath.Join(tmp, "end.weld"), data[:len(data)-100])
	if s, err := SalvagePack(ctx, end, filepath.Join(tmp, "without end"), options(nil, nil)); err != nil || len(s.Lost) > 0 {
		t.Errorf("%+v, %v", s, err)
	}
	same(t, filepath.Join(tmp, "without end"), dir)
	if entries, err := filepath.Glob(filepath.Join(tmp, ".weld-*")); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %q, %v", entries, err)
	}
	equalCheckpoints(t, dir, pack)
}

// equalCheckpoints demands that two checkpoints hold the same tensors.
func equalCheckpoints(t *testing.T, one, two string) {
	t.Helper()
	a, err := open.Checkpoint(one)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := open.Checkpoint(two)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for i, want := range a.Tensors() {
		k, ok := b.Find(want.Name)
		if !ok {
			t.Fatalf("no tensor %s", want.Name)
		}
		v, err := a.View(i, 0, want.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		w, err := b.View(k, 0, want.Bytes())
		if err != nil || !bytes.Equal(v.Data, w.Data) {
			t.Errorf("%s: %v", want.Name, err)
		}
		v.Release()
		w.Release()
	}
}

// One file with a repeated tensor goes through pipes on both sides.
func TestRepeatsThroughPipes(t *testing.T) {
	ctx := context.Background()
	twin := []format.Tensor{tensors()[0], tensors()[0]}
	twin[1].Name = "x" + twin[0].Name[1:]
	dir := write(t, twin, 1, nil)
	one := filepath.Join(t.TempDir(), "one.safetensors")
	merge(t, dir, one)
	var pack, back bytes.Buffer
	if r, err := Pack(ctx, one, Stream, options(nil, &pack)); err != nil || r.Repeats != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	want, err := os.ReadFile(one)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Unpack(ctx, Stream, Stream, options(pack.Bytes(), &back)); err != nil || !bytes.Equal(back.Bytes(), want) {
		t.Errorf("%v, or other bytes", err)
	}
	if pack.Len() > len(want)/2 {
		t.Errorf("%d bytes for %d", pack.Len(), len(want))
	}
}

// merge puts the tensors of a folder into one file.
func merge(t *testing.T, dir, path string) {
	t.Helper()
	c, err := open.Checkpoint(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	layout, err := safetensors.NewLayout(c.Tensors(), nil, 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := safetensors.NewWriter(layout, []safetensors.Target{f})
	if err != nil {
		t.Fatal(err)
	}
	for i, tensor := range c.Tensors() {
		v, err := c.View(i, 0, tensor.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if err := w.WriteAt(i, 0, v.Data); err != nil {
			t.Fatal(err)
		}
		v.Release()
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// Only tensors of the same type, shape and bytes are stored once, and constant ones as they always were.
func TestNoFalseRepeats(t *testing.T) {
	ctx, tmp := context.Background(), t.TempDir()
	shape := []int64{300, 900}
	list := []format.Tensor{
		{Name: "a", DType: format.BF16, Shape: shape}, {Name: "b", DType: format.BF16, Shape: shape}, {Name: "c", DType: format.BF16, Shape: []int64{900, 300}},
		{Name: "d", DType: format.F16, Shape: shape}, {Name: "e", DType: format.F32, Shape: shape}, {Name: "f", DType: format.F32, Shape: shape},
	}
	dir := write(t, list, 1, func(name string, x []float64) {
		switch name {
		case "b":
			x[len(x)-1]++
		case "e", "f":
			clear(x)
		}
	})
	pack := filepath.Join(tmp, "x.weld")
	if r, err := Pack(ctx, dir, pack, options(nil, nil)); err != nil || r.Repeats != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	if data, err := os.ReadFile(pack); err != nil || data[8] != 1 {
		t.Errorf("version %d, %v: readers of version 1 can read it", data[8], err)
	}
	if _, err := Unpack(ctx, pack, filepath.Join(tmp, "out"), options(nil, nil)); err != nil {
		t.Fatal(err)
	}
	same(t, filepath.Join(tmp, "out"), dir)
}

// Tensors that only look alike in the middle are told apart, and each of several pairs is found.
func TestRepeatsThatLookAlike(t *testing.T) {
	ctx, tmp := context.Background(), t.TempDir()
	var list []format.Tensor
	for _, name := range []string{"a1", "b1", "c1", "a2", "b2", "c2"} {
		list = append(list, format.Tensor{Name: name, DType: format.F32, Shape: []int64{200, 1000}})
	}
	dir := write(t, list, 1, func(name string, x []float64) { x[len(x)-1] = float64(name[0]) })
	r, err := Pack(ctx, dir, filepath.Join(tmp, "x.weld"), options(nil, nil))
	if err != nil || r.Repeats != 3 {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := Unpack(ctx, filepath.Join(tmp, "x.weld"), filepath.Join(tmp, "out"), options(nil, nil)); err != nil {
		t.Fatal(err)
	}
	same(t, filepath.Join(tmp, "out"), dir)
}

// What the earlier block loses, the one that repeats it loses as well.
func TestSalvageRepeats(t *testing.T) {
	ctx, tmp := context.Background(), t.TempDir()
	dir := repeating(t)
	extra, err := os.ReadFile(filepath.Join(write(t, []format.Tensor{{Name: "extra", DType: format.F32, Shape: []int64{50}}}, 3, nil), safetensors.SingleName))
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "extra.safetensors"), extra) // no part of the checkpoint
	pack := filepath.Join(tmp, "x.weld")
	if _, err := Pack(ctx, dir, pack, options(nil, nil)); err != nil {
		t.Fatal(err)
	}
	a, err := packed.Open(pack)
	if err != nil {
		t.Fatal(err)
	}
	i, _ := a.Find("model-00001-of-00003.safetensors") // has the embedding first
	h, err := safetensors.ReadHeader("", a.Source(i), a.Files()[i].Size)
	if err != nil || h.Tensors[0].Name != "model.embed_tokens.weight" {
		t.Fatal(err, h.Tensors[0].Name)
	}
	place, _, _ := a.Extent(a.BlockAt(a.Files()[i].Begin + h.DataStart))
	a.Close()
	data, err := os.ReadFile(pack)
	if err != nil {
		t.Fatal(err)
	}
	for k := range data {
		if int64(k) >= place+40 && int64(k) < place+60 {
			data[k] ^= 0xff
		}
	}
	bad := put(t, filepath.Join(tmp, "bad.weld"), data)
	s, err := SalvagePack(ctx, bad, filepath.Join(tmp, "rest"), options(nil, nil))
	if err != nil || len(s.Lost) != 3 { // in its shard, the head in another, and in the second file
		t.Fatalf("%+v, %v", s, err)
	}
	lost := make(map[string]bool)
	for _, d := range s.Lost {
		lost[d.Tensor] = true
	}
	rest := contents(t, filepath.Join(tmp, "rest"))
	for name, want := range contents(t, dir) {
		if slices.Contains(s.Files, filepath.ToSlash(name)) && !bytes.Equal(rest[name], want) {
			t.Errorf("%s is said to be whole, and is not", name)
		}
	}
	c, err := open.Checkpoint(filepath.Join(tmp, "rest"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, tensor := range c.Tensors() {
		if tensor.Name == "extra" {
			t.Error("the new index lists a tensor of another file")
		}
		if lost[tensor.Name] {
			t.Errorf("%s is said to be lost, and is there", tensor.Name)
		}
	}
}
