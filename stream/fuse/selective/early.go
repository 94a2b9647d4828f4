package selective

import (
	"math"
	"math/bits"
	"slices"

	"weld/format"
	"weld/internal/vec"
	"weld/scoring"
	"weld/stream/fuse"
)

// This file fuses in the walk that finds the thresholds. A sample says in which bracket each threshold lies. What scores above
// the bracket is kept, what scores below it dropped; the walk counts how many scores are above, and which are inside.
// Elements with a score inside are fused by the likeliest threshold, a guess, and left with their operands. When the walk is through, the
// counts say the thresholds, exactly. What was left is fused by them once more, and written where it comes out otherwise.
//
// Nothing is estimated in the result: a bracket that misses shows in the counts, and the walk is done again.

// Figures of the early pass, and what it takes of a worker's memory in bytes.
const (
	leftBytes   = 1 << 20 // to mark and collect what is left
	insideBytes = 1 << 18 // scores inside the bracket, for each model

	earlySigma = 3.5  // standard deviations that a threshold may be off the sample's: one in 300 is by more, which costs another walk
	leftShare  = 0.06 // of the elements, that a sample expects to be left at most: leaving costs less than another walk
	missed     = 4    // bracket widths beside one that missed, where the threshold is looked for next
)

// Searches implements [fuse.Early].
func (m *merge) Searches() (searches bool, before string) {
	open := func(r *ranking) bool { return r.quantile != nil }
	if m.Scope != scoring.WholeModel || !slices.ContainsFunc(m.ranking, open) {
		return false, ""
	}
	return true, m.before()
}

// before says why thresholds have to be found first: in one walk each element's fate depends on its own scores, and on what is known of its
// tensor by then.
func (m *merge) before() string {
	switch {
	case m.Contrast:
		return "contrast ranks by quotients of scores, of which a sample says too little"
	case m.Granularity != scoring.ByElement:
		return "scores of whole rows and tensors are ranked"
	case m.RankOne:
		return "rank_one takes importance from sums over matrices"
	case m.Rescale == ByL1:
		return "rescale l1 goes by sums of what is kept"
	case m.Rescale == ByDensity && slices.ContainsFunc(m.Models, func(o TaskVector) bool { return o.Fixed }):
		return "rescale density counts what a given threshold keeps"
	}
	for t := range m.open() {
		if !m.samples(t) {
			return "the model is too small for a sample"
		}
	}
	return ""
}

// Figures of what is guessed wrong. The rank of a threshold is off by blockDeviation / √blocks, as a share, from one sample to another: measured on fine-tunes.
const (
	blockDeviation = 0.09
	pageBytes      = 4 << 10
)

// Rewrites implements [fuse.Early].
func (m *merge) Rewrites() float64 {
	var blocks, bytes int64
	for i := range m.jobs {
		n := m.jobs[i].Tiling.Elements()
		blocks += scoring.PageBlocks(n, m.total)
		bytes += n * int64(m.jobs[i].DType.Bits()/8)
	}
	wrong := 0.0
	for range m.open() {
		wrong += math.Sqrt(2/math.Pi) * blockDeviation / math.Sqrt(float64(max(1, blocks)))
	}
	inPage := pageBytes * float64(m.total) / float64(max(1, bytes))
	return 1 - math.Exp(-inPage*wrong)
}

// fusesEarly reports whether the walk that finds the thresholds is to fuse.
func (m *merge) fusesEarly() bool {
	searches, before := m.Searches()
	return m.Options.Early && searches && before == ""
}

// Early implements [fuse.Early].
func (m *merge) Early() *fuse.EarlyPass {
	if !m.early {
		return nil
	}
	decided := false
	return &fuse.EarlyPass{
		Pass: fuse.Pass{
			Name:  "fuse",
			Reads: m.Reads(),
			Chain: func(job int) []fuse.Stage {
				x := &m.tensors[job]
				return append(x.rankingStages(), newEarlyStage(x))
			},
			End: func() error {
				decided = m.settle()
				return nil
			},
		},
		Decided: func() bool { return decided },
		Decide:  func(job int) fuse.Stage { return newDecidingStage(&m.tensors[job]) },
		GiveUp:  m.giveUp,
	}
}

