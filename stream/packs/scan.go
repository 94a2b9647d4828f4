package packs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"weld/format/packed"
	"weld/format/planes"
	"weld/mmapio"
	"weld/stream/destination"
	"weld/stream/run"
)

// scannedPack is a pack or a patch that is read from its beginning.
type scannedPack struct {
	*packed.Scanner
	path    string       // for messages
	file    *mmapio.File // nil for a pipe
	spooled bool         // the file is for this run alone
}

// size is that of the file; 0 for a pipe.
func (s *scannedPack) size() int64 {
	if s.file == nil {
		return 0
	}
	return s.file.Size()
}

// Close closes the file, and removes it if it was for this run alone.
func (s *scannedPack) Close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	if s.spooled {
		err = errors.Join(err, os.Remove(s.file.Path()))
	}
	return err
}

// place is where the file is, for the checks of an output.
func (s *scannedPack) place() (list []destination.InUse) {
	if s.file != nil && !s.spooled {
		list = append(list, fileInput("pack", s.file.Path(), s.file.Info()))
	}
	return list
}

// archive opens the same file for reading anywhere. Closing the archive leaves it open.
func (s *scannedPack) archive() (*packed.Archive, error) {
	return packed.OpenStorage(stillOpen{s.file})
}

// stillOpen is a file that another closes.
type stillOpen struct{ *mmapio.File }

func (stillOpen) Close() error { return nil }

// scanAgain is scan for those who have to go back in the pack where blocks repeat earlier ones. Such a pack is
// brought from a pipe into a file first, beside the output.
func (o Options) scanAgain(in, out, phase string) (*scannedPack, error) {
	if in != Stream {
		return o.scan(in, phase)
	}
	r := bufio.NewReaderSize(o.In, 64<<10)
	o.In = r
	if begin, err := r.Peek(packed.HeaderSize); err != nil || !packed.MayRepeat(begin) {
		return o.scan(in, phase) // which says what is wrong
	}
	dir := os.TempDir()
	if out != Stream {
		dir = filepath.Dir(filepath.Clean(out))
	}
	path, err := spool(dir, r)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("keep the pack from stdin, whose blocks repeat earlier ones: %w", err), removeSpooled(path))
	}
	s, err := o.scan(path, phase)
	if err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	s.path, s.spooled = "stdin", true
	return s, nil
}

// spool brings a pipe into a file, for what is read in no order.
func spool(dir string, in io.Reader) (path string, err error) {
	f, err := os.CreateTemp(dir, ".weld-spool-*")
	if err != nil {
		return "", err
	}
	_, err = io.Copy(f, in)
	return f.Name(), errors.Join(err, f.Close())
}

func removeSpooled(path string) error {
	if path == "" {
		return nil
	}
	return os.Remove(path)
}

// scan begins to read a pack or a patch, and the progress of what is done with it.
func (o Options) scan(in, phase string) (*scannedPack, error) {
	s := &scannedPack{path: in}
	var r io.Reader
	if in == Stream {
		r, s.path = o.In, "stdin"
	} else {
		var err error
		if s.file, err = mmapio.Open(in, mmapio.Copied); err != nil { // from front to back, a mapping brings nothing
			return nil, packed.Unopened(in, err)
		}
		r = io.NewSectionReader(s.file, 0, s.file.Size())
	}
	o.Progress.Begin(run.Phase{Name: phase, Index: 1, Count: 1, Bytes: s.size()})
	var err error
	if s.Scanner, err = packed.NewScanner(s.path, r); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// blockJob is what a worker does with a block.
type blockJob func(*blockWorker) error

// blockWorker is one worker's memory.
type blockWorker struct {
	decoder planes.Decoder
	content []byte
}

// decode restores a block, in memory that serves the next one too.
func (w *blockWorker) decode(b *packed.Block, base []byte) ([]byte, error) {
	content := w.buffer(b.Bytes)
	return content, b.Decode(&w.decoder, content, base)
}

// buffer is memory for a block's content.
func (w *blockWorker) buffer(bytes int) []byte {
	if cap(w.content) < bytes {
		w.content = make([]byte, max(bytes, packed.BlockSize))
	}
	return w.content[:bytes]
}

// each reads to the end. deal sees everything in order and says what is to be done with it, which
// one of the workers then does. The first error ends it, and so does ctx.
func (s *scannedPack) each(ctx context.Context, workers int, advance func(int64), deal func(packed.Scanned) (blockJob, error)) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	q := newBlockQueue(workers)
	read := make(chan error, 1)
	go func() {
		defer close(q.jobs)
		read <- q.fill(ctx, s.Scanner, advance, deal)
	}()
	err := run.Workers(ctx, workers, stop, q.work)
	if errRead := <-read; err == nil && errRead != io.EOF {
		err = errRead
	}
	return err
}

// blockQueue is what lies between the one that reads blocks and those who work on them.
type blockQueue struct {
	jobs    chan queuedBlock
	buffers chan []byte // for payloads, to be used again
}

type queuedBlock struct {
	job    blockJob
	buffer []byte
}

func newBlockQueue(workers int) *blockQueue {
	q := &blockQueue{make(chan queuedBlock), make(chan []byte, 2*workers)}
	for range cap(q.buffers) {
		q.buffers <- nil
	}
	return q
}

// fill reads to the end, which is io.EOF, or until ctx ends.
func (q *blockQueue) fill(ctx context.Context, s *packed.Scanner, advance func(int64), deal func(packed.Scanned) (blockJob, error)) error {
	buffer := <-q.buffers
	for ctx.Err() == nil {
		found, err := s.Next(buffer)
		if err != nil {
			return err
		}
		job, err := deal(found)
		if err != nil {
			return err
		}
		if found.Block == nil {
			continue
		}
		buffer = found.Block.Payload()
		advance(int64(len(buffer)))
		if job == nil {
			continue
		}
		select {
		case q.jobs <- queuedBlock{job, buffer}:
		case <-ctx.Done():
			return nil
		}
		select {
		case buffer = <-q.buffers:
		case <-ctx.Done():
		}
	}
	return nil
}

// work does what comes until there is no more.
func (q *blockQueue) work(ctx context.Context) error {
	var w blockWorker
	for ctx.Err() == nil {
		select {
		case b, more := <-q.jobs:
			if !more {
				return nil
			}
			if err := b.job(&w); err != nil {
				return err
			}
			q.buffers <- b.buffer
		case <-ctx.Done():
		}
	}
	return nil
}
