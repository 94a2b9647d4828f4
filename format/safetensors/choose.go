package safetensors

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"weld/format"
)

// indexName is that of every index: model.safetensors.index.json, but also diffusion_pytorch_model.safetensors.index.json,
// consolidated.safetensors.index.json, and those of variants: diffusers up to 0.30 wrote model.safetensors.index.fp16.json.
var indexName = regexp.MustCompile(`(?i)\.safetensors\.index(\.\w+)?\.json$`)

// IsIndex reports whether a file name is that of an index.
func IsIndex(name string) bool { return indexName.MatchString(name) }

// choice is which files of a folder are its checkpoint: those of an index, or shards.
type choice struct {
	index  string
	rival  bool // a file of the Hub's name is there too, which the index should list
	shards []string
	others []string // weights that are there too
	notes  []string
}

// choose finds the checkpoint of a folder: the index of the Hub's name, or the file of the Hub's name;
// then, where nothing else could be meant, the only index, the only file, or the only complete row of
// numbered shards. Variants count where there is nothing else.
func choose(dir format.Folder) (choice, error) {
	indexes, files, err := candidates(dir)
	if err != nil {
		return choice{}, err
	}
	all := slices.Concat(indexes, files)
	indexes, files = foremost(indexes, files)
	chosen, err := chooseOf(dir, indexes, files)
	chosen.others = all
	return chosen, err
}

func chooseOf(dir format.Folder, indexes, files []string) (choice, error) {
	single := slices.Contains(files, SingleName)
	switch {
	case slices.Contains(indexes, IndexName):
		return choice{index: IndexName, rival: single}, nil
	case single:
		return choice{shards: []string{SingleName}}, nil
	case len(indexes) == 1:
		return choice{index: indexes[0]}, nil
	case len(indexes) > 1:
		return choice{}, &format.Error{Path: dir.Path(), Kind: format.KindIndex,
			Detail: fmt.Sprintf("%d checkpoints are there, each with an index: name the one that is meant, %s", len(indexes), listed(indexes, "or"))}
	case len(files) == 0:
		return choice{}, &format.Error{Path: dir.Path(), Kind: format.KindMissing,
			Detail: "no " + SingleName + ", no " + IndexName + ", and no other safetensors file in this directory"}
	}
	if _, _, numbered := part(files[0]); len(files) == 1 && !numbered {
		return choice{shards: files}, nil
	}
	return numbered(dir, files)
}

// unrivalled refuses a folder with a file of the Hub's name beside an index that does not list it: what
// is left of one of two checkpoints. transformers 5 reads the file, mergekit the shards.
func (c choice) unrivalled(dir format.Folder, listed []string) error {
	if !c.rival || slices.Contains(listed, SingleName) {
		return nil
	}
	return &format.Error{Path: dir.Path(), Kind: format.KindIndex,
		Detail: fmt.Sprintf("%s is there, and %s, which lists other files: name the one that is meant", SingleName, c.index)}
}

// candidates lists the indexes and the files of tensors of a folder. What is no file at all is named, so
// that opening it says so.
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

// shardName is the name of one of several shards: what they share, number, count, ending.
var shardName = regexp.MustCompile(`(?i)^(.+-)(\d{1,9})(-of-(\d{1,9})\.safetensors(?:\.zst)?)$`)

// row is the names of the shards of one checkpoint but for their numbers.
type row struct {
	before, after string
	count         int
}

func (r row) String() string { return r.before + "*" + r.after }

// part takes the name of a shard apart; ok is false where it is none of several.
func part(name string) (number string, of row, ok bool) {
	m := shardName.FindStringSubmatch(name)
	if m == nil {
		return "", row{}, false
	}
	count, _ := strconv.Atoi(m[4])
	return m[2], row{m[1], m[3], count}, count > 1
}

// partNotes says that a file is only a part of a checkpoint, if it is.
func partNotes(path string) []string {
	number, of, ok := part(filepath.Base(path))
	if !ok {
		return nil
	}
	n, _ := strconv.Atoi(number)
	return []string{fmt.Sprintf("%s is shard %d of %d, and the others are left out; for the whole checkpoint name the directory %s", path, n, of.count, filepath.Dir(path))}
}

// numbered takes files for the shards of one checkpoint whose index is not there. They must be all of
// them and nothing else, since part of a model is not what anybody means.
func numbered(dir format.Folder, files []string) (choice, error) {
	fault := func(text string, args ...any) (choice, error) {
		return choice{}, &format.Error{Path: dir.Path(), Kind: format.KindIndex, Detail: fmt.Sprintf(text, args...)}
	}
	first, of, _ := part(files[0])
	have := make(map[int]bool)
	for _, name := range files {
		number, other, ok := part(name)
		n, _ := strconv.Atoi(number)
		if !ok || other != of || have[n] {
			return fault("%d safetensors files, and no index that says which are the checkpoint: %s; name the file that is meant if it is all of it, or leave one checkpoint alone in the directory",
				len(files), listed(files, "and"))
		}
		have[n] = true
	}
	from := 1
	if have[0] {
		from = 0
	}
	var missing []string
	for n := from; n < from+of.count && len(missing) <= shown; n++ {
		if !have[n] {
			missing = append(missing, fmt.Sprintf("%s%0*d%s", of.before, len(first), n, of.after))
		}
	}
	switch {
	case len(missing) > 0:
		return fault("%d of the %d shards %s are there, without an index; missing: %s", len(have), of.count, of, listed(missing, "and"))
	case len(have) > of.count:
		return fault("%d files are there that are called one of the %d shards %s, without an index", len(have), of.count, of)
	}
	return choice{shards: files, notes: []string{fmt.Sprintf(
		"%s: no index is there; the %d shards %s are taken for the checkpoint, since they are all there", dir.Path(), of.count, of)}}, nil
}

// shown is how many names a message lists.
const shown = 3

// listed names a few things of many.
func listed(names []string, and string) string {
	words := make([]string, 0, shown)
	for _, name := range names[:min(shown, len(names))] {
		words = append(words, excerpt(name))
	}
	if n := len(words); n == len(names) && n > 1 {
		return strings.Join(words[:n-1], ", ") + " " + and + " " + words[n-1]
	}
	if len(names) > shown {
		words = append(words, "…")
	}
	return strings.Join(words, ", ")
}

// missing is the error for a file of the checkpoint that cannot be found. A link that leads nowhere says so:
// the Hub's cache is made of links.
func (c choice) missing(dir format.Folder, name string, err error) error {
	detail := "no such file"
	if c.index != "" {
		detail = "a shard that " + c.index + " names is not there"
	}
	if target, readErr := os.Readlink(dir.Join(name)); readErr == nil {
		detail = "a link to " + target + ", which is not there"
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // the detail says it
	}
	return &format.Error{Path: dir.Join(name), Kind: format.KindMissing, Detail: detail, Err: err}
}
