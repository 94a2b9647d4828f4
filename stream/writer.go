package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"weld/format"
	"weld/format/gguf"
	"weld/format/open"
	"weld/format/packed"
	"weld/format/patch"
	"weld/format/quant"
	"weld/format/safetensors"
	"weld/format/seekzstd"
	"weld/mmapio"
	"weld/stream/destination"
	"weld/stream/plan"
	"weld/stream/run"
)

// writer is an output being written, as its plan lays it out. It is a [run.Measuring], a [run.Collecting] and, where the plan is [plan.Plan.Early], a
// [run.Rewriting].
type writer struct {
	format.Writer
	plan    *plan.Plan
	out     *plan.Output
	force   bool
	workers int
	read    mmapio.Reading
	staging *mmapio.Staging
	pack    packWriter        // nil if the output is neither pack nor patch
	base    format.Checkpoint // of a patch
}

// packWriter is a pack or a patch being written.
type packWriter interface {
	Shard(name string, header int64, tensors []format.Tensor, given []byte) (*packed.FileWriter, error)
	Small(name string, data []byte) error
	Complete() error
}

// create begins the output of a plan: files of the final size, headers in place.
func create(p *plan.Plan, budget run.Budget, o Options) (*writer, error) {
	staging, err := mmapio.NewStaging(o.fs(budget.Drop), p.Output.Path, p.Output.Container.Kind())
	if err != nil {
		return nil, err
	}
	w := &writer{plan: p, out: p.Output, force: o.Force, workers: budget.Workers, read: o.Read, staging: staging}
	w.Writer, err = w.container()
	if err == nil && len(w.out.Encoded) > 0 {
		w.Writer = w.encoding()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create output %s: %w", w.out.Path, err), staging.Discard(), w.closeBase())
	}
	return w, nil
}

// container begins to write what the output is.
func (w *writer) container() (format.Writer, error) {
	if l := w.out.GGUF; l != nil {
		file, err := w.staging.Create(filepath.Base(w.out.Path), l.Size)
		if err != nil {
			return nil, err
		}
		return gguf.NewWriter(l, file)
	}
	targets, err := w.targets()
	if err != nil {
		return nil, err
	}
	return safetensors.NewWriter(w.out.Layout, targets)
}

// encoding stores as codes what is to be.
func (w *writer) encoding() format.Writer {
	if !w.out.Container.Grows() {
		return quant.NewWriter(quant.NewJoining(w.Writer, w.out.Encoded), w.out.Encoded)
	}
	scratch := func() (quant.Scratch, error) { return w.staging.Scratch() }
	return quant.NewWriter(quant.NewWaiting(w.Writer, w.out.Encoded, scratch), w.out.Encoded)
}

// targets opens one target for each shard.
func (w *writer) targets() ([]safetensors.Target, error) {
	switch c := w.out.Container; {
	case c == destination.Compressed:
		file, err := w.staging.Create(filepath.Base(w.out.Path), 0)
		if err != nil {
			return nil, err
		}
		z, err := seekzstd.NewWriter(file, w.out.Layout.Cuts(destination.FrameContent), w.workers)
		return []safetensors.Target{z}, err
	case c.Packs():
		return w.packTargets()
	}
	var targets []safetensors.Target
	for _, s := range w.out.Layout.Shards {
		name := s.Name
		if w.out.Container == destination.SingleFile {
			name = filepath.Base(w.out.Path)
		}
		file, err := w.staging.Create(name, s.Size)
		if err != nil {
			return nil, err
		}
		targets = append(targets, file)
	}
	return targets, nil
}

// packTargets begins a pack or a patch, with all shards in it.
func (w *writer) packTargets() ([]safetensors.Target, error) {
	file, err := w.staging.Create(filepath.Base(w.out.Path), 0)
	if err != nil {
		return nil, err
	}
	if w.out.Container == destination.Patch {
		// Opened once more: the plan may see the base with adapters and another vocabulary.
		if w.base, err = open.Checkpoint(w.plan.Recipe.Base, w.read); err != nil {
			return nil, err
		}
		w.pack = patch.NewWriter(file, w.workers, w.base, nil)
	} else {
		w.pack = packed.NewWriter(file, w.workers)
	}
	var targets []safetensors.Target
	for i, s := range w.out.Layout.Shards {
		var tensors []format.Tensor
		for _, t := range w.plan.Tensors[s.First:s.Last] {
			tensors = append(tensors, t.Tensor)
		}
		target, err := w.pack.Shard(s.Name, s.HeaderSize, tensors, w.out.Layout.Header(i))
		if err != nil {
			return nil, err
		}
		targets = append(targets, target)
	}
	return targets, nil
}

// WriteAt writes bytes of a planned tensor.
func (w *writer) WriteAt(tensor int, off int64, p []byte) error {
	if err := w.Writer.WriteAt(tensor, off, p); err != nil {
		return fmt.Errorf("write tensor %q of %s: %w", w.plan.Tensors[tensor].Name, w.out.Path, err)
	}
	return nil
}

