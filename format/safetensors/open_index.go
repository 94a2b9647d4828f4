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

// Listing is what is kept of an index: it is read once to find the shards, and again, to say what is wrong, where it does not
// agree with them.
type Listing struct {
	File    format.InputFile
	Shards  []string // each once, sorted
	Tensors int
	dir     format.Folder
	name    string
	seed    maphash.Seed
	sums    map[string]*nameSum // of each shard
}

// nameSum is how many names there are, and the sum of their hashes, whose seed nobody knows before: two lists that agree
// in both have the same names, but for one time in 2^64.
type nameSum struct {
	count int
	hash  uint64
}

// nameSums are those of several shards; names of one mostly follow each other.
type nameSums struct {
	of   map[string]*nameSum
	last string
	sum  *nameSum
}

func (s *nameSums) add(shard string, hash uint64) {
	if s.sum == nil || shard != s.last {
		s.last, s.sum = shard, s.of[shard]
		if s.sum == nil {
			s.sum = new(nameSum)
			s.of[shard] = s.sum
		}
	}
	s.sum.count++
	s.sum.hash += hash
}

// ReadListing reads an index of a directory.
func ReadListing(dir format.Folder, name string) (*Listing, error) {
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
	l := &Listing{dir: dir, name: name, File: format.InputFile{Path: path, Info: info}, seed: maphash.MakeSeed(), sums: make(map[string]*nameSum)}
	sums := nameSums{of: l.sums}
	l.File.Digest, err = scanIndex(dir, name, func(tensor []byte, shard string, _ int64) error {
		l.Tensors++
		sums.add(shard, maphash.Bytes(l.seed, tensor))
		return nil
	})
	l.Shards = slices.Sorted(maps.Keys(l.sums))
	return l, err
}

// agrees reports whether shards hold what the index lists, each tensor once.
func (l *Listing) agrees(held Held) bool {
	if held.Twice != "" {
		return false
	}
	sums := nameSums{of: make(map[string]*nameSum, len(l.sums))}
	for i := range held.Count {
		sums.add(held.Shard(i), maphash.String(l.seed, held.Name(i)))
	}
	return maps.EqualFunc(l.sums, sums.of, func(a, b *nameSum) bool { return *a == *b })
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

// Held is the tensors of shards, to be held against an index.
type Held struct {
	Count int
	Name  func(i int) string
	Find  func(name []byte) (i int, ok bool)
	Shard func(i int) string // the name of the file
	// Twice is the name of a tensor that a second shard holds too, and that shard; "" if there is none.
	Twice, Second string
}

// Agree demands that index and shards name the same tensors in the same places.
func (l *Listing) Agree(held Held) error {
	if l.agrees(held) {
		return nil
	}
	path := l.dir.Join(l.name)
	fault := func(kind format.Kind, tensor, detail string, args ...any) error {
		return &format.Error{Path: path, Tensor: tensor, Kind: kind, Detail: fmt.Sprintf(detail, args...)}
	}
	listed := make([]bool, held.Count)
	i := -1
	digest, err := scanIndex(l.dir, l.name, func(name []byte, shard string, at int64) error {
		if i++; i >= held.Count || held.Name(i) != string(name) { // it often is the next one
			found, ok := held.Find(name)
			if !ok {
				return fault(format.KindIndex, string(name), "the index places it in %s, which does not hold it", shard)
			}
			i = found
		}
		if listed[i] {
			return fault(format.KindDuplicate, string(name), "byte %d: it is listed twice", at)
		}
		listed[i] = true
		elsewhere := held.Shard(i)
		if held.Twice != "" && elsewhere == shard && held.Twice == string(name) {
			elsewhere = held.Second
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
		return fault(format.KindIndex, held.Name(i), "%s holds the tensor, but the index does not list it", held.Shard(i))
	}
	if digest != l.File.Digest {
		return &mmapio.ChangedError{Path: path, What: "its content"}
	}
	return nil
}

// held is what an index is held against: the tensors from the first, under the names that they have in their files.
func (c *Checkpoint) held(first int) Held {
	base := func(s *shard) string { return filepath.Base(s.Path()) }
	within := len(c.prefix)
	h := Held{
		Count: len(c.tensors) - first,
		Name:  func(i int) string { return c.tensors[first+i].Name[within:] },
		Find: func(name []byte) (int, bool) {
			if within > 0 {
				name = append([]byte(c.prefix), name...)
			}
			i, ok := c.table.FindBytes(name, c.nameAt)
			return i - first, ok && i >= first
		},
		Shard: func(i int) string { return base(c.shards[c.shardOf(first+i)]) },
	}
	if c.twice != nil {
		h.Twice, h.Second = c.twice.name[within:], base(c.twice.shards[1])
	}
	return h
}
