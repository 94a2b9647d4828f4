package run

import (
	"context"
	"sync"

	"weld/stream/fuse"
)

// task is one tensor on its way through the stages of a walk.
type task struct {
	tensor int
	of     Tensor
	stages []fuse.Stage // nil for a copy
	twice  bool         // the last stage but one is a rehearsal of the last
	batch  int          // tensors from this one on that one worker takes through all their stages; 0 for none
	cost   int64        // bytes that its stages hold
	bytes  int64        // that its last stage reads, and its rehearsal

	tiles       // of the stage under way
	stage int   // under way
	next  int64 // the first tile that was not handed out in this stage
	busy  int   // items being worked on

	pages     map[elements]fuse.Reads // of the operands, that stay in the page cache for later stages
	announced announced
}

// announced is the element up to which a stage's operands were asked for.
type announced struct {
	stage int
	to    int64
}

// tiles are those of a stage, and how many of them are shown to it at once.
type tiles struct {
	tiling fuse.Tiling
	per    int64
}

// steps is the number of stages, where copying counts as one.
func (t *task) steps() int { return max(len(t.stages), 1) }

// handedOut reports whether nothing of the task is left to be handed out.
func (t *task) handedOut() bool { return t.stage == t.steps()-1 && t.next == t.tiling.Count() }

// after is the stage that follows a finished one. Stages that turn out to have nothing to do are passed over;
// skipped says that the last one was among them.
func (t *task) after(stage int) (next int, skipped bool) {
	for next = stage + 1; next < len(t.stages); next++ {
		if o, ok := t.stages[next].(fuse.Optional); !ok || !o.Skip() {
			return next, false
		}
		skipped = next == len(t.stages)-1
	}
	return next, skipped
}

// item is a piece of work: tiles [first, last) of a task's stage.
type item struct {
	*task
	first, last int64
}

// tasks are what a scheduler hands out. It calls none of the methods while it holds its mutex, and Batch, Cost and
// Open from one goroutine at a time.
type tasks interface {
	// Batch is how many tensors from one on are so small that they are done together; 1 for none but this one.
	Batch(tensor int) int
	// Cost is the bytes that a tensor's stages will hold.
	Cost(tensor int) int64
	// Open begins with a tensor; nil if there is nothing to do for it.
	Open(tensor int) *task
	// Enter finds the tiles of a stage that begins.
	Enter(t *task, stage int) tiles
	// Skipped says that a task's last stage had nothing to do.
	Skipped(t *task)
	// Closed says that all stages of a task are done.
	Closed(t *task)
}

// scheduler hands out items in the order of the tensors. While one tensor waits for
// the end of a stage, later ones are begun, as far as their memory goes. Safe for
// concurrent use.
type scheduler struct {
	tasks   tasks
	tensors int
	memory  int64 // for the stages of begun tensors
	ahead   int   // tensors that may be begun at once: what is begun should stay cached
	inOrder bool  // hand out last stages strictly in the order of the tensors

	mu      sync.Mutex
	changed sync.Cond
	begun   []*task
	next    int       // the first tensor that was not begun
	size    *taskSize // of the task that begins with it; nil while that is not known
	opening bool      // somebody is at it
	used    int64
}

func newScheduler(t tasks, tensors int, memory int64, ahead int, inOrder bool) *scheduler {
	s := &scheduler{tasks: t, tensors: tensors, memory: memory, ahead: ahead, inOrder: inOrder}
	s.changed.L = &s.mu
	return s
}

// wake has those who wait look at their context.
func (s *scheduler) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed.Broadcast()
}

// take waits for the next item; ok is false when there are no more, or ctx is done.
func (s *scheduler) take(ctx context.Context) (it item, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ctx.Err() == nil {
		if it, ok := s.ready(); ok {
			return it, true
		}
		if s.begin() {
			continue
		}
		if len(s.begun) == 0 && s.next == s.tensors && !s.opening {
			break
		}
		s.changed.Wait()
	}
	return item{}, false
}

// ready hands out the first item that may be worked on.
func (s *scheduler) ready() (item, bool) {
	for _, t := range s.begun {
		if t.next < t.tiling.Count() {
			return t.handOut(), true
		}
		if s.inOrder && !t.handedOut() {
			// Its last stage comes first. Earlier stages of other tensors could run, but
			// the order of the output is kept with less ado if they are begun only then.
			return s.readyStage()
		}
	}
	return item{}, false
}

