package packs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"weld/format/packed"
	"weld/format/planes"
	"weld/mmapio"
	"weld/stream/destination"
	"weld/stream/run"
)

// source is a pack or a patch that is read from its beginning.
type source struct {
	*packed.Scanner
	io.Closer
	path    string      // for messages
	file    string      // "" for a pipe
	size    int64       // 0 for a pipe
	info    os.FileInfo // nil for a pipe
	spooled bool        // the file is for this run alone
}

// Close closes the file, and removes it if it was for this run alone.
func (s *source) Close() error {
	err := s.Closer.Close()
	if s.spooled {
		err = errors.Join(err, os.Remove(s.file))
	}
	return err
}

// place is where the file is, for the checks of an output.
func (s *source) place() (list []destination.Input) {
	if s.info != nil && !s.spooled {
		list = append(list, fileInput("pack", s.file, s.info))
	}
	return list
}

// scanAgain is scan for those who have to go back in the pack where blocks repeat earlier ones. Such a pack is
// brought from a pipe into a file first, beside the output.
func (o Options) scanAgain(in, out, step string) (*source, error) {
	if in != Stream {
		return o.scan(in, step)
	}
	r := bufio.NewReaderSize(o.In, 64<<10)
	o.In = r
	if begin, err := r.Peek(packed.HeaderSize); err != nil || !packed.MayRepeat(begin) {
		return o.scan(in, step) // which says what is wrong
	}
	dir := os.TempDir()
	if out != Stream {
		dir = filepath.Dir(filepath.Clean(out))
	}
	path, err := spool(dir, r)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("keep the pack from stdin, whose blocks repeat earlier ones: %w", err), removeSpooled(path))
	}
	s, err := o.scan(path, step)
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
func (o Options) scan(in, step string) (*source, error) {
	s := &source{path: in}
	var r io.Reader
	if in == Stream {
		r, s.Closer, s.path = o.In, io.NopCloser(o.In), "stdin"
	} else {
		s.file = in
		f, info, err := mmapio.OpenRegular(in)
		if err != nil {
			return nil, packed.Unopened(in, err)
		}
		r, s.Closer, s.size, s.info = f, f, info.Size(), info
	}
	o.Progress.Begin(run.Phase{Name: step, Index: 1, Count: 1, Bytes: s.size})
	var err error
	if s.Scanner, err = packed.NewScanner(s.path, r); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// work is what a worker does.
type work func(*worker) error

// worker is one goroutine's memory.
type worker struct {
	decoder planes.Decoder
	content []byte
}

// decode restores a block, in memory that serves the next one too.
func (w *worker) decode(b *packed.Block, base []byte) ([]byte, error) {
	content := w.room(b.Bytes)
	return content, b.Decode(&w.decoder, content, base)
}

// room is memory for a block's content.
func (w *worker) room(bytes int) []byte {
	if cap(w.content) < bytes {
		w.content = make([]byte, max(bytes, packed.BlockSize))
	}
	return w.content[:bytes]
}

// each reads to the end. deal sees every part in order and says what is to be done with it, which
// one of the workers then does. The first error ends it, and so does ctx.
func (s *source) each(ctx context.Context, workers int, advance func(int64), deal func(packed.Scanned) (work, error)) error {
	inner, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	type job struct {
		work work
		room []byte // to be given back
	}
	jobs, rooms := make(chan job), make(chan []byte, 2*workers)
	for range cap(rooms) {
		rooms <- nil
	}
	var group errgroup.Group
	for range workers {
		group.Go(func() error {
			var w worker
			for j := range jobs {
				if inner.Err() == nil {
					if err := j.work(&w); err != nil {
						stop(err)
					}
				}
				rooms <- j.room
			}
			return nil
		})
	}
	read := func() error {
		room := <-rooms
		for inner.Err() == nil {
			part, err := s.Next(room)
			if err != nil {
				return err
			}
			do, err := deal(part)
			if err != nil {
				return err
			}
			if part.Block == nil {
				continue
			}
			room = part.Block.Payload()
			advance(int64(len(room)))
			if do != nil {
				jobs <- job{do, room}
				room = <-rooms
			}
		}
		return nil
	}
	err := read()
	close(jobs)
	group.Wait()
	if cause := context.Cause(inner); cause != nil {
		return cause
	}
	if err == io.EOF {
		return nil
	}
	return err
}
