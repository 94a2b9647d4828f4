package packs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"weld/format"
	"weld/format/hub"
	"weld/format/model"
	"weld/format/open"
	"weld/format/packed"
	"weld/format/safetensors"
	"weld/format/torch"
	"weld/mmapio"
)

// gather finds the files of what a user called a checkpoint, and opens them: of a folder all, whatever they are, but
// for out, which is to be written there. The checkpoint is looked at as one before, so that a damaged one is not packed.
func gather(name, out string, how mmapio.Reading) (*packFiles, error) {
	in := &packFiles{}
	if err := in.find(name, out, how); err != nil {
		return nil, errors.Join(err, in.Close())
	}
	return in, nil
}

func (in *packFiles) find(name, out string, how mmapio.Reading) error {
	if path, adapters := model.Split(name); len(adapters) > 0 {
		return in.summed(path, adapters, how)
	}
	path, err := hub.Locate(name)
	if err != nil {
		return err
	}
	if packed.IsName(path) {
		return in.packed(path, how)
	}
	folder, isFolder := folderOf(path)
	c, err := open.Checkpoint(name, how)
	if err != nil {
		if !isFolder || claims(folder) || format.KindOf(err) == "" {
			return err
		}
		in.noteNone(err)
		return in.folder(folder, nil, out, how)
	}
	in.closers = append(in.closers, c)
	in.Notes = append(in.Notes, format.Notes(c)...)
	in.inGGUF = inGGUF(c)
	if isFolder {
		return in.folder(folder, c, out, how)
	}
	shards := shardsOf(c) // one file was named, and that alone is meant
	for _, s := range shards {
		in.shard(filepath.Base(s.Path()), s)
	}
	if len(shards) > 0 {
		return nil
	}
	if in.inGGUF { // any split is all of them
		for _, f := range c.Files() {
			if err := in.add(filepath.Base(f.Path), f.Path, how); err != nil {
				return err
			}
		}
		return nil
	}
	return in.add(filepath.Base(path), path, how)
}

// inGGUF reports whether a checkpoint's tensors are in GGUF, by its files.
func inGGUF(c format.Checkpoint) bool {
	return slices.ContainsFunc(c.Files(), func(f format.InputFile) bool { return isGGUF(f.Path) })
}

// shardsOf are the files that hold a checkpoint's tensors, as they are open.
func shardsOf(c format.Checkpoint) []safetensors.OpenShard {
	s, ok := c.(interface {
		Shards() []safetensors.OpenShard
	})
	if !ok {
		return nil
	}
	return s.Shards()
}

func (in *packFiles) noteNone(why error) {
	in.Notes = append(in.Notes, fmt.Sprintf("no checkpoint that weld reads (%v): its files are packed as they are", why))
}

// folderOf is the folder that a path means: itself, or that of an index.
func folderOf(path string) (folder format.Folder, ok bool) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return format.Directory(path), true
	}
	if safetensors.IsIndex(path) || torch.IsIndex(path) {
		return format.Directory(filepath.Dir(path)), true
	}
	return format.Folder{}, false
}

// claims reports whether a folder says that it holds a checkpoint, which then has to be sound.
func claims(folder format.Folder) bool {
	entries, err := folder.ReadDir(".")
	return err != nil || slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		name := e.Name()
		return name == format.PipelineName || name == safetensors.SingleName || safetensors.IsIndex(name) || safetensors.IsWeights(name) && strings.Contains(name, "-of-")
	})
}

// folder adds all files of a folder: the small ones beside the weights first, which a reader of a stream wants
// first, then the checkpoint's own, then all others.
func (in *packFiles) folder(folder format.Folder, own format.Checkpoint, out string, how mmapio.Reading) error {
	l, err := list(folder, in.isOutput(folder, out))
	if err != nil {
		return err
	}
	if l.refused != nil {
		return l.refused
	}
	in.Notes = append(in.Notes, l.notes...)
	beside, _, err := hub.Sidecars(folder)
	if err != nil {
		return fmt.Errorf("list the files beside the weights of %s: %w", folder.Path(), err)
	}
	rest := make(map[string]bool, len(l.files))
	for _, name := range l.files {
		rest[name] = true
	}
	shards := make(map[string]safetensors.OpenShard)
	for _, shard := range shardsOf(own) {
		shards[inside(folder, shard.Path())] = shard
	}
	add := func(name string) error {
		if !rest[name] {
			return nil // left out, or added
		}
		delete(rest, name)
		if shard, ok := shards[name]; ok {
			if plain, ok := uncompressed(name); !ok || !rest[plain] { // else both are there, and stay what they are
				in.shard(name, shard)
				return nil
			}
		} else if isShard(name) {
			return in.other(name, folder.Join(name), how)
		}
		return in.add(name, folder.Join(name), how)
	}
	for _, name := range beside {
		if err := add(name); err != nil {
			return err
		}
	}
	if own != nil {
		for _, f := range own.Files() {
			if err := add(inside(folder, f.Path)); err != nil {
				return err
			}
		}
	}
	for _, name := range l.files {
		if err := add(name); err != nil {
			return err
		}
	}
	if len(in.files) == 0 {
		return &format.Error{Path: folder.Path(), Kind: format.KindMissing, Detail: "there is no file in it"}
	}
	return nil
}

