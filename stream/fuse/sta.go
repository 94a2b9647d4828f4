package fuse

import (
	"slices"
	"sync"
	"sync/atomic"

	"weld/scoring"
)

// STA is Selective Task Arithmetic (arXiv 2411.16139): every element of every task
// vector δₜ is scored, a threshold over the scores masks it, and what is left is
// added to the base:
//
//	θ = θ₀ + λ · Σₜ wₜ · mₜ ⊙ δₜ
//
// A negative weight forgets a task. docs/methods.md states each option's formula.
type STA struct {
	Score         scoring.Score
	Normalization scoring.Normalization
	Scope         scoring.Scope
	Granularity   scoring.Granularity
	Combine       Combine
	Rescale       Rescale
	Consensus     bool // TIES sign election
	Contrast      bool // rank by the score over the mean of the other models'
	KeepMissing   bool // take a task vector whole where its importance is missing
	Lambda        float64
	Nonfinite     Nonfinite
	Models        []STAModel
	// TableBytes is the memory that may go into counting the scores of a tensor while they
	// are summed up, which saves a walk over it; 0 to do without.
	TableBytes int64
}

// STAModel is what a recipe says of one model.
type STAModel struct {
	Weight    float64
	Density   float64           // share kept, in [0, 1]
	Threshold float32           // instead of Density, if Fixed
	Fixed     bool              // Threshold is given
	Statistic scoring.Statistic // of the importance file
}

// Combine says how the kept task vectors become one.
type Combine uint8

const (
	// Sum is Σ wδ.
	Sum Combine = iota
	// Mean divides by the number of models that keep the element.
	Mean
	// ByImportance is Σ (s·w)δ / Σ s over the models that keep the element.
	ByImportance
)

// CombineNames lists the names of the combinations, in order.
var CombineNames = []string{"sum", "mean", "importance"}

// Rescale says how a masked task vector is scaled up for what it lost.
type Rescale uint8

const (
	// NoRescale leaves it.
	NoRescale Rescale = iota
	// ByDensity divides by the density.
	ByDensity
	// ByL1 restores the tensor's sum of magnitudes.
	ByL1
)

// RescaleNames lists the names of the rescalings, in order.
var RescaleNames = []string{"none", "density", "l1"}

// contrastFloor keeps the contrast finite where no other model cares.
const contrastFloor = 0.1

// Method prepares the merge of the given jobs.
func (o STA) Method(of Jobs) Method {
	jobs := make([]Job, of.Len())
	for i := range jobs {
		jobs[i] = of.Job(i)
	}
	m := &sta{STA: o, jobs: jobs, tensors: make([]tensor, len(jobs)), sampled: 8 * scoring.SampleSize, tabled: 1 << 19}
	for i := range jobs {
		m.tensors[i].init(m, &jobs[i])
		m.total += jobs[i].Tiling.Elements()
	}
	for t := range o.Models {
		m.ranking = append(m.ranking, m.newRanking(t, m.elements(t)))
	}
	m.schedule()
	return m
}

// sta is a merge in progress.
type sta struct {
	STA
	jobs    []Job
	tensors []tensor
	ranking []*ranking   // for each model, over the whole model
	passes  []*Pass      // still to come
	sampled int64        // elements of a model from which on its scores are sampled
	tabled  int64        // elements of a tensor from which on it is summed up and counted in one walk
	total   int64        // elements of all jobs
	settled atomic.Int64 // tensors of models that were summed up and counted in one walk
}

// tensor is what is known of one job.
type tensor struct {
	*sta
	job    *Job
	models []masking
	odd    atomic.Int64
}

// masking is what is known of one model's scores in one tensor.
type masking struct {
	part    part
	scale   scoring.Scale
	known   bool // scale is: it was measured, or there is nothing to measure
	sketch  *scoring.Sketch
	table   *scoring.RawHistogram // counts scores while they are summed up
	waiting bool                  // the scores have yet to be counted, or have to be again
	mean    float32               // raw mean score, if tensors are kept or dropped whole
	rows    []float32             // raw mean scores of long rows, while a chain runs
	ranking *ranking              // decides the cut
	ratio   float32               // of the rescaling
	kept    atomic.Int64
}

// part is the role of a model in a tensor.
type part uint8

const (
	ranked  part = iota // by its scores
	dropped             // no importance: contributes nothing
	whole               // no importance: taken as it is, with scores of 1
)

// ranking finds one cut; a stage adds to it from several goroutines.
type ranking struct {
	elements int64
	cut      scoring.Threshold
	mu       sync.Mutex
	quantile *scoring.Quantile // nil where the cut is known
}

func (x *tensor) init(m *sta, job *Job) {
	x.sta, x.job, x.models = m, job, make([]masking, len(m.Models))
	for t := range x.models {
		k := &x.models[t]
		k.scale, k.ratio = scoring.Identity, 1
		k.known = m.Normalization == scoring.Raw
		if o := m.Models[t]; m.Rescale == ByDensity && !o.Fixed && o.Density > 0 {
			k.ratio = float32(1 / o.Density)
		}
		if m.Score.NeedsImportance() && !job.Models[t].Importance {
			k.part = dropped
			if m.KeepMissing {
				k.part = whole
			}
			k.ratio = 1
		}
	}
}

