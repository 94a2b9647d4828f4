package dcp

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weld/format"
	"weld/format/formattest"
	"weld/format/torch"
	"weld/mmapio"
)

// The directories of testdata are torch.distributed.checkpoint's, written by several processes; *.want.safetensors are what its
// dcp_to_torch_save makes of them (.ci/interop/dcp_golden.py).

// opened opens a directory, of which a key may follow #.
func opened(path string) (*torch.Checkpoint, error) {
	path, key, _ := strings.Cut(path, "#")
	dir := format.Directory(path)
	if IsOfRanks(dir) {
		return OpenRanks(dir, func(name string) (torch.Source, error) { return mmapio.Open(dir.Join(name)) })
	}
	return Open(dir, key, func(name string) (torch.Source, error) { return mmapio.Open(dir.Join(name)) })
}

func TestGoldens(t *testing.T) {
	for name, want := range map[string]string{
		"boxes": "boxes", "ranks": "ranks", "fsdp": "fsdp.model", "fsdp#model": "fsdp.model", "fsdp#.": "fsdp", "flat": "flat.app.model", "flat#app.model": "flat.app.model", "pair#ema": "pair.ema",
	} {
		t.Run(name, func(t *testing.T) {
			wanted := formattest.Open(t, "testdata/"+want+".want.safetensors")
			c, err := opened("testdata/" + name)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if len(c.Tensors()) != len(wanted.Tensors()) {
				t.Errorf("%d tensors, want %d", len(c.Tensors()), len(wanted.Tensors()))
			}
			formattest.Hold(t, c, wanted)
		})
	}
}

// TestWhatIsTaken holds that optimizers are left out, and several state dicts listed.
func TestWhatIsTaken(t *testing.T) {
	c, err := opened("testdata/flat")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if notes := strings.Join(c.Notes(), "; "); !strings.Contains(notes, "the state dict under app.model is taken") || !strings.Contains(notes, "left out, as no weights: app.optimizer") {
		t.Errorf("notes %q", notes)
	}
	files := c.Files()
	if last := files[len(files)-1]; filepath.Base(last.Path) != MetadataName || len(files) != 3 {
		t.Errorf("files %v", files)
	}
	for name, says := range map[string]string{
		"optimizer": "an optimizer's state (exp_avg_sq)", "pair": "2 state dicts are in it: name the one that is meant, testdata/pair#model (1 tensor)", "fsdp#none": `there is no "none" in it; its keys are model, optim`,
	} {
		if _, err := opened("testdata/" + name); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", name, err, says)
		}
	}
}

// TestDamaged opens directories of which something is missing, or damaged.
func TestDamaged(t *testing.T) {
	for name, x := range map[string]struct {
		spoil func(dir string) error
		kind  format.Kind
		says  string
	}{
		"no metadata":     {func(dir string) error { return os.Remove(dir + "/.metadata") }, format.KindMissing, "the checkpoint was never completed"},
		"metadata each":   {func(dir string) error { return os.Rename(dir+"/.metadata", dir+"/__0.metadata") }, format.KindMissing, "each rank has one of its own"},
		"metadata cut":    {func(dir string) error { return os.Truncate(dir+"/.metadata", 100) }, format.KindPickle, ".metadata: byte "},
		"no file":         {func(dir string) error { return os.Remove(dir + "/__2_0.distcp") }, format.KindMissing, "__2_0.distcp: tensor"},
		"file cut":        {func(dir string) error { return os.Truncate(dir+"/__3_0.distcp", 5000) }, format.KindTruncated, "and the file has 5000"},
		"file of another": {func(dir string) error { return os.Rename(dir+"/__0_0.distcp", dir+"/__1_0.distcp") }, format.KindMissing, "__0_0.distcp"},
		"file of zeros": {func(dir string) error {
			return errors.Join(os.Truncate(dir+"/__3_0.distcp", 0), os.Truncate(dir+"/__3_0.distcp", 50000))
		}, format.KindUnsupported, "chunk at byte "},
	} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS("testdata/boxes")); err != nil {
			t.Fatal(err)
		}
		if err := x.spoil(dir); err != nil {
			t.Fatal(err)
		}
		if !IsFolder(format.Directory(dir)) {
			t.Errorf("%s: it is not recognised", name)
		}
		c, err := opened(dir)
		if format.KindOf(err) != x.kind || !strings.Contains(err.Error(), x.says) || c != nil {
			t.Errorf("%s: %s %v, want %s with %q", name, format.KindOf(err), err, x.kind, x.says)
		}
	}
}
