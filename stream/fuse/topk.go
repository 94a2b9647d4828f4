package fuse

import (
	"sync"
	"sync/atomic"

	"weld/internal/vec"
	"weld/scoring"
)

// topK selects exactly the k elements of a tensor with the highest scores, those of equal
// scores in the order of their index. Scores are float32, finite and at least 0. They are
// searched by histograms of their bits, in stages over the tensor, and never sorted.
type topK struct {
	k, n  int64
	share float32 // of the scores that are not 0 gives k, if this is not 0

	sketch   *scoring.Sketch
	mu       sync.Mutex
	held     *scoring.Candidates // scores that may be the least selected; nil if they are too many
	quantile *scoring.Quantile   // the search without them
	varied   atomic.Int64        // scores that are not 0
	least    float32             // the k-th largest score
	wanted   int64               // elements with that score that are selected
	some     bool                // not all of them are
	numbered bool                // ties are known
	ties     []int64             // for each tile, elements with that score in the tiles before; then all
}

// newTopK selects k of the tensor's elements.
func newTopK(j *job, k int64) *topK {
	n := j.Tiling.Elements()
	return &topK{k: min(max(k, 0), n), n: n}
}

// topKBytes bounds what a selection holds of a tensor.
func topKBytes(j *Job) int64 {
	n := 8*j.Tiling.Count() + heldTileBytes*j.Tiling.Count() + scoring.FindBytes
	if !sampled(j) {
		return n + 4*j.Tiling.Elements()
	}
	return n + max(mostHeld*4, scoring.BracketBytes) + sketchBytes
}

// heldTileBytes is what [scoring.Candidates] notes of each tile.
const heldTileBytes = 32

// all and none are selections without a search.
func (c *topK) all() bool  { return c.k == c.n }
func (c *topK) none() bool { return c.k == 0 }

// topKOf are selections by the same scores; score computes those of a tile.
type topKOf[T vec.Float] struct {
	of    []*topK
	score func(in input[T]) []float32
}

// searching are the selections whose search goes on.
func (g topKOf[T]) searching() (open []*topK) {
	for _, c := range g.of {
		if c.quantile != nil {
			open = append(open, c)
		}
	}
	return open
}

// searchTopK searches for selections in stages. The scores of a small tensor are held. Of a large one, a sample says
// where the least selected score lies, all but certainly; one pass holds the few scores there, which tell the rest. If
// they are too many, or the sample misled, passes of histograms find it, and a last one numbers those of equal
// scores where only some are wanted.
func searchTopK[T vec.Float](j *job, reads Reads, groups []topKOf[T]) []Stage {
	var open []topKOf[T]
	for _, g := range groups {
		var of []*topK
		for _, c := range g.of {
			if c.share > 0 || !c.all() && !c.none() {
				of = append(of, c)
			}
		}
		if len(of) > 0 {
			open = append(open, topKOf[T]{of, g.score})
		}
	}
	if len(open) == 0 {
		return nil
	}
	search := topKSearch[T]{job: j, groups: open, reads: reads}
	if !sampled(j.Job) {
		return []Stage{newTopKWhole(search)}
	}
	stages := []Stage{newTopKSample(search), &topKHold[T]{search}}
	for range mostPasses {
		stages = append(stages, &topKCount[T]{search})
	}
	return append(stages, &topKTies[T]{search, inOrder[[]int64]{fold: search.number}})
}

// mostPasses is how many histograms take if the sample misled: over its interval, over those above or
// below, and within one of their bins.
const mostPasses = 3

// topKSearch is what the stages of a search share.
type topKSearch[T vec.Float] struct {
	*job
	groups []topKOf[T]
	reads  Reads
}

func (st topKSearch[T]) Reads() Reads { return st.reads }

// tile is what is seen of a tile.
func (st topKSearch[T]) tile(s *Scratch, sp *Span, t Tile) input[T] {
	s.reset()
	return input[T]{st.job, s, sp, t}
}

