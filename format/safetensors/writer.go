package safetensors

import (
	"errors"
	"fmt"
	"io"

	"weld/mmapio"
)

// Target is where a shard's bytes go, at any offset, each once, unless [Writer.Rewrite] says otherwise.
type Target interface{ io.WriterAt }

// Writer writes the tensors of a layout. It implements [format.Writer].
type Writer struct {
	layout  *Layout
	targets []Target
}

// NewWriter starts writing a layout to one target for each shard; the headers are
// written at once.
func NewWriter(l *Layout, targets []Target) (*Writer, error) {
	for i := range l.Shards {
		at := int64(0)
		err := l.printHeader(&l.Shards[i], func(piece []byte) error {
			n, err := targets[i].WriteAt(piece, at)
			at += int64(n)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("write the header of %s: %w", l.Shards[i].Name, err)
		}
	}
	return &Writer{layout: l, targets: targets}, nil
}

// WriteAt implements [format.Writer].
func (w *Writer) WriteAt(i int, off int64, p []byte) error {
	shard, begin := w.layout.Where(i)
	_, err := w.targets[shard].WriteAt(p, begin+off)
	return err
}

// ReadAt reads bytes of a tensor that were written, where targets can be read.
func (w *Writer) ReadAt(i int, off int64, p []byte) error {
	shard, begin := w.layout.Where(i)
	t, ok := w.targets[shard].(io.ReaderAt)
	if !ok {
		return errors.ErrUnsupported
	}
	_, err := t.ReadAt(p, begin+off)
	return err
}

// Rewrite says that bytes will be written where some were written before.
func (w *Writer) Rewrite() {
	for _, t := range w.targets {
		if t, ok := t.(interface{ Rewrite() }); ok {
			t.Rewrite()
		}
	}
}

// CopyAt implements [format.Writer].
func (w *Writer) CopyAt(i int, off int64, src *mmapio.File, from, n int64) error {
	shard, begin := w.layout.Where(i)
	if t, ok := w.targets[shard].(mmapio.Copier); ok {
		return t.CopyAt(src, from, n, begin+off)
	}
	return errors.ErrUnsupported
}

// Abort implements [format.Writer].
func (w *Writer) Abort(err error) {
	for _, t := range w.targets {
		if t, ok := t.(interface{ Abort(error) }); ok {
			t.Abort(err)
		}
	}
}

// Close implements [format.Writer]: targets that have something to complete, do.
func (w *Writer) Close() error {
	var errs []error
	for _, t := range w.targets {
		if t, ok := t.(interface{ Complete() error }); ok {
			errs = append(errs, t.Complete())
		}
	}
	return errors.Join(errs...)
}
