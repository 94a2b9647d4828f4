package packs

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"weld/format"
)

// A model in GGUF is packed whole, whichever of its splits is named, and is in no patch.
func TestPackGGUF(t *testing.T) {
	ctx, tmp := context.Background(), t.TempDir()
	testdata := filepath.Join("..", "..", "format", "gguf", "testdata")
	splits, err := filepath.Glob(filepath.Join(testdata, "split-*.gguf"))
	if err != nil || len(splits) < 2 {
		t.Fatal(splits, err)
	}
	pack, dir := filepath.Join(tmp, "splits.weld"), filepath.Join(tmp, "dir")
	if r, err := Pack(ctx, splits[1], pack, options(nil, nil)); err != nil || r.Files != len(splits) {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := Unpack(ctx, pack, dir, options(nil, nil)); err != nil {
		t.Fatal(err)
	}
	for _, path := range splits {
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, filepath.Base(path))); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := Unpack(ctx, pack, filepath.Join(tmp, "one.gguf"), options(nil, nil)); err == nil {
		t.Error("several splits became one file")
	}
	for _, c := range [][2]string{{splits[0], write(t, tensors(), 1, nil)}, {write(t, tensors(), 1, nil), splits[0]}} {
		if _, err := Patch(ctx, c[0], c[1], filepath.Join(tmp, "p.weldpatch"), options(nil, nil)); format.KindOf(err) != format.KindUnsupported {
			t.Errorf("%v: %v", c, err)
		}
	}
	if entries, err := os.ReadDir(tmp); err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
