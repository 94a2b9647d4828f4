package plan

import "weld/format/safetensors"

// Part is a share of a merge: whole shards of the output, one after the other.
type Part struct {
	FirstShard, LastShard int // shards [FirstShard, LastShard)
	First, Last           int // their tensors
	Bytes                 int64
}

// Parts cuts the output by its bytes into n parts at most. A part is a run of whole shards, at least one; the ends
// of the parts are as near to equal shares as the shards allow. There are none where nothing is written.
func (p *Plan) Parts(n int) []Part {
	if p.Output == nil {
		return nil
	}
	return partsOf(p.Shards(), n)
}

// partsOf cuts shards into n parts at most.
func partsOf(shards []safetensors.Shard, n int) (parts []Part) {
	n = min(n, len(shards))
	var total int64
	for _, s := range shards {
		total += s.Size
	}
	end, done := 0, int64(0)
	for i := range n {
		part := Part{FirstShard: end, First: shards[end].First}
		target := float64(total) / float64(n) * float64(i+1)
		last := len(shards) - (n - i - 1) // the others have one shard each, at least
		for end < last {
			size := shards[end].Size
			if end > part.FirstShard && float64(done)+float64(size)/2 > target && i < n-1 {
				break
			}
			part.Bytes += size
			done += size
			end++
		}
		part.LastShard, part.Last = end, shards[end-1].Last
		parts = append(parts, part)
	}
	return parts
}
