package packs

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"weld/format/patch"
)

// chunks has the workers go through the chunks of many items. item says how long the i-th is, what is
// to be done with each chunk, and what when all are done; it is called in order.
func (o Options) chunks(ctx context.Context, items int, item func(i int) (bytes int64, each func(off, n int64) error, done func() error)) error {
	type open struct {
		bytes, off int64
		each       func(off, n int64) error
		done       func() error
	}
	inner, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var (
		mu     sync.Mutex
		next   int
		now    *open
		closed []*open
	)
	take := func() (it *open, off, n int64) {
		mu.Lock()
		defer mu.Unlock()
		for now == nil || now.off == now.bytes {
			if now != nil {
				closed = append(closed, now)
				now = nil
			}
			if next == items {
				return nil, 0, 0
			}
			bytes, each, done := item(next)
			next++
			if each != nil {
				now = &open{bytes: bytes, each: each, done: done}
			}
		}
		off = now.off
		n = min(patch.ChunkSize, now.bytes-off)
		now.off += n
		return now, off, n
	}
	var group errgroup.Group
	for range o.Threads {
		group.Go(func() error {
			for inner.Err() == nil {
				it, off, n := take()
				if it == nil {
					return nil
				}
				if err := it.each(off, n); err != nil {
					stop(err)
					return err
				}
				o.advance(n)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	for _, it := range closed {
		if err := it.done(); err != nil {
			return err
		}
	}
	return nil
}
