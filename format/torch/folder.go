package torch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"weld/format"
	"weld/format/safetensors"
)

// leftovers begin or end the names of files that trainers leave beside weights.
var leftovers = regexp.MustCompile(`(?i)^(training_args|optimizer|scheduler|scaler|sampler|rng_state|random_states|trainer_state)|_optim_states\.pt$`)

// IsWeights reports whether a file name is one of those that hold weights, or an index over some. What trainers leave beside them is not.
func IsWeights(name string) bool {
	return IsIndex(name) || IsFile(name) && !leftovers.MatchString(name)
}

// OpenFolder opens a directory, or what holds the files of one: the shards of its index, pytorch_model.bin, the files of a Llama
// release, its only file, or numbered ones. open opens one of them by name. Of each file key says which state dict is meant.
func OpenFolder(dir format.Folder, key string, open func(name string) (Source, error)) (*Checkpoint, error) {
	chosen, err := choose(dir)
	if err != nil {
		return nil, err
	}
	return chosen.open(dir, key, open)
}

// OpenIndex opens the shards of one index of a directory.
func OpenIndex(dir format.Folder, name, key string, open func(name string) (Source, error)) (*Checkpoint, error) {
	return choice{index: name}.open(dir, key, open)
}

// choice is which files of a folder are its checkpoint.
type choice struct {
	index  string
	rival  bool // pytorch_model.bin is there too, which the index should list
	parts  bool // they are model-parallel parts of one model
	shards []string
	others []string // weights that are there, with the chosen ones among them
	notes  []string
}

// leftOut says which weights are there beside those that are chosen.
func (chosen choice) leftOut(dir format.Folder) []string {
	rest := slices.DeleteFunc(chosen.others, func(name string) bool { return name == chosen.index || slices.Contains(chosen.shards, name) })
	if len(rest) == 0 {
		return nil
	}
	taken := chosen.index
	if taken == "" {
		taken = someOf(chosen.shards)
	}
	return []string{fmt.Sprintf("%s: the checkpoint is %s, and not %s, which is there as well", dir.Path(), taken, someOf(rest))}
}

func (chosen choice) open(dir format.Folder, key string, open func(name string) (Source, error)) (*Checkpoint, error) {
	c := &Checkpoint{path: named(dir.Path(), key), beside: dir, notes: chosen.notes}
	var index *safetensors.Listing
	if chosen.index != "" {
		var err error
		if index, err = safetensors.ReadListing(dir, chosen.index); err != nil {
			return nil, err
		}
		chosen.shards = index.Shards
		if chosen.rival && !slices.Contains(index.Shards, SingleName) {
			return nil, &format.Error{Path: dir.Path(), Kind: format.KindIndex, Detail: fmt.Sprintf("%s is there, and %s, which lists other files: name the one that is meant", SingleName, chosen.index)}
		}
	}
	c.notes = append(c.notes, chosen.leftOut(dir)...)
	add, beside := c.add, []format.InputFile(nil)
	if chosen.parts {
		p, err := readParts(dir, len(chosen.shards))
		if err != nil {
			return nil, err
		}
		beside = append(beside, p.file)
		add = func(src Source, key string) error { return c.addPart(p, src, key) }
	}
	for _, name := range chosen.shards {
		src, err := open(name)
		if errors.Is(err, os.ErrNotExist) {
			err = missing(dir, name, chosen.index)
		}
		if err == nil {
			err = add(src, key)
		}
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	c.files = append(c.files, beside...)
	return c.finish(index, nil)
}

// missing is the error for a file of the checkpoint that is not there.
func missing(dir format.Folder, name, index string) error {
	detail := "no such file"
	if index != "" {
		detail = "a shard that " + index + " names is not there"
	}
	return &format.Error{Path: dir.Join(name), Kind: format.KindMissing, Detail: detail}
}

// finish completes a checkpoint, unless something failed: no tensor is there twice, and an index, if there is one, agrees.
func (c *Checkpoint) finish(index *safetensors.Listing, err error) (*Checkpoint, error) {
	if err == nil {
		err = c.enter()
	}
	if err == nil && index != nil {
		c.files = append(c.files, index.File)
		err = index.Agree(safetensors.Held{
			Count: len(c.tensors), Name: c.nameAt,
			Find:  func(name []byte) (int, bool) { return c.table.FindBytes(name, c.nameAt) },
			Shard: func(i int) string { return filepath.Base(c.sources[c.places[i].source].Path()) },
		})
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	c.noteTied()
	return c, nil
}

// choose finds the checkpoint of a folder: the index of the Hub's name, or the file of the Hub's name; the parts of a Llama release;
// then, where nothing else could be meant, the only index, the only file, or the only complete row of numbered ones.
func choose(dir format.Folder) (choice, error) {
	indexes, files, err := candidates(dir)
	if err != nil {
		return choice{}, err
	}
	all := slices.Concat(indexes, files)
	indexes, files = foremost(indexes, files)
	chosen, err := chooseOf(dir, indexes, files)
	if len(indexes)+len(files) < len(all) { // variants are there, too
		chosen.others = all
	}
	return chosen, err
}

func chooseOf(dir format.Folder, indexes, files []string) (choice, error) {
	single := slices.Contains(files, SingleName)
	fault := func(kind format.Kind, text string, args ...any) (choice, error) {
		return choice{}, &format.Error{Path: dir.Path(), Kind: kind, Detail: fmt.Sprintf(text, args...)}
	}
	switch parts := llamaParts(files); {
	case slices.Contains(indexes, IndexName):
		return choice{index: IndexName, rival: single, others: files}, nil
	case single:
		return choice{shards: []string{SingleName}, others: slices.Concat(indexes, files)}, nil
	case len(parts) > 0:
		for i, name := range parts {
			if name != partName(i) {
				return fault(format.KindMissing, "%s is there, and %s is not", name, partName(i))
			}
		}
		return choice{shards: parts, parts: len(parts) > 1, others: slices.Concat(indexes, files)}, nil
	case len(indexes) == 1:
		return choice{index: indexes[0], others: files}, nil
	case len(indexes) > 1:
		return fault(format.KindIndex, "%d checkpoints are there, each with an index: name the one that is meant, %s", len(indexes), someOf(indexes))
	case len(files) == 0:
		return fault(format.KindMissing, "no %s, no %s, and no other file of torch.save in this directory", SingleName, IndexName)
	case len(files) == 1 && numbered.FindStringSubmatch(files[0]) == nil:
		return choice{shards: files}, nil
	}
	of, have := rowOf(files)
	switch {
	case of.count == 0:
		return fault(format.KindIndex, "%d files that torch.save may have written, and no index that says which are the checkpoint: %s; name the file that is meant", len(files), someOf(files))
	case have != of.count:
		return fault(format.KindIndex, "%d of the %d shards %s are there, without an index", have, of.count, of)
	}
	return choice{shards: files, notes: []string{fmt.Sprintf("%s: no index is there; the %d shards %s are taken for the checkpoint, since they are all there", dir.Path(), of.count, of)}}, nil
}

// candidates lists the indexes and the files of weights of a folder.
func candidates(dir format.Folder) (indexes, files []string, err error) {
	entries, err := dir.ReadDir(".")
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case e.IsDir() || strings.HasPrefix(name, "."):
		case IsIndex(name):
			indexes = append(indexes, name)
		case IsWeights(name):
			files = append(files, name)
		}
	}
	return indexes, files, nil
}

