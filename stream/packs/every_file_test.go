package packs

import (
	"bytes"
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"weld/format"
	"weld/format/open"
	"weld/format/packed"
	"weld/format/safetensors"
)

// A pack of a folder holds every file of it, whatever it is, in all subfolders; what stays outside is noted.
func TestPackEveryFile(t *testing.T) {
	ctx, tmp := context.Background(), t.TempDir()
	dir := write(t, tensors(), 1, nil)
	noise := make([]byte, 3*packed.BlockSize+17)
	rand.Read(noise)
	other, err := os.ReadFile(filepath.Join(write(t, tensors()[1:3], 2, nil), safetensors.SingleName))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"adapter_model.safetensors":        other,
		"broken.safetensors":               []byte("version https://git-lfs.github.com/spec/v1\n"),
		"empty.safetensors":                {},
		"pytorch_model.bin":                noise,
		"model.Q4_K_M.gguf":                append([]byte("GGUF"), make([]byte, packed.BlockSize)...),
		"tokenizer.model":                  noise[:1000],
		".gitattributes":                   []byte("*.bin filter=lfs\n"),
		"1_Pooling/config.json":            []byte("{}"),
		"onnx/model.onnx":                  noise[:70000],
		"original/a/b/consolidated.00.pth": noise[:10],
	} {
		put(t, filepath.Join(dir, filepath.FromSlash(name)), data)
	}
	want := contents(t, dir)
	put(t, filepath.Join(dir, ".git", "config"), []byte("x"))
	put(t, filepath.Join(dir, ".cache", "huggingface", "x.lock"), nil)
	put(t, filepath.Join(dir, ".x.weld.weld-tmp", "x"), nil)
	left := []string{".git", ".cache", ".x.weld.weld-tmp", "packs.weld"}
	if runtime.GOOS != "windows" {
		blob := put(t, filepath.Join(tmp, "blob"), []byte("by a link"))
		link(t, blob, filepath.Join(dir, "linked.txt"))
		want["linked.txt"] = []byte("by a link")
		link(t, tmp, filepath.Join(dir, "elsewhere"))
		left = append(left, "elsewhere")
	}
	pack := put(t, filepath.Join(dir, "packs.weld"), []byte("an older one, which is replaced"))
	o := options(nil, nil)
	o.Force = true
	r, err := Pack(ctx, dir, pack, o)
	if err != nil || r.Files != len(want) {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, name := range left {
		if !slices.ContainsFunc(r.Notes, func(note string) bool { return strings.Contains(note, " "+name+" stays outside the pack: ") }) {
			t.Errorf("no note of %s in %q", name, r.Notes)
		}
	}
	if len(r.Notes) != len(left)+2 || !strings.Contains(r.Notes[0], "and not adapter_model.safetensors") || !strings.Contains(r.Notes[1], "not read as tensors: model.Q4_K_M.gguf, pytorch_model.bin") {
		t.Errorf("notes %q", r.Notes)
	}
	if v, err := Verify(ctx, pack, "", options(nil, nil)); err != nil || len(v.Damage) > 0 || v.Files != len(want) {
		t.Errorf("%+v, %v", v, err)
	}
	for name, in := range map[string]string{"file": pack, "pipe": Stream} {
		data, _ := os.ReadFile(pack)
		out := filepath.Join(tmp, name)
		if _, err := Unpack(ctx, in, out, options(data, nil)); err != nil {
			t.Fatal(err)
		}
		got := contents(t, out)
		for name, data := range want {
			if !bytes.Equal(got[name], data) {
				t.Errorf("%s: %d bytes, want %d", name, len(got[name]), len(data))
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d files, want %d", len(got), len(want))
		}
	}
	again := filepath.Join(tmp, "again.weld")
	if _, err := Pack(ctx, pack, again, options(nil, nil)); err != nil {
		t.Fatal(err)
	}
	a, _ := os.ReadFile(pack)
	if b, _ := os.ReadFile(again); !bytes.Equal(a, b) {
		t.Error("the pack of a pack is another one")
	}
	c, err := open.Checkpoint(pack)
	if err != nil || len(c.Tensors()) != len(tensors()) { // those of the adapter are not among them
		t.Fatalf("%v", err)
	}
	c.Close()
}

func link(t *testing.T, to, name string) {
	t.Helper()
	if err := os.Symlink(to, name); err != nil {
		t.Fatal(err)
	}
}

// A link that leads nowhere, and a name that not every system has, are refused before anything is written.
func TestPackRefusesFolders(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such links and names")
	}
	for name, spoil := range map[string]func(dir string){
		"a link that leads nowhere": func(dir string) { link(t, "../../blobs/0123", filepath.Join(dir, "tokenizer.model")) },
		"is a device on Windows":    func(dir string) { put(t, filepath.Join(dir, "x", "aux.txt"), nil) },
	} {
		dir, out := write(t, tensors()[1:3], 1, nil), filepath.Join(t.TempDir(), "x.weld")
		spoil(dir)
		if _, err := Pack(context.Background(), dir, out, options(nil, nil)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: something was written", name)
		}
	}
}

// A folder without a checkpoint is packed with a note; one that claims to have one must be sound.
func TestPackWithoutCheckpoint(t *testing.T) {
	ctx, tmp := context.Background(), t.TempDir()
	dir := filepath.Join(tmp, "gguf")
	put(t, filepath.Join(dir, "model.gguf"), []byte("GGUF"))
	r, err := Pack(ctx, dir, filepath.Join(tmp, "x.weld"), options(nil, nil))
	if err != nil || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "no checkpoint that weld reads") {
		t.Fatalf("%+v, %v", r, err)
	}
	if r, err := Pack(ctx, filepath.Join(tmp, "x.weld"), filepath.Join(tmp, "y.weld"), options(nil, nil)); err != nil || len(r.Notes) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := Unpack(ctx, filepath.Join(tmp, "x.weld"), filepath.Join(tmp, "out"), options(nil, nil)); err != nil {
		t.Fatal(err)
	}
	same(t, filepath.Join(tmp, "out"), dir)
	put(t, filepath.Join(dir, safetensors.SingleName), []byte("not a header"))
	if _, err := Pack(ctx, dir, filepath.Join(tmp, "z.weld"), options(nil, nil)); format.KindOf(err) == "" {
		t.Errorf("a damaged checkpoint: %v", err)
	}
	if err := os.Mkdir(filepath.Join(tmp, "nothing"), 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Pack(ctx, filepath.Join(tmp, "nothing"), filepath.Join(tmp, "z.weld"), options(nil, nil)); format.KindOf(err) != format.KindMissing {
		t.Errorf("an empty folder: %v", err)
	}
}
