package plan

import (
	"math/rand/v2"
	"testing"

	"weld/format/safetensors"
)

// Parts are runs of whole shards that follow each other; where shards are alike, so are the parts.
func TestParts(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 0))
		shards := make([]safetensors.Shard, 1+r.IntN(20))
		var total, largest int64
		tensors := 0
		for i := range shards {
			n := 1 + r.IntN(5)
			shards[i] = safetensors.Shard{Size: 1 + r.Int64N(1000), First: tensors, Last: tensors + n}
			tensors += n
			total += shards[i].Size
			largest = max(largest, shards[i].Size)
		}
		n := 1 + r.IntN(8)
		parts := partsOf(shards, n)
		if len(parts) != min(n, len(shards)) {
			t.Fatalf("seed %d: %d parts of %d shards, wanted %d", seed, len(parts), len(shards), n)
		}
		shard, tensor, done := 0, 0, int64(0)
		for i, p := range parts {
			var size int64
			for _, s := range shards[p.FirstShard:p.LastShard] {
				size += s.Size
			}
			if p.FirstShard != shard || p.First != tensor || p.LastShard <= shard || size != p.Bytes {
				t.Fatalf("seed %d: part %d is %+v after shard %d", seed, i, p, shard)
			}
			shard, tensor, done = p.LastShard, p.Last, done+size
			fair := float64(total) / float64(len(parts)) * float64(i+1)
			if off := float64(done) - fair; len(shards) > 8*n && (off > float64(largest) || -off > float64(largest)) {
				t.Errorf("seed %d: part %d ends at %d, a fair share at %.0f", seed, i, done, fair)
			}
		}
		if shard != len(shards) || tensor != tensors || done != total {
			t.Fatalf("seed %d: %d shards and %d tensors in parts", seed, shard, tensor)
		}
	}
	even := make([]safetensors.Shard, 12)
	for i := range even {
		even[i] = safetensors.Shard{Size: 10, First: i, Last: i + 1}
	}
	for _, p := range partsOf(even, 4) {
		if p.Bytes != 30 {
			t.Errorf("a quarter of 12 equal shards is %+v", p)
		}
	}
}
