package safetensors

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weld/format"
	"weld/mmapio"
)

// spill writes files into a directory.
func spill(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// bytesOf is a file of U8 tensors, each filled with the first letter of its name.
func bytesOf(metadata string, names ...string) string {
	const n = 5
	var header, data strings.Builder
	header.WriteString(`{"__metadata__":{` + metadata + `}`)
	for i, name := range names {
		fmt.Fprintf(&header, `,"%s":{"dtype":"U8","shape":[%d],"data_offsets":[%d,%d]}`, name, n, n*i, n*i+n)
		data.WriteString(strings.Repeat(name[:1], n))
	}
	header.WriteString("}")
	return string(file(header.String(), 0)) + data.String()
}

func indexOf(pairs ...string) string {
	ix := Index{TotalSize: -1}
	for i := 0; i < len(pairs); i += 2 {
		ix.WeightMap = append(ix.WeightMap, Weight{pairs[i], pairs[i+1]})
	}
	return string(ix.Append(nil))
}

// counted is a source that remembers whether it was closed.
type counted struct {
	Source
	open *int
}

func (c counted) Close() error { *c.open--; return c.Source.Close() }

// opener opens mapped files, and counts them.
func opener(open *int) func(path string) (Source, error) {
	return func(path string) (Source, error) {
		f, err := mmapio.Open(path)
		if err != nil {
			return nil, err
		}
		*open++
		return counted{f, open}, nil
	}
}

// openDir opens a directory.
func openDir(dir string, open func(path string) (Source, error)) (*Checkpoint, error) {
	files := format.Directory(dir)
	return OpenFolder(files, func(name string) (Source, error) { return open(files.Join(name)) })
}

func content(t *testing.T, c *Checkpoint, name string) string {
	t.Helper()
	i, ok := c.Find(name)
	if !ok {
		t.Fatalf("%s is not found", name)
	}
	v, err := c.View(i, 0, c.Tensors()[i].Bytes())
	if err != nil {
		t.Fatal(err)
	}
	defer v.Release()
	return string(bytes.Clone(v.Data))
}

const diffusers = "diffusion_pytorch_model.fp16.safetensors.index.json"

func TestOpenFolder(t *testing.T) {
	a, bc := bytesOf(`"k":"first","a":"1"`, "a"), bytesOf(`"k":"second","b":"2"`, "b", "c")
	for _, c := range []struct {
		name    string
		files   map[string]string
		tensors string
		opened  string
	}{
		{"single", map[string]string{SingleName: bc, "other.safetensors": a, "config.json": "{}"}, "b c", SingleName},
		{"single of another name", map[string]string{"adapter.safetensors": bc, "x.bin": "?", "y.safetensors.bak": "?"}, "b c", "adapter.safetensors"},
		{"compressed name", map[string]string{"model.safetensors.zst": bc}, "b c", "model.safetensors.zst"},
		{"shards", map[string]string{IndexName: indexOf("c", "2", "b", "2", "a", "1"), "1": a, "2": bc, "left.safetensors": "?"}, "a b c", "1 2 " + IndexName},
		{"one shard", map[string]string{IndexName: indexOf("a", "1"), "1": a}, "a", "1 " + IndexName},
		{"an index over the single file", map[string]string{IndexName: indexOf("a", SingleName), SingleName: a}, "a", SingleName + " " + IndexName},
		{"an index of another name", map[string]string{diffusers: indexOf("a", "1"), "1": a, "x.safetensors": "?"}, "a", "1 " + diffusers},
		{"the Hub's index goes first", map[string]string{IndexName: indexOf("a", "1"), "1": a, diffusers: "?"}, "a", "1 " + IndexName},
		{"the Hub's file goes first", map[string]string{SingleName: bc, diffusers: "?"}, "b c", SingleName},
		{"hidden files", map[string]string{"x.safetensors": a, "._x.safetensors": "?", "._x.safetensors.index.json": "?"}, "a", "x.safetensors"},
	} {
		open := 0
		dir := spill(t, c.files)
		got, err := openDir(dir, opener(&open))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var names, files []string
		for i, x := range got.Tensors() {
			names = append(names, x.Name)
			if s := content(t, got, x.Name); s != strings.Repeat(x.Name, 5) {
				t.Errorf("%s: %s holds %q", c.name, x.Name, s)
			}
			if in := got.Files()[got.FileOf(i)]; !strings.Contains(c.files[filepath.Base(in.Path)], `"`+x.Name+`":{`) {
				t.Errorf("%s: %s is said to be in %s", c.name, x.Name, in.Path)
			}
		}
		for _, f := range got.Files() {
			base := filepath.Base(f.Path)
			files = append(files, base)
			data := []byte(c.files[base])
			if !IsIndex(base) {
				h, err := ReadHeader("m", bytes.NewReader(data), int64(len(data)))
				if err != nil {
					t.Fatal(err)
				}
				data = data[:h.DataStart]
			}
			if f.Digest != sha256.Sum256(data) || f.Info.Size() != int64(len(c.files[base])) || filepath.Dir(f.Path) != dir {
				t.Errorf("%s: %+v", c.name, f)
			}
		}
		if strings.Join(names, " ") != c.tensors || strings.Join(files, " ") != c.opened {
			t.Errorf("%s: tensors %q in %q", c.name, names, files)
		}
		if got.Path() != dir || got.Beside().Path() != dir {
			t.Errorf("%s: path %s, dir %s", c.name, got.Path(), got.Beside().Path())
		}
		if c.name == "shards" && (got.Metadata()["k"] != "first" || got.Metadata()["a"] != "1" || got.Metadata()["b"] != "2") {
			t.Errorf("metadata %v", got.Metadata())
		}
		if err := got.Close(); err != nil || open != 0 {
			t.Errorf("%s: closed with %v, %d left open", c.name, err, open)
		}
	}
}

func TestOpenFolderFaults(t *testing.T) {
	a, bc := bytesOf("", "a"), bytesOf("", "b", "c")
	index := func(pairs ...string) map[string]string {
		return map[string]string{IndexName: indexOf(pairs...), "1": a, "2": bc}
	}
	for _, c := range []struct {
		name   string
		files  map[string]string
		kind   format.Kind
		tensor string
		says   string
	}{
		{"nothing", map[string]string{"config.json": "{}"}, format.KindMissing, "", "no " + SingleName},
		{"several", map[string]string{"x.safetensors": a, "y.safetensors": bc}, format.KindIndex, "", "2 safetensors files, and no index that says which are the checkpoint: x.safetensors and y.safetensors;"},
		{"a file and an index without it", map[string]string{SingleName: bc, IndexName: indexOf("a", "1"), "1": a}, format.KindIndex, "", SingleName + " is there, and " + IndexName + ","},
		{"two indexes", map[string]string{diffusers: indexOf("a", "1"), "x.safetensors.index.json": indexOf("b", "2"), "1": a, "2": bc}, format.KindIndex, "", diffusers + " or x.safetensors.index.json"},
		{"missing shard", index("a", "1", "b", "2", "c", "2", "d", "3"), format.KindMissing, "", "shard"},
		{"missing tensor", index("a", "1", "b", "2", "c", "2", "d", "2"), format.KindIndex, "d", "in 2, which does not hold it"},
		{"tensor not listed", index("a", "1", "c", "2"), format.KindIndex, "b", "2 holds the tensor, but the index does not list it"},
		{"tensor elsewhere", index("a", "2", "b", "2", "c", "1"), format.KindIndex, "a", "places it in 2, but it is (also) in 1"},
		{"damaged shard", map[string]string{IndexName: indexOf("a", "1", "b", "2"), "1": a, "2": bc[:len(bc)-1]}, format.KindTruncated, "c", ""},
		{"damaged index", map[string]string{IndexName: "{", "1": a}, format.KindJSON, "", ""},
		{"index that leads away", map[string]string{IndexName: `{"weight_map":{"a":"../1"}}`}, format.KindShardName, "a", "another directory"},
		{"tensor twice", map[string]string{IndexName: indexOf("a", "1", "b", "2", "c", "2"), "1": bytesOf("", "a", "b"), "2": bc}, format.KindIndex, "b", "(also) in 1"},
	} {
		open := 0
		_, err := openDir(spill(t, c.files), opener(&open))
		var fault *format.Error
		if !errors.As(err, &fault) || fault.Kind != c.kind || fault.Tensor != c.tensor || !strings.Contains(err.Error(), c.says) || open != 0 {
			t.Errorf("%s: %v (%q), %d left open", c.name, err, format.KindOf(err), open)
		}
	}
	open := 0
	if _, err := openDir(filepath.Join(t.TempDir(), "none"), opener(&open)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	dir := spill(t, map[string]string{SingleName: a})
	broken := errors.New("disk on fire")
	if _, err := openDir(dir, func(string) (Source, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// Two shards that hold the same tensor are found without the index's help, too.
func TestDuplicateAcrossShards(t *testing.T) {
	dir := spill(t, map[string]string{"1": bytesOf("", "a", "b"), "2": bytesOf("", "b")})
	open := 0
	c := &Checkpoint{path: dir}
	for _, name := range []string{"1", "2"} {
		src, err := opener(&open)(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.add(src, new(headerParser)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := c.opened(nil)
	var fault *format.Error
	if !errors.As(err, &fault) || fault.Kind != format.KindDuplicate || fault.Tensor != "b" || open != 0 {
		t.Errorf("got %v, %d left open", err, open)
	}
}

func TestOpenFile(t *testing.T) {
	dir := spill(t, map[string]string{SingleName: bytesOf("", "a"), "x.safetensors": bytesOf("", "b"), "bad.safetensors": "12345678"})
	open := 0
	for name, sidecars := range map[string]string{SingleName: dir, "x.safetensors": ""} {
		path := filepath.Join(dir, name)
		src, err := opener(&open)(path)
		if err != nil {
			t.Fatal(err)
		}
		c, err := OpenFile(path, src)
		if err != nil {
			t.Fatal(err)
		}
		if c.Path() != path || c.Beside().Path() != sidecars || len(c.Files()) != 1 || len(c.Tensors()) != 1 {
			t.Errorf("%s: path %s, dir %q, %d files", name, c.Path(), c.Beside().Path(), len(c.Files()))
		}
		if _, ok := c.Find("c"); ok {
			t.Error("found what is not there")
		}
		if c.ViewCost(100) != 100 {
			t.Errorf("a view of 100 bytes costs %d", c.ViewCost(100))
		}
		if err := c.Close(); err != nil || open != 0 {
			t.Errorf("%v, %d left open", err, open)
		}
	}
	src, err := opener(&open)(filepath.Join(dir, "bad.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFile("bad.safetensors", src); format.KindOf(err) != format.KindHeaderSize || open != 0 {
		t.Errorf("got %v, %d left open", err, open)
	}
}

// A view shows a tensor's own bytes and nothing beyond.
func TestViewBounds(t *testing.T) {
	dir := spill(t, map[string]string{SingleName: bytesOf("", "a", "b", "c")})
	open := 0
	c, err := openDir(dir, opener(&open))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b, _ := c.Find("b")
	for off := int64(0); off <= 5; off++ {
		for n := int64(0); off+n <= 5; n++ {
			v, err := c.View(b, off, n)
			if err != nil || string(v.Data) != strings.Repeat("b", int(n)) {
				t.Errorf("[%d, %d): %q, %v", off, off+n, v.Data, err)
			}
			v.Release()
			c.Advise(mmapio.Soon, b, off, n)
		}
	}
	const most = 1<<63 - 1
	for _, r := range [][2]int64{{-1, 1}, {0, -1}, {0, 6}, {5, 1}, {6, 0}, {1, most}, {most, 1}, {most, most}, {-most - 1, most}, {-1, most}, {3, -most - 1}} {
		v, err := c.View(b, r[0], r[1])
		if err == nil {
			t.Errorf("off %d, n %d: %d bytes", r[0], r[1], len(v.Data))
			v.Release()
		} else if !strings.Contains(err.Error(), `tensor "b"`) {
			t.Error(err)
		}
	}
}

func TestUnchanged(t *testing.T) {
	files := map[string]string{IndexName: indexOf("a", "1", "b", "2"), "1": bytesOf("", "a"), "2": bytesOf("", "b")}
	for name := range files {
		dir := spill(t, files)
		open := 0
		c, err := openDir(dir, opener(&open))
		if err != nil {
			t.Fatal(err)
		}
		if err := format.Unchanged(c); err != nil {
			t.Error(err)
		}
		path := filepath.Join(dir, name)
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		var changed *mmapio.ChangedError
		if err := format.Unchanged(c); !errors.As(err, &changed) || changed.Path != path {
			t.Errorf("%s: %v", name, err)
		}
		c.Close()
	}
}
