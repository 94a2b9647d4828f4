package llamacpp

import (
	"bytes"
	"encoding/binary"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"weld/format/gguf"
)

// gone stands for a key that is not there.
type gone struct{}

// encoded is a value as GGUF stores it, with its type before it.
func encoded(value any) []byte {
	typed := func(t gguf.ValueType) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(t)) }
	text := func(to []byte, s string) []byte {
		return append(binary.LittleEndian.AppendUint64(to, uint64(len(s))), s...)
	}
	switch v := value.(type) {
	case int:
		return binary.LittleEndian.AppendUint32(typed(gguf.Uint32), uint32(v))
	case float64:
		return binary.LittleEndian.AppendUint32(typed(gguf.Float32), math.Float32bits(float32(v)))
	case bool:
		return append(typed(gguf.Bool), map[bool]byte{true: 1}[v])
	case string:
		return text(typed(gguf.String), v)
	case []int:
		raw := binary.LittleEndian.AppendUint64(append(typed(gguf.Array), typed(gguf.Int32)...), uint64(len(v)))
		for _, n := range v {
			raw = binary.LittleEndian.AppendUint32(raw, uint32(n))
		}
		return raw
	case []string:
		raw := binary.LittleEndian.AppendUint64(append(typed(gguf.Array), typed(gguf.String)...), uint64(len(v)))
		for _, s := range v {
			raw = text(raw, s)
		}
		return raw
	}
	panic("no value of the test's")
}

// edited writes a golden with other values of some keys, and with other names of tensors, of as many bytes.
func edited(t testing.TB, name string, keys map[string]any, names ...string) *gguf.Checkpoint {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name+".gguf"))
	if err != nil {
		t.Fatal(err)
	}
	h, err := gguf.ReadHeader(name, bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	var pairs []byte
	count, end := 0, int64(24)
	add := func(key string, value []byte) {
		pairs = append(append(binary.LittleEndian.AppendUint64(pairs, uint64(len(key))), key...), value...)
		count++
	}
	keys = maps.Clone(keys)
	for _, p := range h.Pairs {
		end = p.Begin + p.Size
		value := keys[p.Key]
		delete(keys, p.Key)
		switch value.(type) {
		case gone:
		case nil:
			pairs = append(pairs, raw[p.From:end]...)
			count++
		default:
			add(p.Key, encoded(value))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if _, is := keys[key].(gone); !is {
			add(key, encoded(keys[key]))
		}
	}
	infos := bytes.Clone(raw[end:h.DataStart])
	for i := 0; i < len(names); i += 2 {
		if len(names[i]) != len(names[i+1]) || !bytes.Contains(infos, []byte(names[i])) {
			t.Fatalf("%q cannot become %q", names[i], names[i+1])
		}
		infos = bytes.ReplaceAll(infos, []byte(names[i]), []byte(names[i+1]))
	}
	file := binary.LittleEndian.AppendUint64(bytes.Clone(raw[:16]), uint64(count))
	file = append(append(file, pairs...), infos...)
	described := len(file) - trailing(h, raw, end)
	file = append(file[:described], make([]byte, (h.Alignment-int64(described)%h.Alignment)%h.Alignment)...)
	path := filepath.Join(t.TempDir(), name+".gguf")
	if err := os.WriteFile(path, append(file, raw[h.DataStart:]...), 0o666); err != nil {
		t.Fatal(err)
	}
	return opened(t, path)
}

// trailing are the bytes between the descriptions of tensors and their data.
func trailing(h *gguf.Header, raw []byte, end int64) int {
	size := int64(0)
	for _, e := range h.Tensors {
		size += int64(8 + len(e.Name) + 4 + 8*len(e.Shape) + 4 + 8)
	}
	return int(h.DataStart - end - size)
}