// elements counts what is ranked for a model.
func (m *sta) elements(model int) (n int64) {
	for i := range m.tensors {
		if m.tensors[i].models[model].part == ranked {
			n += m.jobs[i].Tiling.Elements()
		}
	}
	return n
}

// newRanking starts the search for a model's cut among n elements, or knows it.
func (m *sta) newRanking(model int, n int64) *ranking {
	o := m.Models[model]
	r := &ranking{elements: n}
	switch k := scoring.Rank(o.Density, n); {
	case o.Fixed:
		r.cut = scoring.Threshold{T: o.Threshold}
	case o.Density >= 1:
		r.cut = scoring.KeepAll
	case k == 0:
		r.cut = scoring.KeepNone
	default:
		r.quantile = scoring.NewQuantile(k)
	}
	return r
}

// samples reports whether a sample is to narrow the search for a model's cut: the search
// is over the whole model, and that is large enough.
func (m *sta) samples(model int) bool {
	r := m.ranking[model]
	return m.Scope == scoring.WholeModel && m.comparesRaw() && r.quantile != nil && r.elements >= m.sampled
}

// tables reports whether a tensor's scores may be counted while they are summed up. A small
// tensor is still in a cache when its scores are counted in a second walk.
func (m *sta) tables(job int) bool {
	return m.Scope == scoring.WholeModel && m.comparesRaw() && m.Normalization.Estimable() && m.jobs[job].Tiling.Elements() >= m.tabled
}

// mostlyTabled reports whether all but a tenth of the model is in such tensors. Of small ones a
// sample says too little: of a model that consists of them the sums come first.
func (m *sta) mostlyTabled() bool {
	var elements int64
	for job := range m.jobs {
		if m.tables(job) {
			elements += m.jobs[job].Tiling.Elements()
		}
	}
	return elements >= m.total-m.total/10
}

// comparesRaw reports whether an element's score alone, normalised, decides about it:
// then raw scores can be compared with bounds that are normalised backwards.
func (m *sta) comparesRaw() bool { return m.Granularity == scoring.ByElement && !m.Contrast }

// advance ends a counting pass; it reports whether the scores must be seen again.
func (r *ranking) advance() bool {
	if r.quantile == nil {
		return false
	}
	if r.quantile.Next() {
		return true
	}
	r.cut = scoring.Threshold{T: r.quantile.Value()}
	r.quantile = nil
	return false
}

// schedule lists the measuring passes over the whole model.
func (m *sta) schedule() {
	for i := range m.tensors {
		for t := range m.tensors[i].models {
			m.tensors[i].models[t].ranking = m.ranking[t]
		}
	}
	if m.Scope == scoring.WholeModel {
		m.scheduleWhole()
	}
	if m.Rescale == ByDensity && slices.ContainsFunc(m.Models, func(o STAModel) bool { return o.Fixed }) {
		m.passes = append(m.passes, m.keptPass())
	}
}

// summarizes reports whether a tensor's scores must be summed up before any of
// them can be ranked.
func (m *sta) summarizes() bool {
	return m.Normalization != scoring.Raw || m.Granularity == scoring.ByTensor
}

// scheduleWhole lists the passes that find cuts over whole models. Sums and counts share
// one, if a sample has said where to count.
func (m *sta) scheduleWhole() {
	open := slices.ContainsFunc(m.ranking, func(r *ranking) bool { return r.quantile != nil })
	sampled := open
	for t, r := range m.ranking {
		sampled = sampled && (r.quantile == nil || m.samples(t))
	}
	if m.summarizes() && !(sampled && m.mostlyTabled()) {
		m.passes = append(m.passes, &Pass{
			Name:  "score statistics",
			Reads: m.rawReads(),
			Chain: func(job int) []Stage { return []Stage{newStage(&m.tensors[job], summarize)} },
		})
	}
	if sampled {
		m.passes = append(m.passes, m.samplingPass())
	}
	if open {
		m.passes = append(m.passes, m.countingPass("score histogram"))
	}
}

// countingPass shows every score to the quantiles; it repeats until they are found.
func (m *sta) countingPass(name string) *Pass {
	p := &Pass{Name: name, Reads: m.scoreReads()}
	p.Chain = func(job int) []Stage { return m.tensors[job].countingStages() }
	p.End = func() error {
		again := false
		for t := range m.ranking {
			again = m.ranking[t].advance() || again
		}
		if again {
			m.passes = append([]*Pass{m.countingPass("score histogram, fine")}, m.passes...)
		}
		return nil
	}
	return p
}

// countingStages sum up a tensor's scores, where that has not been done, and count them.
func (x *tensor) countingStages() []Stage {
	chain := x.rowStages()
	known := true
	for t := range x.models {
		k := &x.models[t]
		k.waiting = true
		known = known && (k.known || k.part != ranked)
	}
	if !known {
		chain = append(chain, newStage(x, summarize))
	}
	return append(chain, newStage(x, count))
}

