package packs

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"weld/format"
	"weld/format/hub"
	"weld/format/model"
	"weld/format/packed"
	"weld/format/patch"
	"weld/format/safetensors"
	"weld/mmapio"
	"weld/stream/destination"
	"weld/stream/run"
)

// PatchReport is what a patch is about.
type PatchReport struct {
	Outcome
	Same     int         `json:"same"`               // tensors
	Changed  int         `json:"changed"`            // tensors of the same name, with other values, type or shape
	Retyped  []string    `json:"retyped,omitempty"`  // of these, with another type
	Reshaped []string    `json:"reshaped,omitempty"` // of these, with another shape
	Added    []string    `json:"added"`
	Removed  []string    `json:"removed"`
	Renamed  [][2]string `json:"renamed"` // from, to

	Metadata     bool     `json:"metadata_changed,omitempty"` // of the shards' headers
	FilesChanged []string `json:"files_changed,omitempty"`    // that hold no tensors
	FilesAdded   []string `json:"files_added,omitempty"`
	FilesRemoved []string `json:"files_removed,omitempty"`
}

// Patch makes a patch of what turns the base into another checkpoint.
func Patch(ctx context.Context, base, result, out string, o Options) (*PatchReport, error) {
	start := time.Now()
	if out != Stream && !patch.IsName(out) {
		return nil, &destination.NameError{Output: out, Reason: "the name of a patch ends with .weldpatch"}
	}
	defer o.forget()
	from, err := model.Named(base, o.Read)
	if err != nil {
		return nil, fmt.Errorf("open base: %w", err)
	}
	defer from.Close()
	if inGGUF(from) {
		return nil, errInNoPatch(base)
	}
	o.hold(len(from.Tensors()), patchTensor)
	sources, err := o.sources(result, out)
	if err != nil {
		return nil, err
	}
	defer sources.Close()
	if sources.inGGUF {
		return nil, errInNoPatch(result)
	}
	sources.asBytes()
	o.hold(sources.tensors(), patchTensor)
	paths, bytes := filesOf(from)
	o.fit(append(paths, sources.paths()...), bytes+2*sources.size())
	dst, err := o.create(out, mmapio.SingleFile, destination.InUse{Role: "base", Path: base, Files: from.Files()}, sources.place(result))
	if err != nil {
		return nil, err
	}
	r := &PatchReport{Outcome: Outcome{Out: out, Notes: sources.Notes}, Added: []string{}, Removed: []string{}, Renamed: [][2]string{}}
	if err := dst.finish(ctx, o.patch(ctx, from, sources, dst, r)); err != nil {
		return nil, err
	}
	r.Seconds = time.Since(start).Seconds()
	return r, nil
}

// errInNoPatch is the error for a model in GGUF: a patch is of tensors that lie in safetensors, value by value.
func errInNoPatch(path string) error {
	return &format.Error{Path: path, Kind: format.KindUnsupported, Detail: "GGUF is in no patch, which goes by tensors in safetensors: weld pack keeps the file whole, and weld convert makes safetensors of it"}
}

func (o Options) patch(ctx context.Context, base format.Checkpoint, in *packFiles, dst *sink, r *PatchReport) error {
	renamed, err := r.compare(ctx, base, in)
	if err != nil {
		return err
	}
	file, err := dst.file("", 0)
	if err != nil {
		return err
	}
	counted := &countingWriter{w: file}
	w := patch.NewWriter(counted, o.Threads, base, renamed)
	o.Progress.Begin(run.Phase{Name: "patch", Index: 1, Count: 1, Bytes: in.size()})
	if err := o.copyBlocks(ctx, in, w); err != nil {
		return err
	}
	if err := errors.Join(in.Unchanged(), format.Unchanged(base)); err != nil {
		return err
	}
	if err := w.Complete(); err != nil {
		return err
	}
	r.Same, r.Changed = w.Compared()
	r.Changed += r.recast(base, in)
	_, r.FilesChanged, r.FilesAdded = w.Files()
	if err := r.besides(base, in); err != nil {
		return err
	}
	digest := w.Digest()
	r.Files, r.Bytes, r.Packed, r.Digest = len(in.files), in.size(), counted.n, hex.EncodeToString(digest[:])
	return nil
}