// Figures of a sample.
const (
	leastSampled = 1 << 20 // elements of a tensor; the scores of a smaller one are held
	sampleScores = 1 << 16 // that are kept
	sketchBytes  = 5 * sampleScores
	mostHeld     = 2 << 20 // scores
)

func sampled(j *Job) bool { return j.Tiling.Elements() >= leastSampled }

// topKSample takes a sample of the scores and narrows the searches by it.
type topKSample[T vec.Float] struct {
	topKSearch[T]
	tiling Tiling
}

func newTopKSample[T vec.Float](search topKSearch[T]) *topKSample[T] {
	st := &topKSample[T]{topKSearch: search}
	n := search.Tiling.Elements()
	for _, g := range search.groups {
		for _, c := range g.of {
			c.sketch = scoring.NewSketch(n, n*(scoring.SampleSize/sampleScores), false)
			st.tiling = search.Tiling.Sparse(c.sketch.Blocks(), scoring.BlockElements)
		}
	}
	return st
}

// Tiling implements [Sampling].
func (st *topKSample[T]) Tiling() Tiling { return st.tiling }

func (st *topKSample[T]) Span(s *Scratch, sp *Span) error {
	for t := range sp.Tiles {
		in := st.tile(s, sp, t)
		for _, g := range st.groups {
			height := s.mark()
			scores := g.score(in)
			for _, c := range g.of {
				scoring.Raw.Put(c.sketch, t.Index, scores)
				if c.share > 0 {
					c.varied.Add(int64(vec.CountAtLeast(scores, leastScore)))
				}
			}
			s.release(height)
		}
	}
	return nil
}

func (st *topKSample[T]) End() error {
	for _, g := range st.groups {
		for _, c := range g.of {
			k := c.k
			if c.share > 0 {
				varied := float64(c.varied.Load()) / float64(st.tiling.Covered())
				k = max(1, int64(varied*float64(c.share)*float64(c.n)))
				c.varied.Store(0)
			}
			b := scoring.Raw.Bracket([]*scoring.Sketch{c.sketch}, []*scoring.Scale{nil}, k, c.n)
			if n := int64(c.sketch.Inside(b) * float64(c.n)); n < mostHeld*3/4 {
				c.held = scoring.NewCandidates(b, min(n+n/4, mostHeld), mostHeld)
			} else {
				c.quantile = scoring.NewQuantile(k)
				c.quantile.Narrow(b)
			}
			c.sketch = nil
		}
	}
	return nil
}

// leastScore is the smallest score that is not 0.
var leastScore = nextUp(0)

// topKHold is the pass that holds scores. It counts those that are not 0, too.
type topKHold[T vec.Float] struct{ topKSearch[T] }

// Idle implements [Optional].
func (st *topKHold[T]) Idle() bool {
	for _, g := range st.groups {
		for _, c := range g.of {
			if c.held != nil || c.share > 0 {
				return false
			}
		}
	}
	return true
}

func (st *topKHold[T]) Span(s *Scratch, sp *Span) error {
	for t := range sp.Tiles {
		in := st.tile(s, sp, t)
		for g, group := range st.groups {
			height := s.mark()
			scores := group.score(in)
			for i, c := range group.of {
				if c.share > 0 {
					c.varied.Add(int64(vec.CountAtLeast(scores, leastScore)))
				}
				if c.held != nil {
					run := s.heldRun(g, i)
					c.held.Note(run, t.Index, scores)
					if run.Full() {
						c.hold(run)
					}
				}
			}
			s.release(height)
		}
	}
	for g, group := range st.groups {
		for i, c := range group.of {
			if c.held != nil {
				c.hold(s.heldRun(g, i))
			}
		}
	}
	return nil
}

// hold adds what a worker found.
func (c *topK) hold(run *scoring.CandidateRun) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held.Add(run)
}