// keptPass counts what the cuts keep, before anything is written.
func (m *sta) keptPass() *Pass {
	return &Pass{
		Name:  "kept elements",
		Reads: m.scoreReads(),
		Chain: func(job int) []Stage {
			return append(m.tensors[job].rankingStages(), newStage(&m.tensors[job], tally))
		},
		End: func() error {
			for t := range m.Models {
				var kept, elements int64
				for i := range m.tensors {
					if k := &m.tensors[i].models[t]; k.part == ranked {
						kept += k.kept.Load()
						elements += m.jobs[i].Tiling.Elements()
					}
				}
				for i := range m.tensors {
					k := &m.tensors[i].models[t]
					k.kept.Store(0) // the last pass counts again
					m.tensors[i].odd.Store(0)
					if kept > 0 && m.Models[t].Fixed && k.part == ranked {
						k.ratio = float32(float64(elements) / float64(kept))
					}
				}
			}
			return nil
		},
	}
}

// Survey is the pass that counts what would be kept, for those who write nothing.
// It follows the passes of Next.
func (m *sta) Survey() *Pass {
	return &Pass{Name: "kept elements", Reads: m.scoreReads(), Chain: func(job int) []Stage {
		return append(m.tensors[job].rankingStages(), newStage(&m.tensors[job], tally))
	}}
}

// Expected implements [Method]: without a sample, a quantile takes two passes.
func (m *sta) Expected() int {
	for model, r := range m.ranking {
		if m.Scope == scoring.WholeModel && r.quantile != nil && !m.samples(model) {
			return len(m.passes) + 1
		}
	}
	return len(m.passes)
}

// Reads implements [Method].
func (m *sta) Reads() Reads {
	return Reads{Base: true, Models: true, Importance: m.Score.NeedsImportance() && m.Granularity != scoring.ByTensor}
}

// Next implements [Method].
func (m *sta) Next() *Pass {
	if len(m.passes) == 0 {
		return nil
	}
	p := m.passes[0]
	m.passes = m.passes[1:]
	return p
}

// Fuse implements [Method].
func (m *sta) Fuse(job int) []Stage {
	x := &m.tensors[job]
	chain := x.rankingStages()
	if m.Rescale == ByL1 {
		chain = append(chain, newStage(x, l1Norms))
	}
	return append(chain, newFuseStage(x))
}

// rankingStages measure what a tensor needs before its scores can be compared with
// its cuts, as far as no pass over the model has done it.
func (x *tensor) rankingStages() []Stage {
	if x.Scope == scoring.WholeModel {
		return x.rowStages()
	}
	var chain []Stage
	if x.summarizes() {
		chain = append(chain, newStage(x, summarize))
	}
	chain = append(chain, x.rowStages()...)
	open := false
	for t := range x.models {
		r := x.newRanking(t, x.job.Tiling.Elements())
		x.models[t].ranking, x.models[t].waiting = r, true
		open = open || r.quantile != nil && x.models[t].part == ranked
	}
	if open {
		chain = append(chain, newStage(x, count), newStage(x, count))
	}
	return chain
}

// rowStages measure the rows that are longer than a tile.
func (x *tensor) rowStages() []Stage {
	if x.Granularity == scoring.ByRow && x.job.Tiling.LongRows() {
		return []Stage{newStage(x, sumRows)}
	}
	return nil
}

// Results implements [Method].
func (m *sta) Results() []Result {
	results := make([]Result, len(m.jobs))
	for i := range m.tensors {
		x := &m.tensors[i]
		results[i].Nonfinite = x.odd.Load()
		for t := range x.models {
			k := &x.models[t]
			sel := Selection{Kept: k.kept.Load(), Elements: m.jobs[i].Tiling.Elements(), Divisor: k.scale.Divisor}
			if k.part == ranked && !k.ranking.cut.All {
				sel.Threshold = k.ranking.cut.T
			}
			results[i].Models = append(results[i].Models, sel)
		}
	}
	return results
}

// Cost implements [Method].
func (m *sta) Cost() Cost {
	models := int64(len(m.Models))
	tiles := 12 + 2*models // operands, scores and sums; task vectors under consensus
	if m.Consensus {
		tiles += 4 * models
	}
	quantiles := models * scoring.QuantileBytes
	cost := Cost{
		Shared:  int64(len(m.jobs)) * (64 + models*96),
		Scratch: tiles*TileElements*8 + scoring.CountsBytes,
		Job: func(job int) int64 {
			n := int64(1 << 10)
			if m.Granularity == scoring.ByRow && m.jobs[job].Tiling.LongRows() {
				n += models * m.jobs[job].Tiling.Rows() * 4
			}
			if m.Scope == scoring.PerTensor {
				n += quantiles
			}
			if m.tables(job) {
				n += m.TableBytes
			}
			return n
		},
	}
	if m.Scope == scoring.WholeModel {
		cost.Shared += models * max(scoring.BracketBytes, scoring.SampleBytes) // one gives way to the other
	}
	return cost
}
