package run

import "weld/stream/fuse"

// A sink that is [Measuring] has to see the values of a tensor before it can store the first of them. They are not kept for
// it by the sink: the last stage is gone through twice, first in a rehearsal whose results go to the sink's Measure. As many of them as there is
// memory for are kept, and given to the sink without being made again.

// rehearsal is the last stage of a chain, once more before it.
type rehearsal struct{ fuse.Stage }

// End implements [fuse.Stage]: the stage itself has not ended.
func (rehearsal) End() error { return nil }

// tiledRehearsal is that of a stage with a tiling of its own.
type tiledRehearsal struct {
	rehearsal
	tiling fuse.Tiling
}

// Tiling implements [fuse.Sampling].
func (r tiledRehearsal) Tiling() fuse.Tiling { return r.tiling }

// measures reports whether a sink sees a tensor first.
func (w *walk) measures(tensor int) bool {
	for _, out := range w.sinks {
		if m, ok := out.(Measuring); ok && m.Measures(tensor) {
			return true
		}
	}
	return false
}

// rehearse puts a rehearsal into the task's chain.
func (t *task) rehearse() {
	n := len(t.stages) - 1
	last := t.stages[n]
	var first fuse.Stage = rehearsal{last}
	if s, ok := last.(fuse.Sampling); ok {
		first = tiledRehearsal{rehearsal{last}, s.Tiling()}
	}
	t.stages = append(t.stages[:n:n], first, last)
	t.twice = true
	t.bytes *= 2
}

// rehearses reports whether the task's rehearsal is under way.
func (t *task) rehearses() bool { return t.twice && t.stage == t.steps()-2 }

// measures reports whether the task has stages before those that make values of the output.
func (t *task) measures() bool {
	if t.twice {
		return len(t.stages) > 2
	}
	return len(t.stages) > 1
}

// yields reports whether the stage under way makes values of the output.
func (t *task) yields() bool { return t.stage == t.steps()-1 || t.rehearses() }

// hand gives bytes of a tensor to a sink, or shows them to it.
func (t *task) hand(out Sink, off int64, p []byte) error {
	if !t.rehearses() {
		return out.WriteAt(t.tensor, off, p)
	}
	if m, ok := out.(Measuring); ok && m.Measures(t.tensor) {
		return m.Measure(t.tensor, off, p)
	}
	return nil
}
