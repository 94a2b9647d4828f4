package open

import (
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"

	"weld/format"
)

// rank is the safetensors of one rank: tensors of U8, and where they begin.
func rank(t *testing.T, shapes, offsets map[string][]int64) []byte {
	t.Helper()
	header, places, at := make(map[string]any), make(map[string]any), int64(0)
	for name, shape := range shapes {
		n, _ := format.Elements(shape)
		header[name] = map[string]any{"dtype": "U8", "shape": shape, "data_offsets": []int64{at, at + n}}
		places[name] = map[string]any{"saved_offsets": offsets[name]}
		at += n
	}
	info, _ := json.Marshal(places)
	header["__metadata__"] = map[string]string{"DCP_SHARDING_INFO": string(info)}
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), make([]byte, at)...)
}

// TestLastRanks refuses files of ranks without those of the last ones, where embeddings, norms or config.json tell.
func TestLastRanks(t *testing.T) {
	const embedding, norm = "model.embed_tokens.weight", "model.norm.weight"
	for name, c := range map[string]struct {
		ranks  int
		config string
		says   string
	}{
		"all":                     {2, `{"vocab_size": 6}`, ""},
		"all, no configuration":   {2, "", ""},
		"more rows than tokens":   {2, `{"vocab_size": 5}`, ""},
		"rows are missing":        {2, `{"vocab_size": 8}`, `tensor "model.embed_tokens.weight": it has 6 rows, and config.json says vocab_size 8: the files of the last ranks are missing`},
		"the norm is not all":     {1, "", `tensor "model.norm.weight": it has 2 elements, and "model.embed_tokens.weight" has rows of 4: the files of the last ranks are missing`},
		"a nested configuration":  {2, `{"text_config": {"vocab_size": 8}}`, "vocab_size 8"},
		"a damaged configuration": {2, `{"vocab_size": `, ""},
	} {
		dir := t.TempDir()
		for k := range int64(c.ranks) {
			file := rank(t, map[string][]int64{embedding: {3, 4}, norm: {2}}, map[string][]int64{embedding: {3 * k, 0}, norm: {2 * k}})
			put(t, dir, []string{"shard-00001-model-00001-of-00001.safetensors", "shard-00002-model-00001-of-00001.safetensors"}[k], file)
		}
		if c.config != "" {
			put(t, dir, "config.json", []byte(c.config))
		}
		got, err := Checkpoint(dir)
		if (err == nil) != (c.says == "") || err != nil && (!strings.Contains(err.Error(), c.says) || format.KindOf(err) != format.KindMissing) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			if got.Close(); len(format.Notes(got)) != 1 {
				t.Errorf("%s: notes %q", name, format.Notes(got))
			}
		}
	}
}
