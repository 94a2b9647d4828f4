package fuzz

import (
	"bytes"
	"cmp"
	"path/filepath"
	"slices"
	"testing"

	"weld/format/safetensors"
)

// FuzzShardIndex reads arbitrary indexes. Whatever is accepted names files of its
// own directory only, and printed, it reads and prints the same again.
func FuzzShardIndex(f *testing.F) {
	for _, file := range seeds(f, "index") {
		f.Add(file)
	}
	f.Add(placed(`"s.safetensors"`))
	f.Add(totalling(`1.2e9`))
	f.Add([]byte(`{"metadata":{"total_parameters":null,"total_size":12.0},"weight_map":{"b":"s2","a\u0000":"s1","c":"s2"},"x":[{}]}` + "\n"))
	f.Fuzz(func(t *testing.T, input []byte) {
		ix, err := safetensors.ParseIndex("i.json", input)
		if err != nil {
			checkFault(t, err, "i.json")
			return
		}
		shards := ix.Shards()
		for _, s := range shards {
			if !filepath.IsLocal(s) || filepath.Dir(filepath.Join("d", s)) != "d" {
				t.Fatalf("shard %q leaves the directory", s)
			}
		}
		if len(ix.WeightMap) == 0 || !slices.IsSorted(shards) {
			t.Fatalf("%+v of shards %q", ix, shards)
		}

		printed := ix.Append(nil)
		again, err := safetensors.ParseIndex("i.json", printed)
		if err != nil {
			t.Fatalf("%v in %s", err, printed)
		}
		slices.SortFunc(ix.WeightMap, func(a, b safetensors.Weight) int { return cmp.Compare(a.Name, b.Name) })
		if again.TotalSize != ix.TotalSize || !slices.Equal(again.WeightMap, ix.WeightMap) {
			t.Fatalf("read %+v, printed and read again %+v", ix, again)
		}
		if twice := again.Append(nil); !bytes.Equal(twice, printed) {
			t.Fatalf("printed %s, then %s", printed, twice)
		}
	})
}
