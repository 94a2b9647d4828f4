package packs

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"weld/format"
	"weld/format/model"
	"weld/format/patch"
	"weld/mmapio"
	"weld/stream/destination"
	"weld/stream/run"
)

// Apply puts patches on a base, one after the other, and writes the files of the last result. A base
// that is not the one that the first patch was made against is refused, and so is a patch that was made
// against another result than the one before it gives. What is written is compared with the digests of the
// last patch before it appears.
func Apply(ctx context.Context, base string, patches []string, out string, o Options) (*Outcome, error) {
	start := time.Now()
	defer o.forget()
	from, err := model.Named(base, o.Read)
	if err != nil {
		return nil, fmt.Errorf("open base: %w", err)
	}
	defer from.Close()
	paths, bytes := filesOf(from)
	o.hold(len(from.Tensors())*len(patches), applyTensor)
	o.fit(append(paths, patches...), 2*bytes)
	if out == Stream {
		return nil, errors.New("apply writes its files in no order, and cannot write to a pipe: name a directory")
	}
	dst, err := o.createRestored(out, applyPlaces(base, from, patches)...)
	if err != nil {
		return nil, err
	}
	a := &application{Options: o, base: from, dst: dst}
	err = a.run(ctx, patches)
	err = errors.Join(err, a.close())
	if err := dst.finish(ctx, err); err != nil {
		return nil, err
	}
	a.report.Out, a.report.Seconds = out, time.Since(start).Seconds()
	return &a.report, nil
}

// applyPlaces is where the base and the patches are, for the checks of an output.
func applyPlaces(name string, base format.Checkpoint, patches []string) []destination.InUse {
	list := []destination.InUse{{Role: "base", Path: name, Files: base.Files()}}
	for _, path := range patches {
		if info, err := os.Stat(path); err == nil && path != Stream {
			list = append(list, fileInput("patch", path, info))
		}
	}
	return list
}

// application is one run of Apply.
type application struct {
	Options
	base    format.Checkpoint
	dst     *sink
	patches []*patch.Patch
	report  Outcome
	spooled []string
}

func (a *application) close() error {
	var errs []error
	for _, p := range a.patches {
		errs = append(errs, p.Close())
	}
	for _, path := range a.spooled {
		errs = append(errs, os.Remove(path))
	}
	return errors.Join(errs...)
}

func (a *application) run(ctx context.Context, paths []string) error {
	if err := a.open(paths); err != nil {
		return err
	}
	if err := a.checkBase(ctx); err != nil {
		return err
	}
	return a.write(ctx)
}

// verify does the same with one patch, but writes nothing.
func (a *application) verify(ctx context.Context, path string) error {
	if err := a.open([]string{path}); err != nil {
		return err
	}
	if err := a.checkBase(ctx); err != nil {
		return err
	}
	p := a.patches[0]
	a.Progress.Begin(run.Phase{Name: "compare the result", Index: 2, Count: 2, Bytes: p.Content()})
	a.fillOutcome(p)
	return a.restore(ctx, p, nil)
}

// fillOutcome fills the report.
func (a *application) fillOutcome(p *patch.Patch) {
	digest := p.Digest()
	a.report.Files, a.report.Bytes, a.report.Packed, a.report.Digest = len(p.Files()), p.Content(), p.Info().Size(), hex.EncodeToString(digest[:])
}

// open opens the patches and puts each on what comes before it.
func (a *application) open(paths []string) error {
	on := a.base
	for i, path := range paths {
		if path == Stream {
			var err error
			if path, err = a.spool(); err != nil {
				return err
			}
		}
		p, err := patch.Open(path, a.Read)
		if err != nil {
			return err
		}
		a.patches = append(a.patches, p)
		if i > 0 {
			if err := follows(a.patches[i-1], p); err != nil {
				return err
			}
		}
		if err := p.On(on); err != nil {
			return err
		}
		if i == len(paths)-1 {
			break
		}
		if on, err = p.Checkpoint(); err != nil {
			return err
		}
	}
	return nil
}