// readyStage hands out an item of a stage that writes nothing.
func (s *scheduler) readyStage() (item, bool) {
	for _, t := range s.begun {
		if t.next < t.tiling.Count() && t.stage < t.steps()-1 {
			return t.handOut(), true
		}
	}
	return item{}, false
}

// handOut makes an item of the next tiles.
func (t *task) handOut() item {
	it := item{t, t.next, min(t.next+t.per, t.tiling.Count())}
	t.next = it.last
	t.busy++
	return it
}

// begin opens the next tensor for which there is something to do, if its stages fit. It lets go of the mutex while it
// asks for them; false says that nothing has changed.
func (s *scheduler) begin() bool {
	if s.opening || s.next == s.tensors || len(s.begun) >= s.ahead {
		return false
	}
	if s.size == nil {
		s.unlocked(func() { s.size = s.sizeOf(s.next) })
		return true
	}
	if len(s.begun) > 0 && s.used+s.size.cost > s.memory {
		return false
	}
	size := *s.size
	t := &task{tensor: s.next, batch: size.batch, tiles: tiles{fuse.NewTiling(1, 1), 1}}
	if size.batch == 0 {
		s.unlocked(func() { t = s.tasks.Open(s.next) })
	}
	s.size = nil
	s.next += max(1, size.batch)
	if t != nil {
		t.cost = size.cost
		t.tiles = s.cut(t.tiles, t.cost)
		s.used += size.cost
		s.begun = append(s.begun, t)
	}
	return true
}

// cut shows fewer tiles at once to the stages of a tensor where so few tensors fit that workers would be left without any. All stages
// of a task with the same tiles are cut alike: what one leaves for the next is found by its item.
func (s *scheduler) cut(of tiles, cost int64) tiles {
	together := int64(s.ahead)
	if cost > 0 {
		together = max(1, min(together, s.memory/cost))
	}
	of.per = max(1, min(of.per, of.tiling.Count()*together/int64(s.ahead)))
	return of
}

// taskSize is what is known of a task before it begins.
type taskSize struct {
	batch int // see [task]
	cost  int64
}

// sizeOf finds out how large the task is that begins with a tensor.
func (s *scheduler) sizeOf(tensor int) *taskSize {
	size := taskSize{cost: s.tasks.Cost(tensor)}
	if n := s.tasks.Batch(tensor); n > 1 {
		size.batch = n
	}
	for i := 1; i < size.batch; i++ { // one after the other
		size.cost = max(size.cost, s.tasks.Cost(tensor+i))
	}
	return &size
}

// unlocked runs f for the tensor that is next, without the mutex. Nobody else begins with one meanwhile.
func (s *scheduler) unlocked(f func()) {
	s.opening = true
	s.mu.Unlock()
	f()
	s.mu.Lock()
	s.opening = false
	s.changed.Broadcast()
}

// done returns a finished item. The end of a stage is run by whoever finishes it: until the next one begins, the
// task is that worker's alone.
func (s *scheduler) done(it item) error {
	t := it.task
	if !s.endsStage(t) {
		return nil
	}
	if t.stages != nil {
		if err := t.stages[t.stage].End(); err != nil {
			return err
		}
	}
	next, skipped := t.after(t.stage)
	if skipped {
		s.tasks.Skipped(t)
	}
	var of tiles
	last := next == t.steps()
	if last {
		s.tasks.Closed(t)
	} else {
		of = s.cut(s.tasks.Enter(t, next), t.cost)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if last {
		s.finish(t)
	} else {
		t.stage, t.next, t.tiles = next, 0, of
	}
	s.changed.Broadcast()
	return nil
}

// endsStage reports whether a finished item was the last of its stage.
func (s *scheduler) endsStage(t *task) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.busy--
	return t.busy == 0 && t.next == t.tiling.Count()
}

// finish forgets a task.
func (s *scheduler) finish(t *task) {
	s.used -= t.cost
	for i, other := range s.begun {
		if other == t {
			s.begun = append(s.begun[:i], s.begun[i+1:]...)
			return
		}
	}
}
