package fuse

import "sync"

// InOrder folds figures of tiles in index order, whatever order spans arrive in,
// so that a sum is the same for any number of workers. It holds only what arrived
// early. Safe for concurrent use.
type InOrder[F any] struct {
	Fold func(F) // takes the tiles in index order

	mu    sync.Mutex
	next  int64         // the first tile that was not folded yet
	early map[int64][]F // by first tile
}

// Add takes the figures of a span whose first tile is first.
func (o *InOrder[F]) Add(first int64, figures []F) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if first != o.next {
		if o.early == nil {
			o.early = make(map[int64][]F)
		}
		o.early[first] = figures
		return
	}
	for ok := true; ok; {
		for _, f := range figures {
			o.Fold(f)
		}
		o.next += int64(len(figures))
		figures, ok = o.early[o.next]
		delete(o.early, o.next)
	}
}
