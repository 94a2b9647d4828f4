package bench

import (
	"context"
	"os"
	"path/filepath"
	"sync"

	"weld/mmapio"
	"weld/stream/run"
)

// pieceBytes is what is read of a file at a time where it is read once, from its beginning to its end.
const pieceBytes = 8 << 20

// piece is a part of a file.
type piece struct {
	file   *os.File
	off, n int64
}

// once reads files whole, one after the other, and writes size bytes meanwhile: as a disk likes it best. It is the floor of a cold
// merge.
func once(ctx context.Context, paths []string, out string, size int64, workers int) error {
	var pieces []piece
	for _, path := range paths {
		f, info, err := mmapio.OpenRegular(path)
		if err != nil {
			return err
		}
		defer f.Close()
		for off := int64(0); off < info.Size(); off += pieceBytes {
			pieces = append(pieces, piece{f, off, min(pieceBytes, info.Size()-off)})
		}
	}
	staging, err := mmapio.NewStaging(mmapio.OS, out, mmapio.SingleFile)
	if err != nil {
		return err
	}
	defer staging.Discard()
	file, err := staging.Create(filepath.Base(out), size)
	if err != nil {
		return err
	}
	c := copier{pieces: pieces, out: file, size: size}
	if err := run.Workers(ctx, workers, nil, c.work); err != nil {
		return err
	}
	return staging.Commit(true, nil)
}

// copier hands out pieces; with each, a share of what is written.
type copier struct {
	pieces []piece
	out    mmapio.OutputFile
	size   int64

	mu   sync.Mutex
	next int
}

func (c *copier) take() (i int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i = c.next
	c.next++
	return i, i < len(c.pieces)
}

// work reads and writes until there is nothing left.
func (c *copier) work(ctx context.Context) error {
	buffer := make([]byte, pieceBytes)
	for ctx.Err() == nil {
		i, ok := c.take()
		if !ok {
			return nil
		}
		p := c.pieces[i]
		if _, err := p.file.ReadAt(buffer[:p.n], p.off); err != nil {
			return err
		}
		for at, end := c.share(int64(i)), c.share(int64(i+1)); at < end; at += p.n {
			if _, err := c.out.WriteAt(buffer[:min(p.n, end-at)], at); err != nil {
				return err
			}
		}
	}
	return nil
}

// share is how far the output goes once so many pieces were read.
func (c *copier) share(pieces int64) int64 {
	if n := int64(len(c.pieces)); pieces < n {
		return c.size / n * pieces
	}
	return c.size
}