// wellKnown is the name of a file with weights, or of an index, that the Hub's tools have given it, and the word of a variant in it.
var wellKnown = regexp.MustCompile(`^(pytorch_model|diffusion_pytorch_model)(?:-\d+-of-\d+)?(?:\.(\w+))?(?:-\d+-of-\d+)?\.bin(?:\.index(?:\.(\w+))?\.json)?$`)

// foremost takes away the variants of what is there itself: diffusion_pytorch_model.fp16.bin beside diffusion_pytorch_model.bin.
func foremost(indexes, files []string) ([]string, []string) {
	itself := make(map[string]bool)
	variant := func(name string) (stem, of string) {
		if m := wellKnown.FindStringSubmatch(name); m != nil {
			return m[1], m[2] + m[3]
		}
		return "", ""
	}
	for _, name := range slices.Concat(indexes, files) {
		if stem, of := variant(name); of == "" {
			itself[stem] = true
		}
	}
	behind := func(name string) bool {
		stem, of := variant(name)
		return of != "" && itself[stem]
	}
	return slices.DeleteFunc(slices.Clone(indexes), behind), slices.DeleteFunc(slices.Clone(files), behind)
}

// numbered is the name of one of several shards: what they share, number, count, ending.
var numbered = regexp.MustCompile(`(?i)^(.+-)(\d{1,9})-of-(\d{1,9})(\.(?:bin|pt|pth|ckpt))$`)

// row is the names of the shards of one checkpoint but for their numbers.
type row struct {
	before, count10, after string
	count                  int
}

func (r row) String() string { return r.before + "*-of-" + r.count10 + r.after }

// rowOf is the row that all files are of, and how many different ones of it they are; its count is 0 if there is no such row.
func rowOf(files []string) (of row, have int) {
	numbers := make(map[int]bool)
	for _, name := range files {
		m := numbered.FindStringSubmatch(name)
		if m == nil {
			return row{}, 0
		}
		count, _ := strconv.Atoi(m[3])
		n, _ := strconv.Atoi(m[2])
		this := row{m[1], m[3], m[4], count}
		if of.count != 0 && this != of || numbers[n] || n < 1 || n > count {
			return row{}, 0
		}
		of, numbers[n] = this, true
	}
	return of, len(numbers)
}

// someOf names a few things of many.
func someOf(names []string) string {
	var list some
	for _, name := range names {
		list.add("", name)
	}
	return list.String()
}
