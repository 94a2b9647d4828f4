package format_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"weld/format"
	"weld/format/open"
	"weld/format/packed"
	"weld/format/safetensors"
	"weld/internal/torchsave"
	"weld/mmapio"
)

// checkChanges touches every file and demands that it is noticed.
func checkChanges(t *testing.T, c format.Checkpoint) {
	t.Helper()
	for _, f := range slices.Backward(c.Files()) { // the first that is changed is the one that is named
		if err := os.Chtimes(f.Path, time.Time{}, time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		var changed *mmapio.ChangedError
		if err := format.Unchanged(c); !errors.As(err, &changed) || changed.Path != f.Path {
			t.Errorf("%s was changed, and the checkpoint says %v", f.Path, err)
		}
	}
}

// abilities are the optional interfaces; a container of files has all of them but those that are named.
var abilities = map[string]reflect.Type{
	"Accompanied": reflect.TypeFor[format.Accompanied](), "Described": reflect.TypeFor[format.Described](), "Noted": reflect.TypeFor[format.Noted](),
	"Costly": reflect.TypeFor[format.Costly](), "Sharer": reflect.TypeFor[format.Sharer](), "Sharded": reflect.TypeFor[format.Sharded](),
	"Verbatim": reflect.TypeFor[format.Verbatim](), "Copied": reflect.TypeFor[format.Copied](), "Advised": reflect.TypeFor[format.Advised](),
}

// TestContainers demands of every container all that can be asked of it.
func TestContainers(t *testing.T) {
	dir := t.TempDir()
	tensors := []format.Tensor{tensor("a", 3, 5), tensor("b", 7)}
	save(t, filepath.Join(dir, "hub", "model.safetensors"), tensors)
	save(t, filepath.Join(dir, "single.safetensors"), tensors)
	save(t, filepath.Join(dir, "shards", "model-00001-of-00002.safetensors"), tensors[:1])
	save(t, filepath.Join(dir, "shards", "model-00002-of-00002.safetensors"), tensors[1:])
	write(t, filepath.Join(dir, "shards", "model.safetensors.index.json"), []byte(`{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}`))
	pack(t, filepath.Join(dir, "x.weld"), tensors)
	saveGGUF(t, filepath.Join(dir, "x.gguf"), tensors)
	saveGGUF(t, filepath.Join(dir, "gguf", "x.gguf"), tensors)
	write(t, filepath.Join(dir, "parts", "modules.json"), []byte(`[{"path": "", "type": "s.Transformer"}, {"path": "2_Dense", "type": "s.Dense"}]`))
	save(t, filepath.Join(dir, "parts", "model.safetensors"), tensors)
	write(t, filepath.Join(dir, "parts", "2_Dense", "pytorch_model.bin"), torchFile())
	for name, want := range map[string]struct {
		files  int
		fileOf int // of b
		beside string
		stored bool
	}{
		"hub":                                 {1, 0, "hub", true},
		"single.safetensors":                  {1, 0, "", true},
		"shards":                              {3, 1, "shards", true},
		"shards/model.safetensors.index.json": {3, 1, "shards", true},
		"x.weld":                              {1, 0, "x.weld", false},
		"parts":                               {2, 0, "parts", true},
		"x.gguf":                              {1, 0, "", true},
		"gguf":                                {1, 0, "gguf", true},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := open.Checkpoint(filepath.Join(dir, filepath.FromSlash(name)))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for ability, is := range abilities {
				if !reflect.TypeOf(c).Implements(is) {
					t.Errorf("%T is not %s", c, ability)
				}
			}
			b, _ := c.Find("b")
			if len(c.Files()) != want.files || format.FileOf(c, b) != want.fileOf {
				t.Errorf("%d files, b in the one of number %d", len(c.Files()), format.FileOf(c, b))
			}
			if got := format.Beside(c).Path(); want.beside == "" && got != "" || want.beside != "" && got != filepath.Join(dir, want.beside) {
				t.Errorf("beside it is %q", got)
			}
			if file, _ := format.Stored(c, b); (file != nil) != want.stored {
				t.Errorf("b is stored in %v", file)
			}
			if got := format.ViewCost(c, 100); (got == 100) != want.stored {
				t.Errorf("a view of 100 bytes costs %d", got)
			}
			if !maps.Equal(format.Metadata(c), map[string]string{"said": "by the container"}) {
				t.Errorf("metadata %v", format.Metadata(c))
			}
			w := wrapper{Checkpoint: c}
			if !bytes.Equal(w.bytes(t, b, c.View), w.bytes(t, b, w.read)) {
				t.Error("a read has other bytes than a view")
			}
			checkChanges(t, c)
		})
	}
}

