package destination_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weld/format"
	"weld/mmapio"
	"weld/stream/destination"
)

func TestContainerOf(t *testing.T) {
	for name, want := range map[string]destination.Container{
		"out": destination.Directory, "a.b/c.d": destination.Directory, "x.SafeTensors": destination.SingleFile,
		"x.safetensors.zst": destination.Compressed, "x.GGUF": destination.GGUF, "x.weld": destination.Pack, "x.WELDPATCH": destination.Patch, "x.safetensors/": destination.SingleFile,
	} {
		got, err := destination.ContainerOf(name)
		if err != nil || got != want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		kind := mmapio.SingleFile
		if want == destination.Directory {
			kind = mmapio.Directory
		}
		if got.Kind() != kind || got.Packs() != (want >= destination.Pack) || got.HoldsFiles() != (want == destination.Directory || want.Packs()) {
			t.Errorf("%s: %v, %v, %v", name, got.Kind(), got.Packs(), got.HoldsFiles())
		}
		if (got.Block() > 0) != (want >= destination.Compressed) {
			t.Errorf("%s is coded in blocks of %d", name, got.Block())
		}
	}
	for _, name := range []string{"-", "x.bin", "x.pt", "x.pth", "x.json.zst", "x.yml", "x.YAML", "x.ckpt", "x.npz", "x.safetensors.gz", "x.safetensors.index.json"} {
		if _, err := destination.ContainerOf(name); err == nil || !strings.Contains(err.Error(), destination.Writable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A misspelt ending is no directory's, unless there is one of that name.
func TestMisspeltEnding(t *testing.T) {
	dir := t.TempDir()
	for name, meant := range map[string]string{
		"x.safetensor": "x.safetensors", "a.b.saftensors": "a.b.safetensors", "x.safetensros": "x.safetensors", "x.Safetensorss": "x.safetensors",
		"x.safetensor.zst": "x.safetensors.zst", "x.safetensors.zt": "x.safetensors.zst", "x.wedl": "x.weld", "x.wel": "x.weld", "x.weldpach": "x.weldpatch",
	} {
		path := filepath.Join(dir, name)
		if _, err := destination.ContainerOf(path); err == nil || !strings.Contains(err.Error(), "did you mean "+filepath.Join(dir, meant)+"?") {
			t.Errorf("%s: %v", name, err)
		}
		if err := os.Mkdir(path, 0o777); err != nil {
			t.Fatal(err)
		}
		if got, err := destination.ContainerOf(path); strings.HasSuffix(name, ".safetensor.zst") || strings.HasSuffix(name, ".zt") {
			continue
		} else if err != nil || got != destination.Directory {
			t.Errorf("%s, which is there: %v, %v", name, got, err)
		}
	}
	for _, name := range []string{"x", ".weld2", "llama-3.1", "x.world", "x.tensors", "model.v2", "safetensor", "x.well-done"} {
		if got, err := destination.ContainerOf(filepath.Join(dir, name)); err != nil || got != destination.Directory {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestLabelled(t *testing.T) {
	for name, want := range map[string]string{
		"out": "out-1", "out/": "out-1", "a.b": "a.b-1", "x.safetensors": "x-1.safetensors", "x.Safetensors.zst": "x-1.Safetensors.zst", "x.weld": "x-1.weld", "x.weldpatch": "x-1.weldpatch",
	} {
		if got := destination.Labelled(name, "-1"); got != want {
			t.Errorf("%s becomes %s, want %s", name, got, want)
		}
	}
}

// checked is what a check says of a name in a directory.
func checked(t *testing.T, o destination.Candidate, says string) {
	t.Helper()
	switch err := o.Check(); {
	case says == "" && err != nil:
		t.Errorf("%s: %v", o.Name, err)
	case says != "" && (err == nil || !strings.Contains(err.Error(), says)):
		t.Errorf("%s: %v; want %q", o.Name, err, says)
	}
}

func TestVacant(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"full", "empty"} {
		if err := os.Mkdir(at(name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"full/x", "file"} {
		if err := os.WriteFile(at(name), []byte("x"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink("file", at("link")), os.Symlink("full", at("dirlink")), os.Symlink("gone", at("nowhere"))); err != nil {
		t.Skip(err)
	}
	for _, c := range []struct {
		name  string
		kind  mmapio.StagingKind
		force bool
		says  string
	}{
		{"new", mmapio.Directory, false, ""},
		{"new", mmapio.SingleFile, false, ""},
		{"none/new", mmapio.SingleFile, true, "there is no directory " + at("none")},
		{"file/new", mmapio.SingleFile, true, "output " + at("file/new")},
		{"empty", mmapio.Directory, false, ""},
		{"full", mmapio.Directory, false, "already exists: --force replaces it"},
		{"full", mmapio.Directory, true, ""},
		{"dirlink", mmapio.Directory, false, "already exists"},
		{"dirlink", mmapio.Directory, true, ""},
		{"full", mmapio.SingleFile, true, "a directory of that name is in the way"},
		{"file", mmapio.Directory, true, "a file of that name is in the way"},
		{"file", mmapio.SingleFile, false, "already exists: --force replaces it"},
		{"file", mmapio.SingleFile, true, ""},
		{"link", mmapio.SingleFile, false, "already exists"},
		{"nowhere", mmapio.SingleFile, false, "already exists"},
	} {
		checked(t, destination.Candidate{Name: at(c.name), Kind: c.kind, Force: c.force}, c.says)
	}
}

func TestNotInput(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(os.MkdirAll(at("model/sub"), 0o777), os.MkdirAll(at("other"), 0o777), os.WriteFile(at("model/sub/w"), []byte("w"), 0o666)); err != nil {
		t.Fatal(err)
	}
	// The Hub's cache is made of links: the input is named by one, and lies in a directory that the name does not lead through.
	if err := errors.Join(os.Symlink(at("model/sub/w"), at("other/link")), os.Symlink(at("model"), at("alias"))); err != nil {
		t.Skip(err)
	}
	for _, c := range []struct {
		out, input string
		kind       mmapio.StagingKind
		says       string
	}{
		{"model/sub/w", "model/sub/w", mmapio.SingleFile, "is the place of"},
		{"other/link", "model/sub/w", mmapio.SingleFile, "is the place of"},
		{"model", "model/sub/w", mmapio.Directory, "holds"},
		{"model/sub", "model/sub/w", mmapio.Directory, "is the place of"},
		{"alias", "model/sub/w", mmapio.Directory, "holds"},
		{"model", "other/link", mmapio.Directory, "holds"},
		{"other", "other/link", mmapio.Directory, "is the place of"},
		{"other", "model/sub/w", mmapio.Directory, ""},
		{"model/new", "model/sub/w", mmapio.SingleFile, ""},
	} {
		info, err := os.Stat(at(c.input))
		if err != nil {
			t.Fatal(err)
		}
		says := ""
		if c.says != "" {
			says = "output " + at(c.out) + " " + c.says + " the model it: choose another"
		}
		checked(t, destination.Candidate{Name: at(c.out), Kind: c.kind, Force: true, Inputs: []destination.InUse{
			{Role: "base", Path: "none"}, {Role: "model", Path: "it", Files: []format.InputFile{{Path: at(c.input), Info: info}}},
		}}, says)
	}
}

// TestResume has an exchange completed that a run died in, if that is asked for.
func TestResume(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	aside := mmapio.StagingPath(out) + "-old"
	if err := errors.Join(os.Mkdir(aside, 0o777), os.WriteFile(filepath.Join(aside, "x"), nil, 0o666)); err != nil {
		t.Fatal(err)
	}
	checked(t, destination.Candidate{Name: out, Kind: mmapio.Directory}, "")
	checked(t, destination.Candidate{Name: out, Kind: mmapio.Directory, Resume: mmapio.OS}, "already exists")
}
