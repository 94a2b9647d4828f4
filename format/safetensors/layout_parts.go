package safetensors

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"weld/format"
)

// partOf is the part that a tensor belongs to, by its name.
func (l *Layout) partOf(name string) (part int) { return max(0, format.PartOf(l.Parts, name)) }

// within is a tensor under the name that it has in the files of its part.
func (l *Layout) within(t format.Tensor) format.Tensor {
	t.Name = strings.TrimPrefix(t.Name, l.Parts[l.partOf(t.Name)].Prefix())
	return t
}

// group orders the tensors by their parts, where they are not so ordered.
func (l *Layout) group() {
	if len(l.Parts) == 1 {
		return
	}
	parts := make([]int, len(l.begins))
	for i := range parts {
		parts[i] = l.partOf(l.Tensor(i).Name)
	}
	if slices.IsSorted(parts) {
		return
	}
	l.order = make([]int32, len(parts))
	for i := range l.order {
		l.order[i] = int32(i)
	}
	slices.SortStableFunc(l.order, func(a, b int32) int { return cmp.Compare(parts[a], parts[b]) })
}

// shardsOf are the shards of a part.
func (l *Layout) shardsOf(part int) []Shard {
	first, _ := slices.BinarySearchFunc(l.Shards, part, func(s Shard, part int) int { return cmp.Compare(s.Part, part) })
	end, _ := slices.BinarySearchFunc(l.Shards, part+1, func(s Shard, part int) int { return cmp.Compare(s.Part, part) })
	return l.Shards[first:end]
}

// nameShards gives the shards their names, which are numbered where a part has several.
func (l *Layout) nameShards() {
	for k, part := range l.Parts {
		shards := l.shardsOf(k)
		for i := range shards {
			shards[i].Name = part.Prefix() + part.Stem + ".safetensors"
			if len(shards) > 1 {
				shards[i].Name = fmt.Sprintf("%s%s-%05d-of-%05d.safetensors", part.Prefix(), part.Stem, i+1, len(shards))
			}
		}
	}
}
