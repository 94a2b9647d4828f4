package packs

import (
	"context"
	"sync"

	"weld/format/patch"
	"weld/stream/run"
)

// chunked is an item of so many bytes that workers go through in chunks.
type chunked struct {
	bytes int64
	each  func(off, n int64) error // for each chunk, on any worker; nil if there is nothing to do
	done  func() error             // when all chunks are done; may be nil
}

// chunks has the workers go through the chunks of many items. item says what the i-th is; it is called in order, and
// what it returns is forgotten once it is done. Of several items that fail, the error is that of the first.
func (o Options) chunks(ctx context.Context, items int, item func(i int) chunked) error {
	q := &chunkQueue{items: items, item: item, at: items}
	err := run.Workers(ctx, o.Threads, nil, func(ctx context.Context) error {
		for ctx.Err() == nil {
			it, off, n := q.take()
			if it == nil {
				break
			}
			err := it.each(off, n)
			if err == nil {
				o.advance(n)
			}
			q.end(it, n, err)
		}
		return nil
	})
	if q.failed != nil {
		return q.failed
	}
	return err
}

// chunkQueue hands out chunks in order.
type chunkQueue struct {
	items int
	item  func(i int) chunked

	mu     sync.Mutex
	next   int
	now    *openItem // whose chunks are handed out
	failed error
	at     int // the item that failed
}

// openItem is an item under way.
type openItem struct {
	chunked
	index int
	off   int64
	left  int64 // bytes that are not done
}

// take returns nil where there is nothing more to do, or something has failed.
func (q *chunkQueue) take() (it *openItem, off, n int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.failed == nil && (q.now == nil || q.now.off == q.now.bytes) {
		if q.next == q.items {
			return nil, 0, 0
		}
		q.open()
	}
	if q.failed != nil {
		return nil, 0, 0
	}
	off = q.now.off
	n = min(patch.ChunkSize, q.now.bytes-off)
	q.now.off += n
	return q.now, off, n
}

// open takes the next item up. One without bytes is done at once.
func (q *chunkQueue) open() {
	it := &openItem{chunked: q.item(q.next), index: q.next}
	it.left = it.bytes
	q.next++
	q.now = nil
	switch {
	case it.each == nil:
	case it.bytes > 0:
		q.now = it
	default:
		q.fail(it, it.finish())
	}
}

// finish does what is to be done with the whole item.
func (it *openItem) finish() error {
	if it.done == nil {
		return nil
	}
	return it.done()
}

// end notes that n bytes of an item are done; whoever did the last finishes it.
func (q *chunkQueue) end(it *openItem, n int64, err error) {
	q.mu.Lock()
	it.left -= n
	last := it.left == 0
	q.mu.Unlock()
	if err == nil && last {
		err = it.finish()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.fail(it, err)
}

// fail keeps the error of the first item that has one.
func (q *chunkQueue) fail(it *openItem, err error) {
	if err != nil && it.index < q.at {
		q.failed, q.at = err, it.index
	}
}
