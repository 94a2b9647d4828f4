package fuse

import "sync"

// inOrder folds figures of tiles in index order, whatever order spans arrive in,
// so that a sum is the same for any number of workers. It holds only what arrived
// early. Safe for concurrent use.
type inOrder[F any] struct {
	fold func(F)

	mu    sync.Mutex
	next  int64         // the first tile that was not folded yet
	early map[int64][]F // by first tile
}

// add hands over the figures of a span whose first tile is first.
func (o *inOrder[F]) add(first int64, figures []F) {
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
			o.fold(f)
		}
		o.next += int64(len(figures))
		figures, ok = o.early[o.next]
		delete(o.early, o.next)
	}
}
