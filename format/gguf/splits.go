package gguf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"weld/format"
	"weld/mmapio"
)

// llama.cpp's gguf-split and gguf-py cut a model into files whose names end with -00001-of-0000N.gguf. Each says in its metadata which of
// how many it is, counted from 0, and how many tensors all have. What else is said of the model stands in the first.

// The keys of splits.
const (
	splitNumber  = "split.no"
	splitCount   = "split.count"
	splitTensors = "split.tensors.count"
)

// splitName is the name of a split: what comes before, its number from 1 on, how many there are, and the ending.
var splitName = regexp.MustCompile(`(?i)^(.*)-(\d{5})-of-(\d{5})(\.gguf)$`)

// mostSplits is the most splits of a model: their number has five digits.
const mostSplits = 99_999

// splitsOf are the paths of all splits of a model, in order, of which a file is one; nil where it is a model by itself.
func splitsOf(path string, h *Header) ([]string, error) {
	fault := func(kind format.Kind, text string, args ...any) error {
		return &format.Error{Path: path, Kind: kind, Detail: fmt.Sprintf(text, args...)}
	}
	name := splitName.FindStringSubmatch(filepath.Base(path))
	value, declared := h.Value(splitCount)
	if !declared {
		if name != nil && name[3] != "00001" {
			return nil, fault(format.KindKey, "it is named as one of several splits, and has no %s", splitCount)
		}
		return nil, nil
	}
	count, ok := value.Int()
	switch {
	case !ok || count < 0 || count > mostSplits:
		return nil, fault(format.KindMetadata, "%s is %v", splitCount, value)
	case count <= 1:
		return nil, nil
	case name == nil:
		return nil, fault(format.KindShardName, "it is one of %d splits, and the others are found by names that end with -00001-of-%05d.gguf; its own has to as well", count, count)
	}
	if named, _ := strconv.ParseInt(name[3], 10, 64); named != count {
		return nil, fault(format.KindIndex, "it is named as one of %d splits, and %s is %d", named, splitCount, count)
	}
	var splits []string
	for k := range count {
		splits = append(splits, filepath.Join(filepath.Dir(path), fmt.Sprintf("%s-%05d-of-%05d%s", name[1], k+1, count, name[4])))
	}
	return splits, nil
}

// addSplits opens all splits of a model, and takes their tensors.
func (c *Checkpoint) addSplits(paths []string, how []mmapio.Reading) error {
	for k, path := range paths {
		f, h, err := openFile(path, how)
		if errors.Is(err, os.ErrNotExist) {
			return &format.Error{Path: path, Kind: format.KindMissing, Detail: fmt.Sprintf("split %d of %d is not there", k+1, len(paths)), Err: err}
		}
		if err != nil {
			return err
		}
		if err := errors.Join(checkSplit(path, h, splitNumber, int64(k)), checkSplit(path, h, splitCount, int64(len(paths)))); err != nil {
			return errors.Join(err, f.Close())
		}
		if err := c.add(f, h); err != nil {
			return err
		}
	}
	for _, s := range c.shards {
		if _, said := s.header.Value(splitTensors); !said && s != c.shards[0] {
			continue
		}
		if err := checkSplit(s.Path(), s.header, splitTensors, int64(len(c.tensors))); err != nil {
			return err
		}
	}
	return nil
}

// checkSplit demands a number of a split.
func checkSplit(path string, h *Header, key string, want int64) error {
	v, ok := h.Value(key)
	if got, isNumber := v.Int(); ok && isNumber && got == want {
		return nil
	}
	said := "is not there"
	if ok {
		said = "is " + v.String()
	}
	return &format.Error{Path: path, Kind: format.KindIndex, Detail: fmt.Sprintf("%s %s, and %d was expected", key, said, want)}
}