// inside is the name that a file of a folder has in it.
func inside(folder format.Folder, path string) string {
	name, err := filepath.Rel(folder.Path(), path)
	if err != nil {
		return filepath.Base(path)
	}
	return filepath.ToSlash(name)
}

// isOutput makes a test for the name of the output, which may be written into the folder that it packs.
func (in *packFiles) isOutput(folder format.Folder, out string) func(name string) bool {
	there, err := os.Stat(out)
	return func(name string) bool {
		if err != nil || out == Stream {
			return false
		}
		info, err := os.Lstat(folder.Join(name))
		return err == nil && os.SameFile(info, there)
	}
}

// packed adds the files in a pack.
func (in *packFiles) packed(path string, how mmapio.Reading) (err error) {
	if in.pack, err = packed.Open(path, how); err != nil {
		return err
	}
	in.closers = append(in.closers, in.pack)
	own, err := in.pack.Checkpoint() // which has nothing to close but the pack
	if err != nil {
		if format.KindOf(err) == "" || claims(format.FolderOf(path, in.pack.FS())) {
			return err
		}
		in.noteNone(err)
	}
	shards := make(map[string]safetensors.OpenShard)
	for _, shard := range shardsOf(own) {
		shards[shard.Source.(*packed.FileReader).Name()] = shard
	}
	for i, f := range in.pack.Files() {
		src := in.pack.Source(i)
		if shard, ok := shards[f.Name]; ok {
			in.files = append(in.files, shardFile(f.Name, shard))
			continue
		}
		if !isShard(f.Name) {
			in.files = append(in.files, packFile{name: f.Name, size: f.Size, header: f.Size, src: src})
			continue
		}
		if err := in.foreign(f.Name, src); err != nil {
			return err
		}
	}
	return nil
}

// isShard reports whether a file holds tensors, by its name.
func isShard(name string) bool { return strings.HasSuffix(strings.ToLower(name), ".safetensors") }

// add adds a file of bytes.
func (in *packFiles) add(name, path string, how mmapio.Reading) error {
	file, err := mmapio.Open(path, how)
	if err != nil {
		return err
	}
	in.closers = append(in.closers, file)
	in.files = append(in.files, packFile{name: name, size: file.Size(), header: file.Size(), src: file})
	return nil
}

// shard adds a file of the checkpoint's tensors. One that is compressed goes in as what it was before.
func (in *packFiles) shard(name string, shard safetensors.OpenShard) {
	name, _ = uncompressed(name)
	in.files = append(in.files, shardFile(name, shard))
}

// uncompressed is the name of a compressed file before it was.
func uncompressed(name string) (plain string, compressed bool) {
	if n := len(name) - len(".zst"); n > 0 && strings.EqualFold(name[n:], ".zst") {
		return name[:n], true
	}
	return name, false
}

// other adds a file that may hold tensors, but not those of the checkpoint.
func (in *packFiles) other(name, path string, how mmapio.Reading) error {
	src, err := mmapio.Open(path, how)
	if err != nil {
		return err
	}
	in.closers = append(in.closers, src)
	return in.foreign(name, src)
}

// foreign adds a file by the tensors that it holds. One that cannot be read as such is added as bytes: it is not for
// weld to say what it is good for.
func (in *packFiles) foreign(name string, src safetensors.Source) error {
	f := packFile{name: name, size: src.Size(), header: src.Size(), src: src, foreign: true}
	header, err := safetensors.ReadHeader(src.Path(), src, src.Size())
	if err == nil {
		f.holds(header)
	}
	in.files = append(in.files, f)
	if format.KindOf(err) != "" {
		err = nil
	}
	return err
}
