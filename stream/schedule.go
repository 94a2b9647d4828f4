package stream

import (
	"context"
	"sync"

	"weld/stream/fuse"
)

// task is one tensor on its way through the stages of a walk.
type task struct {
	tensor int
	stages []fuse.Stage // nil for a copy
	tiling fuse.Tiling  // of the stage under way
	per    int64        // tiles in a span of it
	enter  func(*task)  // sets both, for a stage that begins
	batch  int          // tensors from this one on that one worker takes through all their stages; 0 for none
	cost   int64        // bytes that its stages hold
	bytes  int64        // that its last stage reads

	stage int   // under way
	next  int64 // the first tile that was not handed out in this stage
	busy  int   // spans being worked on
}

// steps is the number of stages, where copying counts as one.
func (t *task) steps() int { return max(len(t.stages), 1) }

// handedOut reports whether nothing of the task is left to be handed out.
func (t *task) handedOut() bool { return t.stage == t.steps()-1 && t.next == t.tiling.Count() }

// skipIdle passes over stages that turn out to have nothing to do; it reports whether the
// last one was among them.
func (t *task) skipIdle() bool {
	for t.stage < len(t.stages) {
		if o, ok := t.stages[t.stage].(fuse.Optional); !ok || !o.Idle() {
			return false
		}
		t.stage++
		if t.stage == len(t.stages) {
			return true
		}
	}
	return false
}

// span is a piece of work: tiles [first, last) of a task's stage.
type span struct {
	*task
	first, last int64
}

// scheduler hands out spans in the order of the tensors. While one tensor waits for
// the end of a stage, later ones are begun, as far as their memory goes. Safe for
// concurrent use.
type scheduler struct {
	cost    func(tensor int) int64 // bytes that its stages will hold
	open    func(tensor int) *task // nil if the walk has nothing to do there
	batch   func(tensor int) int   // how many tensors from there on are so small that they are done together
	skipped func(*task)            // its last stage had nothing to do
	closed  func(*task)            // all its stages are done
	tensors int
	memory  int64 // for the stages of begun tensors
	ahead   int   // tensors that may be begun at once: what is begun should stay cached
	inOrder bool  // hand out last stages strictly in the order of the tensors

	mu      sync.Mutex
	changed sync.Cond
	begun   []*task
	next    int // the first tensor that was not begun
	used    int64
}

// take waits for the next span; ok is false when there are no more, or ctx is done.
func (s *scheduler) take(ctx context.Context) (sp span, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ctx.Err() == nil {
		if sp, ok := s.ready(); ok {
			return sp, true
		}
		if s.begin() {
			continue
		}
		if len(s.begun) == 0 && s.next == s.tensors {
			break
		}
		s.changed.Wait()
	}
	return span{}, false
}

// ready hands out the first span that may run.
func (s *scheduler) ready() (span, bool) {
	for _, t := range s.begun {
		if count := t.tiling.Count(); t.next < count {
			sp := span{t, t.next, min(t.next+t.per, count)}
			t.next = sp.last
			t.busy++
			return sp, true
		}
		if s.inOrder && !t.handedOut() {
			// Its last stage comes first. Earlier stages of other tensors could run, but
			// the order of the output is kept with less ado if they are begun only then.
			return s.readyStage()
		}
	}
	return span{}, false
}

// readyStage hands out a span of a stage that writes nothing.
func (s *scheduler) readyStage() (span, bool) {
	for _, t := range s.begun {
		if count := t.tiling.Count(); t.next < count && t.stage < t.steps()-1 {
			sp := span{t, t.next, min(t.next+t.per, count)}
			t.next = sp.last
			t.busy++
			return sp, true
		}
	}
	return span{}, false
}

// begin opens the next tensor, if there is one and its stages fit.
func (s *scheduler) begin() bool {
	for s.next < s.tensors && len(s.begun) < s.ahead {
		batch := 0
		if s.batch != nil {
			batch = s.batch(s.next)
		}
		cost := s.cost(s.next)
		for i := 1; i < batch; i++ { // one after the other
			cost = max(cost, s.cost(s.next+i))
		}
		if len(s.begun) > 0 && s.used+cost > s.memory {
			return false
		}
		var t *task
		if batch > 1 {
			t = &task{tensor: s.next, batch: batch, tiling: fuse.NewTiling(1, 1), per: 1}
			s.next += batch
		} else {
			t = s.open(s.next)
			s.next++
		}
		if t != nil {
			t.cost = cost
			s.used += cost
			s.begun = append(s.begun, t)
			return true
		}
	}
	return false
}

// done returns a finished span. The end of a stage is run by whoever finishes it.
func (s *scheduler) done(sp span) error {
	t := sp.task
	s.mu.Lock()
	defer s.mu.Unlock()
	t.busy--
	if t.busy > 0 || t.next < t.tiling.Count() {
		return nil
	}
	if t.stages != nil {
		s.mu.Unlock()
		err := t.stages[t.stage].End()
		s.mu.Lock()
		if err != nil {
			return err
		}
	}
	t.stage++
	t.next = 0
	if t.skipIdle() {
		s.skipped(t)
	}
	if t.stage == t.steps() {
		s.finish(t)
	} else if t.enter != nil {
		t.enter(t)
	}
	s.changed.Broadcast()
	return nil
}

func (s *scheduler) finish(t *task) {
	if s.closed != nil {
		s.closed(t)
	}
	s.used -= t.cost
	for i, other := range s.begun {
		if other == t {
			s.begun = append(s.begun[:i], s.begun[i+1:]...)
			return
		}
	}
}