func (st *topKHold[T]) End() error {
	for _, g := range st.groups {
		for _, c := range g.of {
			if c.share > 0 && !c.settle() {
				continue
			}
			if c.held == nil {
				if c.quantile == nil {
					c.quantile = scoring.NewQuantile(c.k)
				}
				continue // too many
			}
			least, ties, ok := c.held.Find(c.k)
			if !ok {
				c.quantile = scoring.NewQuantile(c.k)
			} else if c.found(least, ties); c.some {
				c.numberHeld(st.Tiling.Count())
			}
			c.held = nil
		}
	}
	return nil
}

// found notes the least selected score.
func (c *topK) found(least float32, ties scoring.Ties) {
	c.least, c.wanted, c.some = least, ties.Wanted, ties.Wanted < ties.Count
}

// numberHeld numbers the elements with the least selected score by what is held.
func (c *topK) numberHeld(tiles int64) {
	ties := make([]int64, tiles+1)
	c.held.Equal(c.least, func(tile, n int64) { ties[tile+1] = n })
	c.numberAll(ties)
}

// numberAll takes the ties of each tile, which follow those before the first.
func (c *topK) numberAll(ties []int64) {
	for i := range len(ties) - 1 {
		ties[i+1] += ties[i]
	}
	c.ties, c.numbered = ties, true
}

// topKCount is one pass of the searches by histogram.
type topKCount[T vec.Float] struct{ topKSearch[T] }

// Idle implements [Optional].
func (st *topKCount[T]) Idle() bool {
	for _, g := range st.groups {
		if len(g.searching()) > 0 {
			return false
		}
	}
	return true
}

func (st *topKCount[T]) Span(s *Scratch, sp *Span) error {
	for _, g := range st.groups {
		if open := g.searching(); len(open) > 0 {
			st.count(s, sp, g, open)
		}
	}
	return nil
}

func (st *topKCount[T]) count(s *Scratch, sp *Span, g topKOf[T], open []*topK) {
	counts := s.histograms(len(open))
	windows := make([]scoring.Window, len(open))
	for i, c := range open {
		windows[i] = c.quantile.Window(scoring.Identity)
	}
	hand := func(i int) {
		open[i].mu.Lock()
		open[i].quantile.Add(counts[i])
		open[i].mu.Unlock()
	}
	for t := range sp.Tiles {
		scores := g.score(st.tile(s, sp, t))
		for i, c := range open {
			if counts[i].Full(t.Len()) {
				hand(i)
			}
			c.quantile.Count(counts[i], scores, windows[i])
		}
	}
	for i := range open {
		hand(i)
	}
}

func (st *topKCount[T]) End() error {
	for _, g := range st.groups {
		for _, c := range g.searching() {
			if !c.quantile.Next() {
				c.found(c.quantile.Value(), c.quantile.Ties())
				c.quantile = nil
			}
		}
	}
	return nil
}

// settle says how many elements are selected, once it is known how many scores are not 0, and reports
// whether they must be searched. The product is rounded to float32, as mergekit's is.
func (c *topK) settle() (search bool) {
	varied := c.varied.Load()
	c.k = min(int64(float32(varied)*c.share), varied)
	if c.all() || c.none() {
		c.quantile, c.held = nil, nil
		return false
	}
	if c.quantile != nil {
		c.quantile.Rerank(c.k)
	}
	return true
}

// topKTies numbers the elements whose score is that of the last selected, where only some of them are.
type topKTies[T vec.Float] struct {
	topKSearch[T]
	order inOrder[[]int64]
}

// Idle implements [Optional].
func (st *topKTies[T]) Idle() bool { return len(st.partial()) == 0 }

// partial reports whether some of equal scores are selected, and it is not yet known which.
func (c *topK) partial() bool { return c.some && !c.numbered }

// partial are the selections of which that is true.
func (st topKSearch[T]) partial() (of []*topK) {
	for _, g := range st.groups {
		for _, c := range g.of {
			if c.partial() {
				of = append(of, c)
			}
		}
	}
	return of
}

