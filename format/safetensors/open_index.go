package safetensors

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"weld/format"
	"weld/mmapio"
)

// indexListing is what is kept of an index: it is read once to find the shards, and again, to say what is wrong, where
// it does not agree with them.
type indexListing struct {
	name    string
	file    format.InputFile
	shards  []string // each once, sorted
	tensors int
	seed    maphash.Seed
	sums    map[string]*nameSum // of each shard
}

// nameSum is how many names there are, and the sum of their hashes, whose seed nobody knows before: two lists that agree
// in both have the same names, but for one time in 2^64.
type nameSum struct {
	count int
	hash  uint64
}

func (s *nameSum) add(hash uint64) {
	s.count++
	s.hash += hash
}

// readIndex reads an index of a directory.
func readIndex(dir format.Folder, name string) (*indexListing, error) {
	info, err := dir.Stat(name)
	if errors.Is(err, os.ErrNotExist) {
		err = choice{}.missing(dir, name, err)
	}
	if err != nil {
		return nil, err
	}
	path := dir.Join(name)
	if info.Mode().IsRegular() && info.Size() > MaxIndex { // what is not regular cannot be opened
		return nil, &format.Error{Path: path, Kind: format.KindIndex, Detail: fmt.Sprintf("an index of %d bytes is over the limit of %d", info.Size(), int64(MaxIndex))}
	}
	l := &indexListing{name: name, file: format.InputFile{Path: path, Info: info}, seed: maphash.MakeSeed(), sums: make(map[string]*nameSum)}
	var last string
	var sum *nameSum
	l.file.Digest, err = scanIndex(dir, name, func(tensor []byte, shard string, _ int64) error {
		l.tensors++
		if sum == nil || shard != last {
			last, sum = shard, l.sums[shard]
			if sum == nil {
				sum = new(nameSum)
				l.sums[shard] = sum
			}
		}
		sum.add(maphash.Bytes(l.seed, tensor))
		return nil
	})
	l.shards = slices.Sorted(maps.Keys(l.sums))
	return l, err
}

// agrees reports whether the shards of a checkpoint hold what the index lists, each tensor once.
func (l *indexListing) agrees(c *Checkpoint) bool {
	for _, s := range c.Shards() {
		var held nameSum
		for i := range s.Tensors {
			held.add(maphash.String(l.seed, s.Tensors[i].Name))
		}
		if listed := l.sums[filepath.Base(s.Path())]; listed == nil || *listed != held {
			return false
		}
	}
	return true
}

// scanIndex reads the directory's index as [ScanIndex] does.
func scanIndex(dir format.Folder, name string, found func(name []byte, shard string, at int64) error) (digest [sha256.Size]byte, err error) {
	file, err := dir.Open(name)
	if err != nil {
		return digest, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return digest, err
	}
	sum := sha256.New()
	text := bufio.NewReaderSize(io.TeeReader(io.LimitReader(file, MaxIndex), sum), format.ForeignHead)
	head, err := text.Peek(format.ForeignHead)
	if err != nil && err != io.EOF {
		return digest, fmt.Errorf("read %s: %w", dir.Join(name), err)
	}
	if err := dir.Genuine(name, head, info.Size()); err != nil {
		return digest, err
	}
	err = ScanIndex(dir.Join(name), text, found)
	return [sha256.Size]byte(sum.Sum(nil)), err
}

// agree demands that index and shards name the same tensors in the same places.
func (c *Checkpoint) agree(index *indexListing, dir format.Folder) error {
	if index.agrees(c) {
		return nil
	}
	path := dir.Join(index.name)
	fault := func(kind format.Kind, tensor, detail string, args ...any) error {
		return &format.Error{Path: path, Tensor: tensor, Kind: kind, Detail: fmt.Sprintf(detail, args...)}
	}
	base := func(s *shard) string { return filepath.Base(s.Path()) }
	listed := make([]bool, len(c.tensors))
	i := -1
	digest, err := scanIndex(dir, index.name, func(name []byte, shard string, at int64) error {
		if i++; i >= len(c.tensors) || c.tensors[i].Name != string(name) { // it often is the next one
			found, ok := c.table.FindBytes(name, c.nameAt)
			if !ok {
				return fault(format.KindIndex, string(name), "the index places it in %s, which does not hold it", shard)
			}
			i = found
		}
		if listed[i] {
			return fault(format.KindDuplicate, string(name), "byte %d: it is listed twice", at)
		}
		listed[i] = true
		elsewhere := base(c.shards[c.shardOf(i)])
		if c.twice != nil && elsewhere == shard && c.twice.name == string(name) {
			elsewhere = base(c.twice.shards[1])
		}
		if elsewhere != shard {
			return fault(format.KindIndex, string(name), "the index places it in %s, but it is (also) in %s", shard, elsewhere)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if i := slices.Index(listed, false); i >= 0 {
		return fault(format.KindIndex, c.tensors[i].Name, "%s holds the tensor, but the index does not list it", base(c.shards[c.shardOf(i)]))
	}
	if digest != index.file.Digest {
		return &mmapio.ChangedError{Path: path, What: "its content"}
	}
	return nil
}