// settle ends the early pass: all thresholds are known now, or those that are not were looked for in the wrong place.
func (m *merge) settle() (decided bool) {
	m.early = false
	decided = true
	for _, r := range m.ranking {
		if r.quantile == nil {
			continue
		}
		if wrong, higher := r.quantile.Wrong(); wrong {
			r.bracket = r.bracket.Beside(higher, missed)
			if r.guess = r.bracket.High; higher {
				r.guess = r.bracket.Low
			}
			decided = false
		}
	}
	if decided {
		for _, r := range m.ranking {
			decided = !r.advance() && decided
		}
		if !decided {
			m.giveUp()
		}
		return decided
	}
	m.misses++
	again := m.misses == 1
	for _, r := range m.ranking {
		if r.quantile != nil {
			r.quantile.Narrow(r.bracket)
			again = again && r.quantile.Apart() && r.bracket.Low > 0
		}
	}
	if !again {
		m.giveUp()
		return false
	}
	m.forgetCounts()
	m.early = true
	return false
}

// giveUp takes back what an early pass has counted.
func (m *merge) giveUp() {
	m.early = false
	m.forgetCounts()
	m.findFirst()
}

// findFirst has the thresholds that are not known found before anything is fused, by a sample of their own.
func (m *merge) findFirst() {
	known := true
	for t := range m.open() {
		r := m.ranking[t]
		known = false
		r.quantile, r.bracket = scoring.NewQuantile(scoring.Rank(m.Models[t].Density, r.elements)), scoring.Bracket{}
	}
	if !known {
		m.passes = append(m.passes, m.samplingPass(false), m.countingPass("score histogram"))
	}
}

// forgetCounts forgets what a pass that fused in vain has counted of the result.
func (m *merge) forgetCounts() {
	for i := range m.tensors {
		m.tensors[i].nonfinite.Store(0)
		for t := range m.tensors[i].models {
			m.tensors[i].models[t].kept.Store(0)
		}
	}
}

// undecided are the elements of a tile that brackets leave open or, once they are decided, those that were guessed wrong. A nil one looks at
// nothing.
type undecided struct {
	windows []window // of each model
	decided bool

	all    []uint64    // marks of the tile at hand
	own    []uint64    // of one model
	inside [][]float32 // raw scores of each model that it leaves open
	at     []uint32    // the marked elements
}

// window is an interval of one model's raw scores, and what is guessed of the threshold in it.
type window struct {
	open             bool // the threshold is, or was, looked for
	low, high, guess float32
	guessed          int64 // scores that the guess keeps: of those inside or, once they are decided, of all
}

// undecidedBy prepares for another span of a tensor.
func undecidedBy(s *fuse.Scratch, x *scoredTensor, decided bool) *undecided {
	u := fuse.Memory[undecided](s)
	u.decided, u.windows = decided, u.windows[:0]
	if u.all == nil {
		u.all, u.own = make([]uint64, fuse.TileElements/64), make([]uint64, fuse.TileElements/64)
		u.at = make([]uint32, 0, fuse.TileElements)
	}
	for len(u.inside) < len(x.models) {
		u.inside = append(u.inside, nil)
	}
	for m := range x.models {
		u.inside[m] = u.inside[m][:0]
		u.windows = append(u.windows, x.window(m, decided))
	}
	return u
}

// window is what a model leaves open, or leaves to be corrected.
func (x *scoredTensor) window(m int, decided bool) (w window) {
	r, scale := x.models[m].ranking, x.rankScale(m)
	if x.models[m].role != ranked || r.bracket == (scoring.Bracket{}) {
		return w
	}
	w.open = true
	w.guess = scoring.Threshold{T: r.guess}.Raw(scale).T
	if decided {
		t := r.threshold.Raw(scale).T
		w.low, w.high = min(t, w.guess), max(t, w.guess)
		return w
	}
	w.low, w.high = r.quantile.Window(scale).Bounds()
	return w
}

// look marks what a model leaves open, or what was guessed wrong.
func (u *undecided) look(m int, raw []float32) {
	if u == nil || !u.windows[m].open {
		return
	}
	w := &u.windows[m]
	if u.decided {
		w.guessed += int64(vec.CountAtLeast(raw, w.guess))
	}
	own := u.own[:(len(raw)+63)/64]
	if vec.Inside(own, raw, w.low, w.high) == 0 {
		return
	}
	for i, word := range own {
		u.all[i] |= word
		for ; word != 0 && !u.decided; word &= word - 1 {
			s := raw[i*64+bits.TrailingZeros64(word)]
			u.inside[m] = append(u.inside[m], s)
			if s >= w.guess {
				w.guessed++
			}
		}
	}
}

