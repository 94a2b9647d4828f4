package gguf

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"weld/mmapio"
)

// Writer writes the tensors of a layout. It implements [format.Writer].
type Writer struct {
	layout *Layout
	to     io.WriterAt
}

// NewWriter starts writing a layout; the header, and what aligns tensors, is written at once.
func NewWriter(l *Layout, to io.WriterAt) (*Writer, error) {
	header := bufio.NewWriterSize(io.NewOffsetWriter(to, 0), windowBytes)
	err := l.WriteHeader(header)
	if err == nil {
		err = header.Flush()
	}
	for i := 0; i < l.n && err == nil; i++ {
		err = l.pad(to, i)
	}
	if err != nil {
		return nil, fmt.Errorf("write the header: %w", err)
	}
	return &Writer{l, to}, nil
}

// pad writes what lies between a tensor and the one behind it, or the end.
func (l *Layout) pad(to io.WriterAt, i int) error {
	e, err := entryOf(l.tensor(i))
	if err != nil {
		return err
	}
	end, next := l.Begin(i)+e.Bytes(), l.Size
	if i+1 < l.n {
		next = l.Begin(i + 1)
	}
	if end < next {
		_, err = to.WriteAt(make([]byte, next-end), end)
	}
	return err
}

// WriteAt implements [format.Writer].
func (w *Writer) WriteAt(i int, off int64, p []byte) error {
	_, err := w.to.WriteAt(p, w.layout.Begin(i)+off)
	return err
}

// CopyAt implements [format.Writer].
func (w *Writer) CopyAt(i int, off int64, src *mmapio.File, from, n int64) error {
	if t, ok := w.to.(mmapio.Copier); ok {
		return t.CopyAt(src, from, n, w.layout.Begin(i)+off)
	}
	return errors.ErrUnsupported
}

// Abort implements [format.Writer].
func (w *Writer) Abort(error) {}

// Close implements [format.Writer].
func (w *Writer) Close() error { return nil }
