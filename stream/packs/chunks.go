package packs

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"weld/format/patch"
)

// chunks has the workers go through the chunks of many items. item says how long the i-th is, what is
// to be done with each chunk, and what when all are done; it is called in order, and what it returns is forgotten once
// it is done. Of several items that fail, the error is that of the first.
func (o Options) chunks(ctx context.Context, items int, item func(i int) (bytes int64, each func(off, n int64) error, done func() error)) error {
	type open struct {
		index      int
		bytes, off int64
		left       int64 // bytes that are not done
		each       func(off, n int64) error
		done       func() error
	}
	var (
		mu     sync.Mutex
		next   int
		now    *open
		failed error
		at     = items // the item that failed
	)
	take := func() (it *open, off, n int64) {
		mu.Lock()
		defer mu.Unlock()
		if failed != nil {
			return nil, 0, 0
		}
		for now == nil || now.off == now.bytes {
			if next == items {
				return nil, 0, 0
			}
			now = nil
			bytes, each, done := item(next)
			switch {
			case each == nil:
			case bytes == 0:
				if failed = done(); failed != nil {
					at = next
					return nil, 0, 0
				}
			default:
				now = &open{index: next, bytes: bytes, left: bytes, each: each, done: done}
			}
			next++
		}
		off = now.off
		n = min(patch.ChunkSize, now.bytes-off)
		now.off += n
		return now, off, n
	}
	end := func(it *open, n int64, err error) {
		mu.Lock()
		it.left -= n
		last := it.left == 0
		mu.Unlock()
		if err == nil && last {
			err = it.done()
		}
		if err == nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if it.index < at {
			failed, at = err, it.index
		}
	}
	var group errgroup.Group
	for range o.Threads {
		group.Go(func() error {
			for ctx.Err() == nil {
				it, off, n := take()
				if it == nil {
					return nil
				}
				err := it.each(off, n)
				end(it, n, err)
				if err == nil {
					o.advance(n)
				}
			}
			return nil
		})
	}
	group.Wait()
	if failed != nil {
		return failed
	}
	return context.Cause(ctx)
}
