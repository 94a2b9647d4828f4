package safetensors

import (
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"weld/format"
)

// Names that the Hub gives to the files of a checkpoint.
const (
	SingleName = "model.safetensors"
	IndexName  = "model.safetensors.index.json"
)

// twice is a tensor that two shards hold.
type twice struct {
	name   string
	shards [2]*shard
}

// OpenFile opens a single file, whose source the checkpoint then owns.
func OpenFile(path string, src Source) (*Checkpoint, error) {
	c := &Checkpoint{path: path, notes: partNotes(path)}
	if filepath.Base(path) == SingleName {
		c.beside = format.Directory(filepath.Dir(path))
	}
	return c.opened(c.add(src, new(headerParser)))
}

// OpenFolder opens a Hub directory, or what holds the files of one: the shards of its index,
// its only safetensors file, or numbered ones; of a directory that lists components, those of each. open opens one of them by name.
func OpenFolder(dir format.Folder, open func(name string) (Source, error)) (*Checkpoint, error) {
	components, err := dir.Components()
	if err != nil {
		return nil, err
	}
	c := &Checkpoint{path: dir.Path(), beside: dir}
	if components != nil {
		err = c.openComponents(components, open)
	} else {
		var chosen choice
		if chosen, err = choose(dir); err == nil {
			err = c.open(chosen, dir, open)
		}
		if err == nil && chosen.stem() == diffusersStem { // a component by itself, which keeps the name of its files
			c.parts = []format.Part{{Stem: diffusersStem}}
		}
	}
	return c.opened(err)
}

// OpenIndex opens the shards of one index of a directory.
func OpenIndex(dir format.Folder, name string, open func(name string) (Source, error)) (*Checkpoint, error) {
	c := &Checkpoint{path: dir.Path(), beside: dir}
	return c.opened(c.open(choice{index: name}, dir, open))
}

// opened is the checkpoint, unless it could not be opened, or has a tensor twice.
func (c *Checkpoint) opened(err error) (*Checkpoint, error) {
	if err == nil {
		err = c.unique()
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// open adds the files that were chosen of a directory.
func (c *Checkpoint) open(chosen choice, dir format.Folder, open func(name string) (Source, error)) error {
	var index *Listing
	if chosen.index != "" {
		var err error
		if index, err = ReadListing(dir, chosen.index); err != nil {
			return err
		}
		chosen.shards = index.Shards
		if err := chosen.unrivalled(dir, chosen.shards); err != nil {
			return err
		}
		c.reserve(index.Tensors)
	}
	c.notes = append(append(c.notes, chosen.notes...), chosen.leftOut(dir)...)
	first := len(c.tensors)
	var headers headerParser
	for _, name := range chosen.shards {
		src, err := open(name)
		if errors.Is(err, os.ErrNotExist) {
			err = chosen.missing(dir, name, err)
		}
		if err == nil {
			err = c.add(src, &headers)
		}
		if err != nil {
			return err
		}
	}
	if index == nil {
		return nil
	}
	c.files = append(c.files, index.File)
	return index.Agree(c.held(first))
}

// IsWeights reports whether a file name is that of a safetensors file or of an
// index over some.
func IsWeights(name string) bool {
	name = strings.ToLower(name)
	return strings.HasSuffix(name, ".safetensors") || strings.HasSuffix(name, ".safetensors.zst") || IsIndex(name)
}

// add reads the header of one more file, and takes its tensors.
func (c *Checkpoint) add(src Source, headers *headerParser) error {
	s := &shard{Source: src, first: len(c.tensors)}
	c.shards = append(c.shards, s) // so that Close closes it
	digest := sha256.New()
	header, err := headers.read(src.Path(), src, src.Size(), digest)
	if err != nil {
		return err
	}
	if err := ofOneRank(src.Path(), header.Metadata); err != nil {
		return err
	}
	s.header, s.metadata = header.DataStart, header.Metadata
	c.files = append(c.files, format.InputFile{Path: src.Path(), Info: src.Info(), Digest: [sha256.Size]byte(digest.Sum(nil))})
	c.take(header)
	return nil
}

// ofOneRank refuses what one rank wrote of tensors that are spread over several: each file has a part of them under the whole names, and none
// says how many files there are. Source: torch/distributed/checkpoint/_hf_utils.py (SHARDED_FILE_NAME, DCP_SHARDING_INFO_KEY) of torch 2.15.
func ofOneRank(path string, metadata map[string]string) error {
	if _, cut := metadata["DCP_SHARDING_INFO"]; !cut || !strings.HasPrefix(filepath.Base(path), "shard-") {
		return nil
	}
	return &format.Error{Path: path, Kind: format.KindUnsupported, Detail: "what one rank wrote of tensors that are spread over ranks (HuggingFaceStorageWriter with save_distributed): name the directory with the files of all ranks, and no other safetensors"}
}

// take takes what a header says.
func (c *Checkpoint) take(header *Header) {
	if c.metadata == nil {
		c.metadata = make(map[string]string)
	}
	for k, v := range header.Metadata {
		if _, taken := c.metadata[k]; !taken {
			c.metadata[k] = v
		}
	}
	c.reserve(len(header.Tensors))
	for _, e := range header.Tensors {
		e.Name = c.prefix + e.Name
		c.tensors = append(c.tensors, e.Tensor)
		if first, again := c.table.Add(c.nameAt); again {
			c.twice = &twice{e.Name, [2]*shard{c.shards[c.shardOf(first)], c.shards[len(c.shards)-1]}}
		}
		c.begins = append(c.begins, header.DataStart+e.Begin)
	}
}

// reserve makes room for n tensors more.
func (c *Checkpoint) reserve(n int) {
	c.table.Reserve(len(c.tensors)+n, c.nameAt)
	if n > cap(c.tensors)-len(c.tensors) {
		c.tensors, c.begins = slices.Grow(c.tensors, n), slices.Grow(c.begins, n)
	}
}

// unique demands that no tensor is in two shards.
func (c *Checkpoint) unique() error {
	if t := c.twice; t != nil {
		return &format.Error{Path: t.shards[1].Path(), Tensor: t.name, Kind: format.KindDuplicate, Detail: "it is also in " + t.shards[0].Path()}
	}
	return nil
}
