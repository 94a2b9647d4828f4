package packs

import (
	"cmp"
	"context"
	"path"
	"slices"
	"strings"

	"weld/format/packed"
	"weld/format/safetensors"
)

// An index has a name of its own in each kind of checkpoint, a pack may hold several, in folders too, and each
// lists files beside it. One is restored as it was if its files are what they were; else it is written anew and
// lists what is left in them.

// indexes writes all indexes.
func (s *salvaging) indexes(ctx context.Context) error {
	indexed := false
	for i, f := range s.a.Files() {
		if !safetensors.IsIndex(f.Name) {
			continue
		}
		indexed = indexed || path.Dir(f.Name) == "."
		if err := s.index(ctx, i, f); err != nil {
			return err
		}
	}
	if indexed || len(s.report.Lost) == 0 {
		return nil
	}
	index, shards := s.left(s.beside("."))
	if shards > 1 || shards == 1 && strings.Contains(index.WeightMap[0].Shard, "-of-") { // whose own is lost
		return s.anew(safetensors.IndexName, index)
	}
	return nil
}

// index writes one.
func (s *salvaging) index(ctx context.Context, i int, f packed.FileInfo) error {
	whole, place := s.whole(f.Begin, f.Size)
	listed := s.listed(i, f)
	if whole && !slices.ContainsFunc(listed, s.harmed) {
		return s.file(ctx, i, f)
	}
	if listed == nil {
		listed = s.beside(path.Dir(f.Name))
	}
	index, _ := s.left(listed)
	if len(index.WeightMap) == 0 {
		s.lose(place, f.Name, "", "no tensor of what it lists is left")
		return nil
	}
	return s.anew(f.Name, index)
}

// listed are the files that an index lists; nil if it cannot be read.
func (s *salvaging) listed(i int, f packed.FileInfo) (names []string) {
	if f.Size > safetensors.MaxHeader {
		return nil
	}
	src := s.a.Source(i)
	raw := make([]byte, f.Size)
	if _, err := src.ReadAt(raw, 0); err != nil {
		return nil
	}
	index, err := safetensors.ParseIndex(src.Path(), raw)
	if err != nil {
		return nil
	}
	for _, name := range index.Shards() {
		names = append(names, path.Join(path.Dir(f.Name), name))
	}
	return names
}

// beside are the files of a folder that hold tensors.
func (s *salvaging) beside(dir string) (names []string) {
	for _, f := range s.a.Files() {
		if isShard(f.Name) && path.Dir(f.Name) == dir {
			names = append(names, f.Name)
		}
	}
	return names
}

// harmed reports whether a file of the pack is not restored as it was.
func (s *salvaging) harmed(name string) bool {
	i, ok := s.a.Find(name)
	if !ok {
		return len(s.report.Lost) > 0 // else it was not there before
	}
	f := s.a.Files()[i]
	whole, _ := s.whole(f.Begin, f.Size)
	return !whole
}

// left lists what is left in files of one folder, and says in how many there is something.
func (s *salvaging) left(files []string) (index safetensors.Index, shards int) {
	taken := make(map[string]bool)
	for _, file := range files {
		before := len(taken)
		for _, t := range s.saved[file] {
			if !taken[t.Name] {
				taken[t.Name] = true
				index.WeightMap = append(index.WeightMap, safetensors.Weight{Name: t.Name, Shard: path.Base(file)})
				index.TotalSize += t.Bytes()
			}
		}
		if len(taken) > before {
			shards++
		}
	}
	slices.SortFunc(index.WeightMap, func(a, b safetensors.Weight) int { return cmp.Compare(a.Name, b.Name) })
	return index, shards
}

// anew writes an index.
func (s *salvaging) anew(name string, index safetensors.Index) error {
	out, err := s.dst.file(name, 0)
	if err != nil {
		return err
	}
	s.report.Shards = append(s.report.Shards, name)
	_, err = out.Write(index.Append(nil))
	return err
}
