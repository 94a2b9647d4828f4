package selective

import (
	"slices"
	"sync/atomic"

	"weld/scoring"
	"weld/stream/fuse"
)

// contrastFloor keeps the contrast finite where no other model cares.
const contrastFloor = 0.1

// Method prepares the merge of the given jobs.
func (o Options) Method(of fuse.Jobs) fuse.Method {
	jobs := make([]fuse.Job, of.Len())
	for i := range jobs {
		jobs[i] = of.Job(i)
	}
	m := &merge{Options: o, jobs: jobs, tensors: make([]scoredTensor, len(jobs)), sampled: 8 * scoring.SampleSize, tabled: 1 << 19}
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

// merge is a merge in progress.
type merge struct {
	Options
	jobs    []fuse.Job
	tensors []scoredTensor
	ranking []*ranking   // for each model, over the whole model
	passes  []*fuse.Pass // still to come
	sampled int64        // elements of a model from which on its scores are sampled
	tabled  int64        // elements of a tensor from which on it is summed up and counted in one walk
	total   int64        // elements of all jobs
	settled atomic.Int64 // tensors of models that were summed up and counted in one walk
	early   bool         // an early pass comes next
	misses  int          // of early passes
}

// scoredTensor is what is known of one job.
type scoredTensor struct {
	*merge
	job       *fuse.Job
	models    []masking
	nonfinite atomic.Int64
}

// masking is what is known of one model's scores in one tensor.
type masking struct {
	role    role
	weight  float64
	scale   scoring.Scale
	known   bool // scale is: it was measured, or there is nothing to measure
	sketch  *scoring.Sketch
	table   *scoring.RawHistogram // counts scores while they are summed up
	waiting bool                  // the scores have yet to be counted, or have to be again
	mean    float32               // raw mean score, if tensors are kept or dropped whole
	rows    []float32             // raw mean scores of long rows, while a chain runs
	factors *factors              // of a matrix's importance, while a chain runs
	ranking *ranking              // decides the threshold
	ratio   float32               // of the rescaling
	kept    atomic.Int64
}

// role is the role of a model in a tensor.
type role uint8

const (
	ranked  role = iota // by its scores
	dropped             // no importance: contributes nothing
	whole               // no importance: taken as it is, with scores of 1
)

func (x *scoredTensor) init(m *merge, job *fuse.Job) {
	x.merge, x.job, x.models = m, job, make([]masking, len(m.Models))
	for t := range x.models {
		k := &x.models[t]
		k.scale, k.ratio, k.weight = scoring.Identity, 1, m.Models[t].Weight
		if m.WeightOf != nil {
			k.weight = m.WeightOf(&job.Models[t])
		}
		k.known = m.Normalization == scoring.Raw && m.Granularity != scoring.ByTensor
		if o := m.Models[t]; m.Rescale == ByDensity && !o.Fixed && o.Density > 0 {
			k.ratio = float32(1 / o.Density)
		}
		if m.Score.NeedsImportance() && !job.Models[t].Importance {
			k.role = dropped
			if m.KeepMissing {
				k.role = whole
			}
			k.ratio = 1
		}
	}
}

// tables reports whether a tensor's scores may be counted while they are summed up. A small
// tensor is still in a cache when its scores are counted in a second walk.
func (m *merge) tables(job int) bool {
	return m.Scope == scoring.WholeModel && m.comparesRaw() && m.Normalization.Estimable() && m.jobs[job].Tiling.Elements() >= m.tabled
}

// mostlyTabled reports whether all but a tenth of the model is in such tensors. Of small ones a
// sample says too little: of a model that consists of them the sums come first.
func (m *merge) mostlyTabled() bool {
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
func (m *merge) comparesRaw() bool { return m.Granularity == scoring.ByElement && !m.Contrast }

// schedule lists the measuring passes over the whole model.
func (m *merge) schedule() {
	for i := range m.tensors {
		for t := range m.tensors[i].models {
			m.tensors[i].models[t].ranking = m.ranking[t]
		}
	}
	if m.Scope == scoring.WholeModel {
		m.scheduleWhole()
	}
	if m.Rescale == ByDensity && slices.ContainsFunc(m.Models, func(o TaskVector) bool { return o.Fixed }) {
		m.passes = append(m.passes, m.keptPass())
	}
}

// summarizes reports whether a tensor's scores must be summed up before any of
// them can be ranked.
func (m *merge) summarizes() bool {
	return m.Normalization != scoring.Raw || m.Granularity == scoring.ByTensor
}

// scheduleWhole lists the passes that find thresholds over whole models. Sums and counts share
// one, if a sample has said where to count.
func (m *merge) scheduleWhole() {
	open := slices.ContainsFunc(m.ranking, func(r *ranking) bool { return r.quantile != nil })
	sampled := open
	for t, r := range m.ranking {
		sampled = sampled && (r.quantile == nil || m.samples(t))
	}
	if !open {
		return // what scores are divided by is measured where they are used
	}
	early := sampled && m.fusesEarly()
	if m.summarizes() && !(early && m.Normalization.Estimable()) && !(sampled && m.mostlyTabled()) {
		m.passes = append(m.passes, &fuse.Pass{
			Name:  "score statistics",
			Reads: m.rawReads(),
			Chain: func(job int) []fuse.Stage { return []fuse.Stage{newStage(&m.tensors[job], summarize)} },
		})
	}
	if sampled {
		m.passes = append(m.passes, m.samplingPass(early))
	}
	if !early {
		m.passes = append(m.passes, m.countingPass("score histogram"))
	}
}

// countingPass shows every score to the quantiles; it repeats until they are found.
func (m *merge) countingPass(name string) *fuse.Pass {
	p := &fuse.Pass{Name: name, Reads: m.scoreReads()}
	p.Chain = func(job int) []fuse.Stage { return m.tensors[job].countingStages() }
	p.End = func() error {
		again := false
		for t := range m.ranking {
			again = m.ranking[t].advance() || again
		}
		if again {
			m.passes = append([]*fuse.Pass{m.countingPass("score histogram, fine")}, m.passes...)
		}
		return nil
	}
	return p
}

// countingStages sum up a tensor's scores, where that has not been done, and count them.
func (x *scoredTensor) countingStages() []fuse.Stage {
	for t := range x.models {
		x.models[t].waiting = true
	}
	return append(x.rankingStages(), newStage(x, count))
}

// keptPass counts what the thresholds keep, before anything is written.
func (m *merge) keptPass() *fuse.Pass {
	return &fuse.Pass{
		Name:  "kept elements",
		Reads: m.scoreReads(),
		Chain: func(job int) []fuse.Stage {
			return append(m.tensors[job].rankingStages(), newStage(&m.tensors[job], tally))
		},
		End: func() error {
			for t := range m.Models {
				var kept, elements int64
				for i := range m.tensors {
					if k := &m.tensors[i].models[t]; k.role == ranked {
						kept += k.kept.Load()
						elements += m.jobs[i].Tiling.Elements()
					}
				}
				for i := range m.tensors {
					k := &m.tensors[i].models[t]
					k.kept.Store(0) // the last pass counts again
					m.tensors[i].nonfinite.Store(0)
					if kept > 0 && m.Models[t].Fixed && k.role == ranked {
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
func (m *merge) Survey() *fuse.Pass {
	return &fuse.Pass{Name: "kept elements", Reads: m.scoreReads(), Chain: func(job int) []fuse.Stage {
		return append(m.tensors[job].rankingStages(), newStage(&m.tensors[job], tally))
	}}
}

// Expected implements [fuse.Method]: without a sample, a quantile takes two passes. An early pass is the last.
func (m *merge) Expected() int {
	for model, r := range m.ranking {
		if m.Scope == scoring.WholeModel && r.quantile != nil && !m.samples(model) {
			return len(m.passes) + 1
		}
	}
	return len(m.passes)
}

// Reads implements [fuse.Method].
func (m *merge) Reads() fuse.Reads {
	return fuse.Reads{Base: true, Models: true, Importance: m.Score.NeedsImportance() && m.Granularity != scoring.ByTensor}
}

// Next implements [fuse.Method].
func (m *merge) Next() *fuse.Pass {
	if len(m.passes) == 0 {
		return nil
	}
	p := m.passes[0]
	m.passes = m.passes[1:]
	return p
}

// Fuse implements [fuse.Method].
func (m *merge) Fuse(job int) []fuse.Stage {
	x := &m.tensors[job]
	chain := x.rankingStages()
	if m.Rescale == ByL1 {
		chain = append(chain, newStage(x, l1Norms))
	}
	return append(chain, newFuseStage(x))
}

// rankingStages measure what a tensor needs before its scores can be compared with
// its thresholds, as far as no pass over the model has done it.
func (x *scoredTensor) rankingStages() []fuse.Stage {
	if x.Scope == scoring.WholeModel {
		chain := x.firstStages()
		if x.unknown() {
			chain = append(chain, newStage(x, summarize))
		}
		return chain
	}
	var chain []fuse.Stage
	if x.summarizes() {
		chain = append(chain, newStage(x, summarize))
	}
	chain = append(chain, x.firstStages()...)
	open := false
	for t := range x.models {
		r := x.newRanking(t, x.job.Tiling.Elements())
		x.models[t].ranking, x.models[t].waiting = r, true
		open = open || r.quantile != nil && x.models[t].role == ranked
	}
	if open {
		chain = append(chain, newStage(x, count), newStage(x, count))
	}
	return chain
}

// unknown reports whether the tensor's scores of some model have not been summed up.
func (x *scoredTensor) unknown() bool {
	for t := range x.models {
		if k := &x.models[t]; k.role == ranked && !k.known {
			return true
		}
	}
	return false
}

// firstStages measure what scores are made of: rows that are longer than a tile, and the factors of matrices.
func (x *scoredTensor) firstStages() []fuse.Stage {
	if x.factored() {
		return x.factorStages()
	}
	if x.Granularity == scoring.ByRow && x.job.Tiling.LongRows() {
		return []fuse.Stage{newStage(x, sumRows)}
	}
	return nil
}

// forget lets go of what [scoredTensor.firstStages] measured.
func (x *scoredTensor) forget() {
	for m := range x.models {
		x.models[m].rows, x.models[m].factors = nil, nil
	}
}

// Results implements [fuse.Method].
func (m *merge) Results() []fuse.Result {
	results := make([]fuse.Result, len(m.jobs))
	for i := range m.tensors {
		x := &m.tensors[i]
		results[i].Nonfinite = x.nonfinite.Load()
		for t := range x.models {
			k := &x.models[t]
			sel := fuse.Selection{Kept: k.kept.Load(), Elements: m.jobs[i].Tiling.Elements(), Divisor: k.scale.Divisor, Global: m.Scope == scoring.WholeModel && k.role == ranked}
			if k.role == ranked && !k.ranking.threshold.All {
				sel.Threshold = k.ranking.threshold.T
			}
			results[i].Models = append(results[i].Models, sel)
		}
	}
	return results
}

// Cost implements [fuse.Method].
func (m *merge) Cost() fuse.Cost {
	models := int64(len(m.Models))
	tiles := 12 + 2*models // operands, scores and sums; task vectors under consensus
	if m.Consensus {
		tiles += 4 * models
	}
	scratch := tiles*fuse.TileElements*8 + scoring.CountsBytes
	for i := range m.tensors {
		scratch = max(scratch, tiles*fuse.TileElements*8+scoring.CountsBytes+m.tensors[i].sumsBytes())
	}
	if m.Options.Early {
		scratch += leftBytes + models*insideBytes
	}
	quantiles := models * scoring.QuantileBytes
	cost := fuse.Cost{
		Shared:  int64(len(m.jobs)) * (64 + models*112),
		Scratch: scratch,
		Job: func(job int) int64 {
			n := int64(1 << 10)
			if m.Granularity == scoring.ByRow && m.jobs[job].Tiling.LongRows() {
				n += models * m.jobs[job].Tiling.Rows() * 4
			}
			n += m.tensors[job].factorBytes()
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
