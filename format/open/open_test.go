package open

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weld/format"
	"weld/format/safetensors"
	"weld/format/seekzstd"
	"weld/mmapio"
)

// one is a file with the tensor "a", four bytes long.
func one() []byte {
	const header = `{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}`
	data := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(data, header...), "abcd"...)
}

func put(t *testing.T, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, data, 0o666)); err != nil {
		t.Fatal(err)
	}
	return path
}

// squeeze compresses content in two frames.
func squeeze(t *testing.T, content []byte) []byte {
	t.Helper()
	var file strings.Builder
	w, err := seekzstd.NewWriter(&file, []int64{20, int64(len(content))}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteAt(content, 0); err != nil {
		t.Fatal(err)
	}
	if err := w.Complete(); err != nil {
		t.Fatal(err)
	}
	return []byte(file.String())
}

// Whatever a checkpoint is called, the same tensor comes out.
func TestCheckpoint(t *testing.T) {
	dir := t.TempDir()
	index := safetensors.Index{WeightMap: []safetensors.Weight{{Name: "a", Shard: "part.safetensors"}}}
	put(t, dir, "hub/"+safetensors.SingleName, one())
	put(t, dir, "other/x.safetensors", one())
	put(t, dir, "sharded/part.safetensors", one())
	put(t, dir, "sharded/"+safetensors.IndexName, index.Append(nil))
	put(t, dir, "packed/model.safetensors.zst", squeeze(t, one()))
	cached := "cache/models--owner--repo/snapshots/123abc/"
	put(t, dir, cached+safetensors.SingleName, one())
	put(t, dir, "cache/models--owner--repo/refs/main", []byte("123abc\n"))
	t.Setenv("HF_HUB_CACHE", filepath.Join(dir, "cache"))
	for name, sidecars := range map[string]string{
		"hub":                              "hub",
		"hub/" + safetensors.SingleName:    "hub",
		"other":                            "other",
		"other/x.safetensors":              "",
		"sharded":                          "sharded",
		"sharded/" + safetensors.IndexName: "sharded",
		"packed":                           "packed",
		"packed/model.safetensors.zst":     "",
		"owner/repo":                       cached,
		"owner/repo@main":                  cached,
		"owner/repo@123abc":                cached,
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if strings.HasPrefix(name, "owner") {
			path = name
		}
		c, err := Checkpoint(path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want := filepath.Join(dir, sidecars); sidecars != "" && format.Beside(c).Path() != want || sidecars == "" && format.Beside(c).Path() != "" {
			t.Errorf("%s: its files are in %q", name, format.Beside(c).Path())
		}
		i, ok := c.Find("a")
		v, err := c.View(i, 1, 2)
		if !ok || err != nil || string(v.Data) != "bc" {
			t.Errorf("%s: %q, %v", name, v.Data, err)
		}
		v.Release()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestFaults(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HF_HUB_CACHE", filepath.Join(dir, "cache"))
	packed := squeeze(t, one())
	for _, c := range []struct {
		name string
		kind format.Kind
		says string
	}{
		{"none", format.KindMissing, "no such file"},
		{put(t, dir, "x.txt", one()), format.KindUnsupported, Readable},
		{put(t, dir, "model.bin", one()), format.KindForeign, "a safetensors file, whatever its name says"},
		{put(t, dir, "y.safetensors", one()[:30]), format.KindTruncated, ""},
		{put(t, dir, "z.safetensors.zst", packed[:len(packed)-1]), format.KindCompression, "zstd -d"},
		{put(t, dir, "w.safetensors.zst", one()), format.KindForeign, "a safetensors file, whatever its name says"},
		{put(t, dir, "w.weld", one()), format.KindForeign, "a safetensors file, whatever its name says"},
		{put(t, dir, "w.gguf", one()), format.KindForeign, "a safetensors file, whatever its name says"},
		{put(t, dir, "empty.gguf", nil), format.KindTruncated, "the file is empty: download or copy it again"},
		{put(t, dir, "cut.gguf", []byte("GGUF\x03\x00")), format.KindTruncated, "download or copy it again"},
		{"", format.KindMissing, "the path is empty"},
		{filepath.Dir(put(t, dir, "empty/README.md", nil)), format.KindMissing, safetensors.IndexName},
		{"owner/repo", format.KindMissing, "hf download owner/repo"},
		{"owner/repo@v1", format.KindMissing, "hf download owner/repo --revision v1"},
	} {
		got, err := Checkpoint(c.name)
		if format.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v (%q)", c.name, err, format.KindOf(err))
		}
		if got != nil {
			t.Errorf("%s: a checkpoint and an error", c.name)
		}
	}
}

// A damaged frame is a fault of the data, found when it is read.
func TestDamagedFrame(t *testing.T) {
	packed := squeeze(t, one())
	for i := 20; i < len(packed)-40; i++ {
		bad := append([]byte(nil), packed...)
		bad[i] ^= 0x55
		c, err := Checkpoint(put(t, t.TempDir(), "x.safetensors.zst", bad))
		if err == nil {
			var v mmapio.View
			if v, err = c.View(0, 0, 4); err == nil && string(v.Data) != "abcd" {
				t.Errorf("byte %d: read %q", i, v.Data)
			}
			v.Release()
			c.Close()
		}
		if err != nil && format.KindOf(err) == "" {
			t.Errorf("byte %d: %v", i, err)
		}
	}
}
