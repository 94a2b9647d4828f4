package run

// Results of a stage go into memory of the worker or of a sink, and from there to the sinks: a whole item at a time, since writing costs
// little for much, or a part of it, where a sink collects them.

// collects reports whether a sink collects the bytes of a tensor.
func (w *walk) collects(tensor int) bool {
	for _, out := range w.sinks {
		if c, ok := out.(Collecting); ok && c.Collects(tensor) {
			return true
		}
	}
	return false
}

// output is where the results of one item go.
type output struct {
	*worker
	item
	at    elements // the item's
	size  int64    // bytes of an element
	parts bool     // they are handed on part by part
	kept  *results // of a rehearsal, where there is memory for them
	read  int64    // bytes of operands, so far
}

// output begins with an item.
func (w *worker) output(it item, at elements) *output {
	o := &output{worker: w, item: it, at: at, size: int64(it.of.DType.Bits() / 8), parts: it.rehearses() || w.walk.collects(it.tensor)}
	switch n := (at.hi - at.lo) * o.size; {
	case it.rehearses():
		o.kept = w.walk.results.room(len(w.walk.sinks), n)
	case !o.parts:
		w.buffers(n)
	}
	return o
}

// begin finds memory for the results of a part of the item. Where a sink has some, but less, the part is cut.
func (o *output) begin(part *item) {
	n := o.bytes(part)
	off := (part.elements().lo - o.at.lo) * o.size
	switch outs := o.outs; {
	case o.kept != nil:
		outs = o.kept.outs
		fallthrough
	case !o.parts:
		o.span.Outs = o.span.Outs[:0]
		for _, whole := range outs[:len(o.walk.sinks)] {
			o.span.Outs = append(o.span.Outs, whole[off:off+n])
		}
	default:
		if !o.borrow(part) {
			o.buffers(o.bytes(part))
		}
	}
}

// bytes are those of the results of a part.
func (o *output) bytes(part *item) int64 {
	at := part.elements()
	return (at.hi - at.lo) * o.size
}

// borrow has a sink, if it is the only one, lend memory for a part.
func (o *output) borrow(part *item) bool {
	if len(o.walk.sinks) != 1 || o.rehearses() {
		return false
	}
	memory := o.walk.sinks[0].(Collecting).Lend(o.tensor, part.elements().lo*o.size, o.bytes(part))
	if len(memory) == 0 {
		return false
	}
	for part.last > part.first+1 && o.bytes(part) > int64(len(memory)) {
		part.last--
	}
	n := o.bytes(part)
	if n > int64(len(memory)) {
		return false
	}
	o.span.Outs = append(o.span.Outs[:0], memory[:n])
	return true
}

// end hands on what a part has made.
func (o *output) end(part *item) error {
	o.read += o.lent
	if !o.parts {
		return nil
	}
	return o.hand(part.elements().lo, o.span.Outs)
}

// finish hands on what the item has made, unless that is done, and keeps what was rehearsed.
func (o *output) finish() error {
	if o.kept != nil {
		o.kept.read = o.read
		o.walk.results.put(o.tensor, o.at, o.kept)
	}
	if o.parts {
		return nil
	}
	return o.hand(o.at.lo, o.outs)
}

// hand gives results from an element on to the sinks.
func (o *output) hand(lo int64, outs [][]byte) error {
	for v, out := range o.walk.sinks {
		if err := o.task.hand(out, lo*o.size, outs[v]); err != nil {
			return err
		}
	}
	return nil
}

// rehearsed gives the sinks what is kept of an item's rehearsal, if it is.
func (w *worker) rehearsed(it item, at elements) (done bool, err error) {
	if !it.twice || it.rehearses() {
		return false, nil
	}
	r := w.walk.results.take(it.tensor, at)
	if r == nil {
		return false, nil
	}
	defer w.walk.results.giveBack(r)
	o := output{worker: w, item: it, size: int64(it.of.DType.Bits() / 8)}
	w.walk.config.Progress.Advance(r.read)
	return true, o.hand(at.lo, r.outs)
}