// markUnsound sees what the elements of the tile become, before that is judged. A guess may be no finite value, or none that the output can hold: it is
// not to be judged. What is decided, and none, is marked: it was written as something else.
func markUnsound[T vec.Float](u *undecided, out []T, as format.DType) {
	if u == nil {
		return
	}
	limit := format.Overflow[T](as)
	unsound := func(x T) bool { return !(x < limit && x > -limit) }
	if u.decided {
		for i, x := range out {
			if unsound(x) {
				u.all[i/64] |= 1 << (i % 64)
			}
		}
		return
	}
	for _, i := range u.left() {
		if unsound(out[i]) {
			out[i] = 0
		}
	}
}

// left are the marked elements.
func (u *undecided) left() []uint32 {
	u.at = u.at[:0]
	for w, word := range u.all {
		for ; word != 0; word &= word - 1 {
			u.at = append(u.at, uint32(w*64+bits.TrailingZeros64(word)))
		}
	}
	return u.at
}

// earlyStage fuses what the brackets decide, guesses the rest, and leaves it.
type earlyStage[T vec.Float] struct{ fuseStage[T] }

func newEarlyStage(x *scoredTensor) fuse.Stage {
	f := fuse.Finisher{Job: x.job, Policy: x.Nonfinite}
	if x.job.Wide {
		return &earlyStage[float64]{fuseStage[float64]{x, f}}
	}
	return &earlyStage[float32]{fuseStage[float32]{x, f}}
}

func (st *earlyStage[T]) Span(s *fuse.Scratch, sp *fuse.Span) error {
	u := undecidedBy(s, st.scoredTensor, false)
	f := fusing[T]{kept: make([]int64, len(st.models)), undecided: u}
	for m, w := range u.windows {
		threshold := st.models[m].ranking.threshold.Raw(st.rankScale(m))
		if w.open {
			threshold = scoring.Threshold{T: w.guess}
		}
		f.thresholds = append(f.thresholds, threshold)
	}
	for t := range sp.Tiles {
		s.Reset()
		clear(u.all)
		if err := st.tile(s, sp, t, &f); err != nil {
			return err
		}
		if len(u.at) > 0 {
			if err := sp.Later.Leave(sp, t, u.at); err != nil {
				return err
			}
		}
	}
	for m := range st.models {
		k := &st.models[m]
		k.kept.Add(f.kept[m])
		if u.windows[m].open {
			k.ranking.mu.Lock()
			k.ranking.quantile.AddInside(u.inside[m], st.rankScale(m), f.kept[m]-u.windows[m].guessed)
			k.ranking.mu.Unlock()
		}
	}
	return nil
}

// decidingStage fuses what was left, by the thresholds that are known now.
type decidingStage[T vec.Float] struct{ fuseStage[T] }

func newDecidingStage(x *scoredTensor) fuse.Stage {
	f := fuse.Finisher{Job: x.job, Policy: x.Nonfinite}
	if x.job.Wide {
		return &decidingStage[float64]{fuseStage[float64]{x, f}}
	}
	return &decidingStage[float32]{fuseStage[float32]{x, f}}
}

func (st *decidingStage[T]) Span(s *fuse.Scratch, sp *fuse.Span) error {
	u := undecidedBy(s, st.scoredTensor, true)
	f := fusing[T]{kept: make([]int64, len(st.models)), undecided: u}
	for m := range st.models {
		f.thresholds = append(f.thresholds, st.models[m].ranking.threshold.Raw(st.rankScale(m)))
	}
	for t := range sp.Tiles {
		s.Reset()
		clear(u.all)
		if err := st.tile(s, sp, t, &f); err != nil {
			return err
		}
		copy(sp.Changed[t.At/64:], u.all[:(t.Len()+63)/64])
	}
	for m, w := range u.windows {
		if w.open { // others' elements were counted when they were left
			st.models[m].kept.Add(f.kept[m] - w.guessed)
		}
	}
	return nil
}
