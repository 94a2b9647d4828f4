package run

import "sync"

// resultCache holds results of rehearsals until they are given to the sinks. It shares its memory with the view cache.
type resultCache struct {
	views *viewCache

	mu      sync.Mutex
	tensors map[int]map[elements]*results
	spare   sync.Pool // of *results
}

// results are those of one item.
type results struct {
	outs [][]byte // of each sink
	read int64    // bytes of operands that they were made of
}

// bytes is what results take.
func (r *results) bytes() (n int64) {
	for _, p := range r.outs {
		n += int64(len(p))
	}
	return n
}

// room finds memory for n bytes of each of so many sinks; nil if there is none.
func (c *resultCache) room(sinks int, n int64) *results {
	if !c.views.reserve(int64(sinks) * n) {
		return nil
	}
	r, ok := c.spare.Get().(*results)
	if !ok {
		r = &results{outs: make([][]byte, sinks)}
	}
	for v := range r.outs {
		if int64(cap(r.outs[v])) < n {
			r.outs[v] = make([]byte, n)
		}
		r.outs[v] = r.outs[v][:n]
	}
	return r
}

// put keeps the results of an item.
func (c *resultCache) put(tensor int, at elements, r *results) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tensors == nil {
		c.tensors = make(map[int]map[elements]*results)
	}
	if c.tensors[tensor] == nil {
		c.tensors[tensor] = make(map[elements]*results)
	}
	c.tensors[tensor][at] = r
}

// take gives the results of an item, until [resultCache.giveBack]; nil if they are not there.
func (c *resultCache) take(tensor int, at elements) *results {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.tensors[tensor][at]
	delete(c.tensors[tensor], at)
	return r
}

// giveBack ends the use of results.
func (c *resultCache) giveBack(r *results) {
	c.views.reserve(-r.bytes())
	c.spare.Put(r)
}

// clear forgets a tensor that is done.
func (c *resultCache) clear(tensor int) {
	c.mu.Lock()
	left := c.tensors[tensor]
	delete(c.tensors, tensor)
	c.mu.Unlock()
	for _, r := range left {
		c.giveBack(r)
	}
}