func (st *topKTies[T]) Span(s *Scratch, sp *Span) error {
	var tiles [][]int64
	for t := range sp.Tiles {
		in := st.tile(s, sp, t)
		var ties []int64
		for _, g := range st.groups {
			height := s.mark()
			var scores []float32
			for _, c := range g.of {
				if !c.partial() {
					continue
				}
				if scores == nil {
					scores = g.score(in)
				}
				ties = append(ties, int64(countEqual(scores, c.least)))
			}
			s.release(height)
		}
		tiles = append(tiles, ties)
	}
	st.order.add(sp.First, tiles)
	return nil
}

// number takes the ties of the next tile.
func (st topKSearch[T]) number(ties []int64) {
	for i, c := range st.partial() {
		if c.ties == nil {
			c.ties = make([]int64, 1, st.Tiling.Count()+1)
		}
		c.ties = append(c.ties, c.ties[len(c.ties)-1]+ties[i])
	}
}

func (st *topKTies[T]) End() error { return nil }

// countEqual is how many scores have a value.
func countEqual(s []float32, v float32) int {
	atLeast := len(s)
	if v > 0 {
		atLeast = vec.CountAtLeast(s, v)
	}
	return atLeast - vec.CountAtLeast(s, nextUp(v))
}

// bound is the least score that is selected in a tile; ok is false if equal scores are not.
func (c *topK) bound(t Tile) (least float32, ok bool) {
	switch {
	case c.all():
		return 0, true
	case c.none():
		return infinity, true
	}
	switch c.tiesIn(t) {
	case noTies:
		return nextUp(c.least), true
	case allTies:
		return c.least, true
	}
	return 0, false
}

// bounds are the least scores that are selected among the first elements of a tile, and among the rest; s
// are the tile's scores.
func (c *topK) bounds(t Tile, s []float32) (first int, least, rest float32) {
	if least, ok := c.bound(t); ok {
		return len(s), least, least
	}
	return afterEqual(s, c.least, c.tiesIn(t)), c.least, nextUp(c.least)
}

// afterEqual is the place behind the n-th score that has a value, of at least so many.
func afterEqual(s []float32, v float32, n int64) int {
	const few = 256
	at := 0
	for ; at+few < len(s); at += few {
		in := int64(countEqual(s[at:at+few], v))
		if in >= n {
			break
		}
		n -= in
	}
	for ; n > 0; at++ {
		if s[at] == v {
			n--
		}
	}
	return at
}

// keepTop sets to +0 the elements of x that are not selected; s are the tile's scores.
func keepTop[T vec.Float](c *topK, t Tile, x []T, s []float32) {
	switch {
	case c.all():
		return
	case c.none():
		vec.Fill(x, 0)
		return
	}
	first, least, rest := c.bounds(t, s)
	selectFrom(x[:first], s[:first], least)
	selectFrom(x[first:], s[first:], rest)
}

func selectFrom[T vec.Float](x []T, s []float32, least float32) {
	if least > 0 {
		vec.Select(x, s, least)
	}
}

// What [topK.tiesIn] says but a number.
const (
	noTies  = -1
	allTies = -2
)

// tiesIn is how many of the tile's elements with the least selected score are selected.
func (c *topK) tiesIn(t Tile) int64 {
	if !c.some {
		return allTies
	}
	before, count := c.ties[t.Index], c.ties[t.Index+1]-c.ties[t.Index]
	switch left := c.wanted - before; {
	case left <= 0:
		return noTies
	case left >= count:
		return allTies
	default:
		return left
	}
}

// magnitudes are |x| as scores. What is not finite counts as the largest finite value, so that
// it is kept, and judged when it is written.
func magnitudes[T vec.Float](in input[T], x []T) []float32 {
	s := take[float32](in.s, len(x))
	vec.Abs(s, single(in.s, x))
	clampScores(s)
	return s
}

// clampScores makes scores finite.
func clampScores(s []float32) {
	for at := 0; ; {
		i := vec.FirstNonFinite(s[at:], infinity)
		if i < 0 {
			return
		}
		s[at+i] = largest
		at += i + 1
	}
}