// Measures implements [run.Measuring].
func (w *writer) Measures(tensor int) bool {
	q, encodes := w.Writer.(*quant.Writer)
	return encodes && q.Measures(tensor)
}

// Measure implements [run.Measuring].
func (w *writer) Measure(tensor int, off int64, p []byte) error {
	if err := w.Writer.(*quant.Writer).Measure(tensor, off, p); err != nil {
		return fmt.Errorf("measure tensor %q of %s: %w", w.plan.Tensors[tensor].Name, w.out.Path, err)
	}
	return nil
}

// Collects implements [run.Collecting].
func (w *writer) Collects(tensor int) bool {
	q, encodes := w.Writer.(*quant.Writer)
	return encodes && q.Collects(tensor)
}

// Lend implements [run.Collecting].
func (w *writer) Lend(tensor int, off, n int64) []byte {
	return w.Writer.(*quant.Writer).Lend(tensor, off, n)
}

// Scratch implements [run.Rewriting].
func (w *writer) Scratch() (mmapio.OutputFile, error) { return w.staging.Scratch() }

// Rewrite implements [run.Rewriting].
func (w *writer) Rewrite() { w.Writer.(*safetensors.Writer).Rewrite() }

// ReadAt implements [run.Rewriting].
func (w *writer) ReadAt(tensor int, off int64, p []byte) error {
	if err := w.Writer.(*safetensors.Writer).ReadAt(tensor, off, p); err != nil {
		return fmt.Errorf("read what was written of tensor %q of %s: %w", w.plan.Tensors[tensor].Name, w.out.Path, err)
	}
	return nil
}

// CopyAt copies bytes of a planned tensor from a file.
func (w *writer) CopyAt(tensor int, off int64, src *mmapio.File, from, n int64) error {
	err := w.Writer.CopyAt(tensor, off, src, from, n)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		err = fmt.Errorf("copy tensor %q of %s: %w", w.plan.Tensors[tensor].Name, w.out.Path, err)
	}
	return err
}

// commit completes the output and puts it into place, the small files and the index
// included.
func (w *writer) commit(ctx context.Context) error {
	defer w.closeBase()
	err := w.Close()
	if err == nil {
		err = w.complete(ctx)
	}
	if err == nil {
		err = w.staging.SyncUntil(ctx)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("complete output %s: %w", w.out.Path, err), w.staging.Discard())
	}
	return w.staging.Commit(w.force, format.Superseded)
}

// complete adds what comes after the tensors.
func (w *writer) complete(ctx context.Context) error {
	if w.out.Container.HoldsFiles() {
		if err := w.writeFiles(ctx); err != nil {
			return err
		}
	}
	if w.pack == nil {
		return nil
	}
	err := w.pack.Complete()
	if err == nil && w.base != nil {
		err = format.Unchanged(w.base)
	}
	return err
}

// writeFiles writes everything in a directory but the weights; the index last.
func (w *writer) writeFiles(ctx context.Context) error {
	for _, f := range w.out.Files {
		switch err := w.writeFile(ctx, f); {
		case err != nil && f.Carried:
			return fmt.Errorf("carry %s of %s: %w", f.Name, w.plan.Reference().Path, err)
		case err != nil:
			return fmt.Errorf("write %s: %w", f.Name, err)
		}
	}
	for _, index := range w.out.Layout.Indexes() {
		if err := w.writeSmall(index.Name, index); err != nil {
			return err
		}
	}
	return nil
}

// writeFile writes one of the small files.
func (w *writer) writeFile(ctx context.Context, f plan.SmallFile) error {
	if f.Content != nil || !f.Carried {
		return w.writeSmall(f.Name, bytes.NewReader(f.Content))
	}
	src, err := format.Beside(w.plan.Reference().Checkpoint).Open(f.Name)
	if err != nil {
		return err
	}
	defer src.Close()
	return w.writeSmall(f.Name, interruptible{ctx, src})
}

func (w *writer) writeSmall(name string, data io.Reader) error {
	if w.pack != nil {
		all, err := io.ReadAll(data)
		if err != nil {
			return err
		}
		return w.pack.Small(name, all)
	}
	f, err := w.staging.Create(filepath.FromSlash(name), 0)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, data)
	return err
}

// discard gives the output up; the error is what goes wrong with that.
func (w *writer) discard(cause error) error {
	w.Abort(cause)
	return errors.Join(w.staging.Discard(), w.closeBase())
}

// closeBase closes what only a patch needs.
func (w *writer) closeBase() error {
	if w.base == nil {
		return nil
	}
	base := w.base
	w.base = nil
	return base.Close()
}

// interruptible is a reader that ends with a context: what lies beside weights need not be small.
type interruptible struct {
	ctx context.Context
	io.Reader
}

func (r interruptible) Read(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