// torchFile is what torch.save writes of a tensor "a" of two float32.
func torchFile() []byte {
	value := torchsave.Dict(torchsave.Text("a"), torchsave.Tensor(torchsave.Storage("FloatStorage", "0", 2), 0, []int64{2}, []int64{1}))
	return torchsave.Archive("m", false, torchsave.Entry{Name: "data.pkl", Data: torchsave.Pickle(value)}, torchsave.Entry{Name: "data/0", Data: []byte("12345678")})
}

// saveGGUF writes tensors of float32 as GGUF.
func saveGGUF(t *testing.T, path string, tensors []format.Tensor) {
	t.Helper()
	number := binary.LittleEndian.AppendUint64
	text := func(b []byte, s string) []byte { return append(number(b, uint64(len(s))), s...) }
	file := number(number([]byte("GGUF\x03\x00\x00\x00"), uint64(len(tensors))), 1)
	file = text(binary.LittleEndian.AppendUint32(text(file, "said"), 8), "by the container")
	var data []byte
	for _, x := range tensors {
		file = binary.LittleEndian.AppendUint32(text(file, x.Name), uint32(len(x.Shape)))
		for _, n := range slices.Backward(x.Shape) {
			file = number(file, uint64(n))
		}
		file = number(binary.LittleEndian.AppendUint32(file, 0), uint64(len(data)))
		data = append(data, bytes.Repeat([]byte{byte(len(data))}, int(x.Bytes()))...)
		data = append(data, make([]byte, -len(data)&31)...)
	}
	write(t, path, append(append(file, make([]byte, -len(file)&31)...), data...))
}

// pack writes a pack of one file of tensors.
func pack(t *testing.T, path string, tensors []format.Tensor) {
	t.Helper()
	plain := filepath.Join(t.TempDir(), "plain")
	save(t, plain, tensors)
	data, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	header := int64(len(data))
	for _, x := range tensors {
		header -= x.Bytes()
	}
	w := packed.NewWriter(out, 1)
	f, err := w.Shard("model.safetensors", header, tensors, nil)
	if err == nil {
		_, err = f.WriteAt(data, 0)
	}
	if err := errors.Join(err, w.Complete(), out.Close()); err != nil {
		t.Fatal(err)
	}
}

// heard is a file that remembers advice.
type heard struct {
	*mmapio.File
	advice []string
	read   int
}

func (h *heard) Advise(a mmapio.Advice, off, n int64) {
	h.advice = append(h.advice, fmt.Sprintf("%d %d+%d", a, off, n))
}

func (h *heard) Read(off, n int64) (mmapio.View, error) {
	h.read++
	return h.File.Read(off, n)
}

// TestAdviceReachesFiles follows advice, and a read, from containers to their files.
func TestAdviceReachesFiles(t *testing.T) {
	dir := t.TempDir()
	tensors := []format.Tensor{tensor("a", 3, 5), tensor("b", 7)}
	plain, packs := filepath.Join(dir, "m.safetensors"), filepath.Join(dir, "m.weld")
	save(t, plain, tensors)
	pack(t, packs, tensors)
	hear := func(path string) *heard {
		file, err := mmapio.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		return &heard{File: file}
	}
	file := hear(plain)
	c, err := safetensors.OpenFile(plain, file)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b, _ := c.Find("b")
	format.Advise(c, mmapio.Done, b, 4, 8)
	if want := fmt.Sprintf("1 %d+8", file.Size()-7*4+4); len(file.advice) != 1 || file.advice[0] != want {
		t.Errorf("advice arrives as %q, want %q", file.advice, want)
	}
	if v, err := format.Read(c, b, 0, 4); err != nil || file.read != 1 {
		t.Errorf("read %d times: %v", file.read, err)
	} else {
		v.Release()
	}
	stored := hear(packs)
	a, err := packed.OpenStorage(stored)
	if err != nil {
		t.Fatal(err)
	}
	inPack, err := a.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	defer inPack.Close()
	format.Advise(inPack, mmapio.Soon, b, 4, 8)
	block := a.BlockAt(a.Content() - 1)
	at, _, _ := a.Extent(block)
	if len(stored.advice) != 1 || !strings.HasPrefix(stored.advice[0], fmt.Sprintf("0 %d+", at)) {
		t.Errorf("advice arrives as %q, want that of the record at %d", stored.advice, at)
	}
}
