package methods

import (
	"slices"

	"weld/stream/fuse"
	"weld/stream/recipe"
)

func init() {
	register(definition[layerParams, layerModel]{
		MethodSchema: recipe.MethodSchema{
			Name:    "fisher_arithmetic",
			Own:     true,
			Summary: "add the task vectors, each layer by the model's share of the Fisher sums",
			Source:  "after arXiv 2603.21705",
			Formula: `θ = θ₀ + λ · Σ wₜcₜδₜ
cₜ = n·Fₜ / Σ F over the n models; 1 where Σ F is 0
per: layer   Fₜ = Σ aₜ² over the tensor's layer, aₜ from the importance files;
             a tensor in no layer is one by itself
per: tensor  Fₜ = Σ aₜ² over the tensor
the paper has one task vector, and coefficients from F‖δ‖² by a logarithm and a
sigmoid: shares among several models are weld's`,
			Base: recipe.Required, MinModels: 2,
			Check:    checkFisherArithmetic,
			Unasking: true,
		},
		family:          arithmetic,
		readsImportance: func(*layerParams) bool { return true },
		merge:           mergeFisherArithmetic,
	})
}

type layerParams struct {
	Lambda  float64     `key:"lambda" default:"1" help:"scale of the merged task vector"`
	Per     uint8       `key:"per" choices:"layer tensor" help:"what has a coefficient of its own"`
	Missing missingPart `key:"missing_importance" choices:"error drop" help:"a tensor without importance: stop, or leave the model out of it"`
	common
}

// perTensor gives each tensor coefficients of its own.
const perTensor = 1

type layerModel struct {
	weighted
	informed
}

// mergeFisherArithmetic is task arithmetic (after arXiv 2603.21705) whose weights are those of the recipe, times what a pass over
// the importance finds.
func mergeFisherArithmetic(s Setup, nonfinite fuse.Nonfinite, all *layerParams, each []*layerModel) fuse.Method {
	sums := newFisherSums(s.Jobs, len(each), all.Per == perTensor)
	sums.strict = nonfinite == fuse.StopNonfinite
	plain := formula[arithmeticParams, weighted]{
		single: taskArithmetic[float32], double: taskArithmetic[float64], reads: fuse.Reads{Base: true, Models: true}, tiles: tiles(4),
	}
	return &fisherArithmetic{Method: plain.untyped().Method(sums, nonfinite), sums: sums}
}

// fisherArithmetic is such a merge in progress: of the jobs as its sums describe them.
type fisherArithmetic struct {
	fuse.Method
	sums *fisherSums
}

// Expected implements [fuse.Method].
func (m *fisherArithmetic) Expected() int { return 1 }

// Next implements [fuse.Method].
func (m *fisherArithmetic) Next() *fuse.Pass {
	if m.sums.begun {
		return nil
	}
	m.sums.begun = true
	return &fuse.Pass{Name: "Fisher sums", Reads: fuse.Reads{Importance: true}, Chain: m.sums.measure, End: m.sums.end}
}

// Cost implements [fuse.Method].
func (m *fisherArithmetic) Cost() fuse.Cost {
	c := m.Method.Cost()
	c.Shared += int64(len(m.sums.layer)*4 + (len(m.sums.tensors)+len(m.sums.layers))*8)
	return c
}

// fisherSums are a merge's jobs, with the sums Σ a² that decide about the models' weights.
type fisherSums struct {
	fuse.Jobs
	models  int
	strict  bool      // importance that is no number stops the run; else it counts as 0
	begun   bool      // the pass is
	layer   []int32   // of each job
	tensors []float64 // sums of each job and model
	layers  []float64 // sums of each layer and model
}

// newFisherSums counts the layers.
func newFisherSums(jobs fuse.Jobs, models int, perTensor bool) *fisherSums {
	n := jobs.Len()
	s := &fisherSums{Jobs: jobs, models: models, layer: make([]int32, n), tensors: make([]float64, n*models)}
	known, layers := make(map[string]int32), int32(0)
	for i := range n {
		name := jobs.Job(i).Layer
		at, there := known[name]
		if !there || name == "" || perTensor {
			at, layers = layers, layers+1
			known[name] = at
		}
		s.layer[i] = at
	}
	s.layers = make([]float64, int(layers)*models)
	return s
}

// Job implements [fuse.Jobs]: the tensor as task arithmetic merges it. Models that have no part in it are not there.
func (s *fisherSums) Job(i int) fuse.Job {
	j := s.Jobs.Job(i)
	taken, known := withImportance(&j)
	sums := s.layers[int(s.layer[i])*s.models:][:s.models]
	var total float64
	for _, m := range taken {
		total += sums[m]
	}
	j.Params = &arithmeticParams{Lambda: j.Params.(*layerParams).Lambda}
	j.Models = slices.Clone(j.Models)
	for m := range j.Models {
		c := &j.Models[m]
		w := c.Params.(*layerModel).weighted
		if known && total != 0 {
			w.Weight *= float64(len(taken)) * sums[m] / total
		}
		c.Params, c.Absent = &w, !slices.Contains(taken, m)
	}
	return j
}

// measure sums up a tensor's a².
func (s *fisherSums) measure(i int) []fuse.Stage {
	j := s.Jobs.Job(i)
	f := &fuse.Fusion{Job: &j}
	for m, c := range j.Models {
		if !c.Absent {
			f.Present = append(f.Present, m)
		}
	}
	models, known, err := takingPart(f, j.Params.(*layerParams).Missing)
	switch {
	case err != nil:
		return fuse.Fails(err)
	case !known:
		return nil
	}
	var bad error
	return []fuse.Stage{fuse.Measure(f, fuse.Reads{Importance: true},
		func(in fuse.Operands[float64]) fisherTile { return s.tile(in, models) },
		func(t fisherTile) {
			for k, sum := range t.sums {
				s.tensors[i*s.models+f.Present[models[k]]] += sum
			}
			if bad == nil {
				bad = t.bad
			}
		},
		func() error { return bad })}
}

// fisherTile is Σ a² of each model over one tile, and what is wrong with it.
type fisherTile struct {
	sums []float64
	bad  error
}

func (s *fisherSums) tile(in fuse.Operands[float64], models []int) (t fisherTile) {
	for _, k := range models {
		height := in.Scratch.Mark()
		var sum float64
		for i, v := range importanceScores(in, k, true) {
			switch {
			case v-v == 0:
				sum += v
			case s.strict && t.bad == nil:
				t.bad = &fuse.NonfiniteError{
					Tensor: in.Name, Index: in.Lo + int64(i), Whose: fuse.OfImportance, Model: in.Present[k], Score: true, Value: v, Held: in.Importance(k)[i],
				}
			}
		}
		t.sums = append(t.sums, sum)
		in.Scratch.Release(height)
	}
	return t
}

// end adds up tensors, in their order, to layers.
func (s *fisherSums) end() error {
	for i, x := range s.tensors {
		s.layers[int(s.layer[i/s.models])*s.models+i%s.models] += x
	}
	s.tensors = nil
	return nil
}

// checkFisherArithmetic demands an importance file of every model.
func checkFisherArithmetic(r *recipe.Recipe, report func(recipe.Position, string)) {
	demandImportance(r, report, "fisher_arithmetic shares each layer by importance")
}
