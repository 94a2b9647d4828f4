package methods

import (
	"weld/internal/vec"
	"weld/scoring"
	"weld/stream/fuse"
	"weld/stream/recipe"
)

// formula is a method that merges each tensor by itself; see [fuse.Formula].
type formula[All, Each any] struct {
	single func(*fused[All, Each]) []fuse.Stage
	double func(*fused[All, Each]) []fuse.Stage
	reads  fuse.Reads
	tiles  func(models int) int
	state  func(*fuse.Job, *All) int64
	rows   func(*fuse.Job) int64
}

// fused is one tensor while a formula merges it, with the values of the method's parameters for it.
type fused[All, Each any] struct {
	*fuse.Fusion
	all  *All
	each []*Each // of the models that have the tensor
}

// none are no parameters.
type none struct{}

// untyped is the formula as the engine has it.
func (f formula[All, Each]) untyped() fuse.Formula {
	typed := func(stages func(*fused[All, Each]) []fuse.Stage) func(*fuse.Fusion) []fuse.Stage {
		return func(u *fuse.Fusion) []fuse.Stage {
			t := &fused[All, Each]{Fusion: u, all: u.Params.(*All), each: make([]*Each, u.Count())}
			for k, m := range u.Present {
				t.each[k] = u.Models[m].Params.(*Each)
			}
			return stages(t)
		}
	}
	u := fuse.Formula{Single: typed(f.single), Double: typed(f.double), Reads: f.reads, Tiles: f.tiles, Rows: f.rows}
	if f.state != nil {
		u.State = func(j *fuse.Job) int64 { return f.state(j, j.Params.(*All)) }
	}
	return u
}

// tiles is a number of tiles that does not depend on the models.
func tiles(n int) func(models int) int { return func(int) int { return n } }

// weighted is the weight of a model.
type weighted struct {
	Weight float64 `key:"weight" default:"1" flags:"explicit" help:"weight of the model; a negative one forgets its task"`
}

func (w weighted) weight() float64 { return w.Weight }

// weights are those of the models that have the tensor.
func weights[E interface{ weight() float64 }](each []*E) []float64 {
	w := make([]float64, len(each))
	for k, e := range each {
		w[k] = (*e).weight()
	}
	return w
}

// informed is a model's importance file. The plan opens it, and says what it holds of each tensor: [fuse.Contribution].
type informed struct {
	Importance string             `key:"importance" help:"checkpoint with the importance of each of the model's weights"`
	Statistic  *scoring.Statistic `key:"statistic" help:"what the importance file holds; without it the file's own metadata decides, then mean_abs_grad"`
}

// demandImportance reports the models without an importance file, which a method that does this to them needs.
func demandImportance(r *recipe.Recipe, report func(recipe.Position, string), does string) {
	for _, m := range r.Models {
		if !m.Params.Has("importance") {
			report(m.Where, does+": give an importance file for "+m.Path)
		}
	}
}

// demandWeight reports a recipe whose models all have the weight 0, with what comes of that.
func demandWeight(r *recipe.Recipe, report func(recipe.Position, string), result string) {
	for _, m := range r.Models {
		if w := m.Params["weight"]; w.Number != 0 || w.Varies {
			return
		}
	}
	if len(r.Models) > 0 {
		report(r.Models[0].Where, "all weights are 0, and "+result)
	}
}

// outputType is a difference of methods whose output mergekit writes in float32.
var outputType = Deviation{"output-dtype", "the output has the base's type, where mergekit writes float32",
	func(r *recipe.Recipe) bool { return r.OutDType == 0 }}

// alone is the stage for the tensor of one model, which stays as it is.
func alone[T vec.Float](f *fuse.Fusion) []fuse.Stage {
	f.Narrow(false)
	return []fuse.Stage{fuse.Produce(f, func(in fuse.Operands[T]) []T { return in.Theta(0) })}
}

// baseStays is the stage for a tensor to which no model adds anything.
func baseStays[T vec.Float](f *fuse.Fusion) []fuse.Stage {
	f.Narrow(true)
	return []fuse.Stage{fuse.Produce(f, fuse.Operands[T].Base)}
}

func sum(w []float64) (s float64) {
	for _, x := range w {
		s += x
	}
	return s
}

// rounded are numbers in the type that a tensor is merged in.
func rounded[T vec.Float](w []float64) []T {
	r := make([]T, len(w))
	for i, x := range w {
		r[i] = T(x)
	}
	return r
}

func divide[T vec.Float](x []T, by T) {
	if by != 1 {
		vec.Div(x, x, by)
	}
}
