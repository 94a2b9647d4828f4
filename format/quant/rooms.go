package quant

import "sync"

// rooms are memory for pieces and their scales: as many as were in use at one time. They stay while the view does. A pool that the collector empties would have new ones made
// in their place all the time, and each of these calls the collector the sooner.
type rooms struct {
	mu   sync.Mutex
	idle []*room
}

// room is for one piece, and as much again.
type room [2 * pieceElements]float32

// get finds or makes a room, with whatever is in it.
func (r *rooms) get() *room {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.idle)
	if n == 0 {
		return new(room)
	}
	found := r.idle[n-1]
	r.idle = r.idle[:n-1]
	return found
}

// put gives a room back.
func (r *rooms) put(x *room) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.idle = append(r.idle, x)
}
