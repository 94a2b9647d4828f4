package run

import (
	"slices"
	"sync"
)

// resultCache holds results of rehearsals until they are given to the sinks. It shares its memory with the view cache.
type resultCache struct {
	views *viewCache

	mu      sync.Mutex
	tensors map[int]map[elements]*results
	idle    []*results // whose memory stays taken, since the next tensor wants as much: new memory costs more than to fill it
}

// results are those of one item.
type results struct {
	outs [][]byte // of each sink
	read int64    // bytes of operands that they were made of
}

// bytes is the memory that results take.
func (r *results) bytes() (n int64) {
	for _, p := range r.outs {
		n += int64(cap(p))
	}
	return n
}

// room finds memory for n bytes of each of so many sinks; nil if there is none.
func (c *resultCache) room(sinks int, n int64) *results {
	if r := c.reuse(n); r != nil {
		return r
	}
	if !c.views.reserve(int64(sinks) * n) {
		return nil
	}
	r := &results{outs: make([][]byte, sinks)}
	for v := range r.outs {
		r.outs[v] = make([]byte, n)
	}
	return r
}

// reuse finds idle memory of n bytes for each sink.
func (c *resultCache) reuse(n int64) *results {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.idle, func(r *results) bool { return int64(cap(r.outs[0])) >= n })
	if i < 0 {
		return nil
	}
	r := c.idle[i]
	c.idle = slices.Delete(c.idle, i, i+1)
	for v := range r.outs {
		r.outs[v] = r.outs[v][:n]
	}
	return r
}

// yield lets go of idle memory, and says how much that was.
func (c *resultCache) yield() (n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.idle {
		n += r.bytes()
	}
	c.idle = nil
	return n
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
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = append(c.idle, r)
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
