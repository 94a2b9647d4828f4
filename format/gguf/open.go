package gguf

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"weld/format"
	"weld/mmapio"
)

// ending is that of a file's name.
const ending = ".gguf"

// IsName reports whether a file is one of the format by its name.
func IsName(name string) bool { return strings.HasSuffix(strings.ToLower(name), ending) }

// Open opens a file and, where it is one of several splits, the others beside it, too.
func Open(path string, how ...mmapio.Reading) (*Checkpoint, error) {
	return open(path, path, format.Folder{}, how)
}

// OpenFolder opens the only model of a directory: its only file, or its only splits.
func OpenFolder(dir format.Folder, how ...mmapio.Reading) (*Checkpoint, error) {
	first, err := choose(dir)
	if err != nil {
		return nil, err
	}
	return open(dir.Join(first), dir.Path(), dir, how)
}

// choose finds the only model of a directory by the names of its files, and gives the name of one.
func choose(dir format.Folder) (first string, err error) {
	entries, err := dir.ReadDir(".")
	if err != nil {
		return "", err
	}
	var models []string // without the numbers of splits
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || !IsName(name) {
			continue
		}
		model := name
		if m := splitName.FindStringSubmatch(name); m != nil {
			model = m[1] + "-*-of-" + m[3] + m[4]
		}
		if !slices.Contains(models, model) {
			models = append(models, model)
		}
		if first == "" {
			first = name
		}
	}
	switch len(models) {
	case 0:
		return "", &format.Error{Path: dir.Path(), Kind: format.KindMissing, Detail: "no *.gguf in this directory"}
	case 1:
		return first, nil
	}
	return "", &format.Error{Path: dir.Path(), Kind: format.KindUnsupported, Detail: "several models in GGUF: name one of " + strings.Join(models[:min(len(models), 8)], ", ")}
}

// open opens a file and its splits, as a checkpoint that was called path.
func open(file, path string, beside format.Folder, how []mmapio.Reading) (*Checkpoint, error) {
	c := &Checkpoint{path: path, beside: beside}
	f, h, err := openFile(file, how)
	if err != nil {
		return nil, err
	}
	splits, err := splitsOf(file, h)
	switch {
	case err != nil:
		return nil, errors.Join(err, f.Close())
	case splits == nil:
		err = c.add(f, h)
	default:
		err = errors.Join(f.Close(), c.addSplits(splits, how))
		c.notes = []string{fmt.Sprintf("%s: it is one of %d splits of a model, which are read together", file, len(splits))}
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	c.describe()
	return c, nil
}

// openFile opens a file and reads its header.
func openFile(path string, how []mmapio.Reading) (*mmapio.File, *Header, error) {
	f, err := mmapio.Open(path, how...)
	if err != nil {
		return nil, nil, err
	}
	h, err := ReadHeader(path, f, f.Size())
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, h, nil
}

// describe takes the metadata of the first file.
func (c *Checkpoint) describe() {
	h := c.shards[0].header
	c.metadata = make(map[string]string, len(h.Pairs))
	for _, p := range h.Pairs {
		c.metadata[p.Key] = p.Value.String()
		if text, ok := p.Value.Text(); ok && strings.HasPrefix(p.Key, "weld.") { // which says in full how the model was made
			c.metadata[p.Key] = text
		}
	}
}