// recast lists the tensors that have the name of one of the base but another type or shape, and counts them.
func (r *PatchReport) recast(base format.Checkpoint, in *packFiles) (count int) {
	for _, f := range in.files {
		for _, t := range f.tensors {
			i, ok := base.Find(t.Name)
			if !ok || sameKind(base.Tensors()[i], t) {
				if ok && t.Bytes() == 0 {
					r.Same++ // is coded against nothing, and has nothing that could differ
				}
				continue
			}
			count++
			if base.Tensors()[i].DType != t.DType {
				r.Retyped = append(r.Retyped, t.Name)
			}
			if !slices.Equal(base.Tensors()[i].Shape, t.Shape) {
				r.Reshaped = append(r.Reshaped, t.Name)
			}
		}
	}
	return count
}

// besides compares metadata, and finds the files beside the base that the result lacks.
func (r *PatchReport) besides(base format.Checkpoint, in *packFiles) error {
	metadata, there := make(map[string]string), make(map[string]bool)
	for _, f := range in.files {
		there[f.name] = true
		for k, v := range f.metadata {
			if _, taken := metadata[k]; !taken {
				metadata[k] = v
			}
		}
	}
	r.Metadata = !maps.Equal(metadata, format.Metadata(base))
	if !format.Beside(base).Exists() {
		return nil
	}
	names, err := beside(base)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !there[name] && !safetensors.IsWeights(name) {
			r.FilesRemoved = append(r.FilesRemoved, name)
		}
	}
	return nil
}

// beside lists the files of the folder that the base is; of one that is a file, those that belong to it as far as
// their names say.
func beside(base format.Checkpoint) ([]string, error) {
	if info, err := os.Stat(base.Path()); err == nil && (info.IsDir() || packed.IsName(base.Path())) {
		l, err := list(format.Beside(base), func(string) bool { return false })
		if err != nil {
			return nil, err
		}
		return l.files, nil
	}
	names, _, err := hub.Sidecars(format.Beside(base))
	if err != nil {
		return nil, fmt.Errorf("list the files beside the weights of %s: %w", base.Path(), err)
	}
	return names, nil
}

// compare finds out what was added, removed and renamed: a new tensor that holds what one does which is
// gone has a new name.
func (r *PatchReport) compare(ctx context.Context, base format.Checkpoint, in *packFiles) (renamed map[string]string, err error) {
	gone := newGone(base)
	for _, f := range in.files {
		for _, t := range f.tensors {
			if i, ok := base.Find(t.Name); ok {
				gone.there(i)
			}
		}
	}
	gone.sort()
	renamed = make(map[string]string)
	for k := range in.files {
		f := &in.files[k]
		at := f.header
		for _, t := range f.tensors {
			begin := at
			at += t.Bytes()
			if _, ok := base.Find(t.Name); ok {
				continue
			}
			old := -1
			if f.pipe == nil {
				old, err = gone.take(ctx, t, func(off, n int64) (mmapio.View, error) { return f.src.View(begin+off, n) })
			}
			if err != nil {
				return nil, err
			}
			if old < 0 {
				r.Added = append(r.Added, t.Name)
				continue
			}
			name := base.Tensors()[old].Name
			renamed[t.Name] = name
			r.Renamed = append(r.Renamed, [2]string{name, t.Name})
		}
	}
	r.Removed = append(r.Removed, gone.names()...)
	slices.SortFunc(r.Renamed, func(a, b [2]string) int { return cmp.Compare(a[0], b[0]) })
	return renamed, nil
}
