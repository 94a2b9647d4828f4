package dcp

import (
	"cmp"
	"slices"

	"weld/format"
	"weld/format/torch"
)

// Archive is a range of a file that is a file of torch.save by itself.
type Archive struct {
	File          string // in the directory
	Begin, Length int64
}

// Archives lists the chunks of all tensors of a checkpoint, in the order of files and bytes.
func Archives(dir format.Folder) ([]Archive, error) {
	raw, err := dir.Bytes(MetadataName, torch.MaxPickle)
	if err != nil || raw == nil {
		return nil, err
	}
	m, err := parse(dir.Join(MetadataName), raw)
	if err != nil {
		return nil, err
	}
	var list []Archive
	for _, t := range m.tensors {
		if t == nil {
			continue
		}
		for _, c := range t.chunks {
			if c.at != nil {
				list = append(list, Archive{c.at.file, c.at.begin, c.at.length})
			}
		}
	}
	slices.SortFunc(list, func(a, b Archive) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Begin, b.Begin), cmp.Compare(a.Length, b.Length))
	})
	return slices.Compact(list), nil
}
