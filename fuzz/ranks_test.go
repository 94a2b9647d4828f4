package fuzz

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"runtime"
	"testing"
	"testing/fstest"

	"weld/format"
	"weld/format/dcp"
	"weld/format/torch"
)

// rankFile is the safetensors of a rank: tensor "a" of two rows of two float32 each, with what says where it begins.
func rankFile(info string) []byte {
	text, err := json.Marshal(map[string]any{
		"__metadata__": map[string]string{"DCP_SHARDING_INFO": info},
		"a":            map[string]any{"dtype": "F32", "shape": []int{2, 2}, "data_offsets": []int{0, 16}},
	})
	if err != nil {
		panic(err)
	}
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), make([]byte, 16)...)
}

// FuzzRanks reads arbitrary safetensors of one rank, and arbitrary places of another's: they are refused, or their tensors are the same whole and
// in parts.
func FuzzRanks(f *testing.F) {
	const first = `{"a": {"saved_offsets": [0, 0]}}`
	for _, info := range []string{
		`{"a": {"saved_offsets": [2, 0]}}`, `{"a": {"saved_offsets": [0, 2]}}`, first, `{"a": {"saved_offsets": [2]}}`, `{"a": {"saved_offsets": [2, -1]}}`, `{"a": {}}`, `{}`, `[]`, ``,
		`{"a": {"saved_offsets": [9223372036854775806, 0]}}`, `{"a": {"saved_offsets": [9223372036854775807, 0]}}`, `{"a": {"saved_offsets": [4611686018427387904, 4]}}`,
		`{"a": {"saved_offsets": [1e2, 0]}}`, `{"a": {"saved_offsets": null}}`, `{"a": null}`, `{"a": {"saved_offsets": ["2", 0]}}`, `{"b": {"saved_offsets": [2, 0]}}`,
	} {
		f.Add(rankFile(first), info)
	}
	for _, name := range []string{"shard-00001-model-00001-of-00002", "shard-00004-model-00002-of-00002"} {
		data, err := os.ReadFile("../format/dcp/testdata/ranks/" + name + ".safetensors")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, `{"a": {"saved_offsets": [0, 0]}}`)
	}
	f.Fuzz(func(t *testing.T, file []byte, info string) {
		if len(file) > 1<<16 || len(info) > 1<<16 {
			return
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		files := fstest.MapFS{"shard-00001-model-00001-of-00001.safetensors": {Data: file}, "shard-00002-model-00001-of-00001.safetensors": {Data: rankFile(info)}}
		c, err := dcp.OpenRanks(format.FolderOf("d", files), func(name string) (torch.Source, error) {
			return &inMemory{Reader: bytes.NewReader(files[name].Data), path: "d/" + name, data: files[name].Data}, nil
		})
		if err == nil {
			for i := range c.Tensors() {
				checkViews(t, c, i)
			}
		} else if fault := (*format.Error)(nil); !errors.As(err, &fault) || fault.Path == "" || fault.Kind == "" || fault.Detail == "" && fault.Err == nil {
			t.Fatalf("got %#v", err)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
			t.Fatalf("%d MiB were allocated for %d bytes", n>>20, len(file))
		}
	})
}
