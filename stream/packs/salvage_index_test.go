package packs

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"weld/format/open"
	"weld/format/packed"
	"weld/format/safetensors"
)

// An index of any name, in any folder, lists what is left of its own files; one whose files are whole stays.
func TestSalvageIndexes(t *testing.T) {
	ctx, tmp := context.Background(), t.TempDir()
	const own = "diffusion_pytorch_model.safetensors.index.json"
	dir := write(t, tensors(), 1, nil)
	if err := os.Rename(filepath.Join(dir, safetensors.IndexName), filepath.Join(dir, own)); err != nil {
		t.Fatal(err)
	}
	for name, data := range contents(t, dir) {
		if safetensors.IsWeights(name) {
			put(t, filepath.Join(dir, "unet", name), data)
		}
	}
	for name, data := range contents(t, write(t, tensors(), 2, nil)) { // other values, which repeat nothing
		if isShard(name) {
			put(t, filepath.Join(dir, "unet", name), data)
		}
	}
	pack := filepath.Join(tmp, "x.weld")
	if _, err := Pack(ctx, dir, pack, options(nil, nil)); err != nil {
		t.Fatal(err)
	}
	for _, harm := range []struct {
		folder string
		index  bool // is damaged, too
	}{{".", false}, {".", true}, {"unet", false}, {"unet", true}} {
		bad, lost := damaged(t, pack, harm.folder, own, harm.index)
		out := filepath.Join(tmp, "rest")
		s, err := SalvagePack(ctx, put(t, filepath.Join(tmp, "bad.weld"), bad), out, options(nil, nil))
		if err != nil || len(s.Lost) != 1 || s.Lost[0].Tensor != lost {
			t.Fatalf("%+v: %+v, %v", harm, s, err)
		}
		for _, folder := range []string{".", "unet"} {
			index := filepath.ToSlash(filepath.Join(folder, own))
			if slices.Contains(s.Files, index) != (folder != harm.folder) || slices.Contains(s.Shards, index) != (folder == harm.folder) {
				t.Errorf("%+v: as they were %v, anew %v", harm, s.Files, s.Shards)
			}
			c, err := open.Checkpoint(filepath.Join(out, folder))
			if err != nil {
				t.Errorf("%+v: %v", harm, err)
				continue
			}
			want := len(tensors())
			if folder == harm.folder {
				want--
			}
			if len(c.Tensors()) != want {
				t.Errorf("%+v: %s has %d tensors, not %d", harm, folder, len(c.Tensors()), want)
			}
			c.Close()
		}
		if _, err := os.Stat(filepath.Join(out, safetensors.IndexName)); err == nil {
			t.Errorf("%+v: an index of another name came about", harm)
		}
		if err := os.RemoveAll(out); err != nil {
			t.Fatal(err)
		}
	}
}

// A pack that is cut anywhere before its index has lost something, and says so; what is left of its shards can
// be read.
func TestSalvageCut(t *testing.T) {
	ctx, tmp := context.Background(), t.TempDir()
	pack := filepath.Join(tmp, "x.weld")
	if _, err := Pack(ctx, write(t, tensors(), 1, nil), pack, options(nil, nil)); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(pack)
	if err != nil {
		t.Fatal(err)
	}
	var cuts []int
	index, at := 0, 16
	for _, r := range recordsOf(whole) {
		if string(r[:4]) == "INDX" {
			index = at
		}
		cuts = append(cuts, at, at+1, at+31, at+40)
		at += len(r)
	}
	for _, cut := range cuts {
		if cut >= index+32 {
			continue
		}
		out := filepath.Join(tmp, "rest")
		s, err := SalvagePack(ctx, put(t, filepath.Join(tmp, "cut.weld"), whole[:cut]), out, options(nil, nil))
		if err != nil || s.Unharmed() {
			t.Errorf("cut after %d of %d bytes: %+v, %v", cut, len(whole), s, err)
			continue
		}
		if s.Tensors > 0 {
			c, err := open.Checkpoint(out)
			if err != nil {
				t.Errorf("cut after %d bytes: %v", cut, err)
			} else {
				c.Close()
			}
		}
		if err := os.RemoveAll(out); err != nil {
			t.Fatal(err)
		}
	}
}

// damaged is a pack with a flip in the largest tensor of a folder, and, if that is asked for, in its index.
func damaged(t *testing.T, pack, folder, index string, indexToo bool) (data []byte, tensor string) {
	t.Helper()
	a, err := packed.Open(pack)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if data, err = os.ReadFile(pack); err != nil {
		t.Fatal(err)
	}
	data = bytes.Clone(data)
	flip := func(content int64) {
		place, _, _ := a.Extent(a.BlockAt(content))
		data[place+45] ^= 0xff
	}
	most := int64(0)
	var at int64
	for i, f := range a.Files() {
		if filepath.Dir(f.Name) != folder {
			continue
		}
		if filepath.Base(f.Name) == index && indexToo {
			flip(f.Begin)
		}
		if !isShard(f.Name) {
			continue
		}
		h, err := safetensors.ReadHeader("", a.Source(i), f.Size)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range h.Tensors {
			if n := e.End - e.Begin; n > most {
				most, at, tensor = n, f.Begin+h.DataStart+e.Begin, e.Name
			}
		}
	}
	flip(at)
	return data, tensor
}