// follows demands that a patch was made against what another results in.
func follows(first, second *patch.Patch) error {
	results := make(map[string]patch.TreeDigest)
	for _, it := range first.Result() {
		results[it.Name] = it.Digest
	}
	for _, it := range second.Base() {
		if it.Known && results[it.Name] != it.Digest {
			return &format.Error{Path: second.Path(), Tensor: it.Name, Kind: format.KindBase, Detail: "it was made against another base than what " + first.Path() + " results in"}
		}
	}
	return nil
}

// spool brings a patch from a pipe into a file: it is read in no order.
func (a *application) spool() (path string, err error) {
	path, err = spool(filepath.Dir(filepath.Clean(a.dst.name)), a.In)
	if path != "" {
		a.spooled = append(a.spooled, path)
	}
	return path, err
}

// checkBase digests what the first patch is coded against, before anything is written.
func (a *application) checkBase(ctx context.Context) error {
	p := a.patches[0]
	var total int64
	for _, it := range p.Base() {
		if it.Known {
			total += it.Bytes()
		}
	}
	a.Progress.Begin(run.Phase{Name: "check the base", Index: 1, Count: 2, Bytes: total})
	return a.chunks(ctx, len(p.Base()), func(i int) chunked {
		it := p.Base()[i]
		if !it.Known {
			return chunked{}
		}
		tree := new(patch.Tree)
		each := func(off, n int64) error {
			v, err := p.View(i, off, n)
			if err != nil {
				return err
			}
			defer v.Release()
			return mmapio.Guard([]mmapio.View{v}, func() error { tree.Add(off/patch.ChunkSize, v.Data); return nil })
		}
		done := func() error {
			if tree.Sum() != it.Digest {
				return &format.Error{Path: a.base.Path(), Tensor: it.Name, Kind: format.KindBase, Detail: "its bytes are not those that " + p.Path() + " was made against: another base"}
			}
			return nil
		}
		return chunked{it.Bytes(), each, done}
	})
}

// write writes the files of the last result.
func (a *application) write(ctx context.Context) error {
	last := a.patches[len(a.patches)-1]
	a.Progress.Begin(run.Phase{Name: "apply", Index: 2, Count: 2, Bytes: last.Content()})
	files := make([]mmapio.OutputFile, len(last.Files()))
	if a.dst.single && len(files) > 1 {
		return errSeveral(a.dst.name)
	}
	for i, f := range last.Files() {
		var err error
		if files[i], err = a.dst.file(f.Name, f.Size); err != nil {
			return err
		}
	}
	if err := a.restore(ctx, last, files); err != nil {
		return err
	}
	if err := format.Unchanged(a.base); err != nil {
		return err
	}
	a.fillOutcome(last)
	return nil
}

// restore writes headers, tensors and other files, if there are files to write to, and compares the
// digests.
func (a *application) restore(ctx context.Context, p *patch.Patch, files []mmapio.OutputFile) error {
	parts := p.Ranges()
	return a.chunks(ctx, len(parts), func(i int) chunked {
		part := parts[i]
		src := p.Source(part.File)
		begin := part.Begin - p.Files()[part.File].Begin
		tree := new(patch.Tree)
		each := func(off, n int64) error {
			v, err := src.View(begin+off, n)
			if err != nil {
				return err
			}
			defer v.Release()
			if part.Item != nil {
				tree.Add(off/patch.ChunkSize, v.Data)
			}
			if files != nil {
				_, err = files[part.File].WriteAt(v.Data, begin+off)
			}
			return err
		}
		done := func() error {
			if part.Item != nil && tree.Sum() != part.Item.Digest {
				return &format.Error{Path: p.Path(), Tensor: part.Item.Name, Kind: format.KindChecksum, Detail: "what the patch makes of the base is not what it was made of"}
			}
			return nil
		}
		return chunked{part.Bytes, each, done}
	})
}
