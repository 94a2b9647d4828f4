package methods

import (
	"weld/scoring"
	"weld/stream/fuse"
	"weld/stream/fuse/selective"
	"weld/stream/recipe"
)

func init() {
	register(definition[staParams, staModel]{
		MethodSchema: recipe.MethodSchema{
			Name:    "sta",
			Own:     true,
			Summary: "selective task arithmetic: add what matters of each task vector, chosen by gradient importance",
			Source:  "arXiv 2411.16139",
			Formula: `θ = θ₀ + λ · Σ wₜ · mₜ ⊙ δₜ
mₜ = [sₜ ≥ T and sₜ > 0]
T is the k-th largest of the model's normalised scores s, k = ⌈density·n⌉; with
scope: tensor the k-th largest of the tensor's; or threshold
scores, with a from the importance file:
score: weight      |θₜ|·a
score: delta       |δₜ|·a
score: fisher      (|δₜ|·a)²
score: importance  a
score: magnitude   |δₜ|, without an importance file`,
			Base: recipe.Required, MinModels: 1,
			Presets: staPresets,
			Check:   checkSTA,
		},
		family:          selecting,
		defaults:        staDefaults,
		cases:           staCases,
		readsImportance: func(all *staParams) bool { return all.Score.NeedsImportance() },
		notes: func(all *staParams) []string {
			if all.Granularity == scoring.ByTensor && all.Normalization == scoring.ByMean {
				return []string{"granularity tensor with normalize_scores mean: every tensor's mean score is about 1, which ranks nothing; normalize_scores none compares whole tensors"}
			}
			return nil
		},
		merge: mergeSTA,
	})
}

// What sta does where a recipe is silent, and its presets. Nothing else says so: flags, help, weld methods, plans, summaries and the tables
// of docs/methods.md follow from here (go generate ./stream/fuse/methods).

// staDefaults hold where neither a recipe nor a preset says anything: the masked form that measured best untuned, on language models and on images
// (examples/language, examples/digits). Where several models keep an element it is a mean of them, so that the sum of many is not too long a step.
var staDefaults = map[string]string{
	"score": "delta", "normalize_scores": "mean", "scope": "model", "granularity": "element", "density": "0.2", "contrast": "false",
	"lambda": "1", "combine": "importance", "consensus": "none", "rescale": "none",
}

// staCases are defaults for some merges alone, by the number of models and whether they have importance files, in place of staDefaults.
var staCases = []defaultCase{{[]recipe.When{recipe.WithoutImportance}, map[string]string{"score": "magnitude"}}}

// staPresets set every key that decides what is kept and how it is put together: they stay what they are when defaults change.
var staPresets = map[string]map[string]string{"paper": staPaper, "weighted": staWeighted}

// staPaper is the form of arXiv 2411.16139: the highest fifth of each model's elements, added as they are.
var staPaper = map[string]string{
	"score": "weight", "normalize_scores": "mean", "scope": "model", "granularity": "element", "density": "0.2", "contrast": "false",
	"lambda": "1", "combine": "sum", "consensus": "none", "rescale": "none",
}

// staWeighted is the mean of the task vectors, each element weighted by its squared importance.
var staWeighted = map[string]string{
	"score": "fisher", "normalize_scores": "mean", "scope": "model", "granularity": "element", "density": "1", "contrast": "false",
	"lambda": "1", "combine": "importance", "consensus": "none", "rescale": "none",
}

type staParams struct {
	Lambda        float64               `key:"lambda" flags:"fixed" help:"scale of the merged task vector"`
	Score         scoring.Score         `key:"score" help:"formula of the importance score"`
	Normalization scoring.Normalization `key:"normalize_scores" help:"what a tensor's scores are divided by before they are compared"`
	Scope         scoring.Scope         `key:"scope" help:"rank over the whole model, or within each tensor"`
	Granularity   scoring.Granularity   `key:"granularity" help:"keep or drop single elements, rows, or whole tensors"`
	Combine       selective.Combine     `key:"combine" help:"how the kept task vectors become one"`
	Consensus     uint8                 `key:"consensus" choices:"none ties" help:"drop what is against the elected sign"`
	Rescale       selective.Rescale     `key:"rescale" help:"scale a masked task vector up for what it lost"`
	Contrast      bool                  `key:"contrast" flags:"fixed" help:"rank by the score over the mean of the other models' scores"`
	Missing       missingVector         `key:"missing_importance" choices:"error drop keep" help:"a tensor without importance: stop, leave its task vector out, or take it whole"`
	common
	Preset *uint8 `key:"preset" choices:"paper weighted" help:"paper: the form of the paper, a mask by |θ|·a and a plain sum, for the mean of |g| at the fine-tuned weights; weighted: no mask, each element weighted by its squared importance, for the mean of g² at the base weights"`
}

type staModel struct {
	Weight    float64  `key:"weight" default:"1" flags:"explicit fixed" help:"weight of the model; a negative one forgets its task"`
	Density   float64  `key:"density" min:"0" max:"1" flags:"fixed" help:"share of the model's elements to keep, those with the highest scores"`
	Threshold *float32 `key:"threshold" min:"0" max:"3.4e38" flags:"fixed" help:"keep scores of at least this, instead of a density"`
	informed
}

// electSigns is the consensus by signs.
const electSigns = 1

// missingVector is what becomes of a task vector without importance.
type missingVector uint8

const keepMissing missingVector = 2

// mergeSTA ranks over whole models; see [selective.Options].
func mergeSTA(s Setup, nonfinite fuse.Nonfinite, all *staParams, each []*staModel) fuse.Method {
	o := selective.Options{
		Score: all.Score, Normalization: all.Normalization, Scope: all.Scope, Granularity: all.Granularity,
		Combine: all.Combine, Rescale: all.Rescale, Consensus: all.Consensus == electSigns, Contrast: all.Contrast,
		KeepMissing: all.Missing == keepMissing, Lambda: all.Lambda, Nonfinite: nonfinite, TableBytes: s.TableBytes, Early: s.Early,
	}
	for t, m := range each {
		model := selective.TaskVector{Weight: m.Weight, Density: m.Density, Fixed: m.Threshold != nil, Statistic: s.Statistics[t]}
		if model.Fixed {
			model.Threshold = *m.Threshold
		}
		o.Models = append(o.Models, model)
	}
	return o.Method(s.Jobs)
}

// checkSTA finds contradictions between the keys of sta.
func checkSTA(r *recipe.Recipe, report func(recipe.Position, string)) {
	if r.Slices != nil {
		report(r.Slices[0].Where, "sta ranks over whole models, which slices and modules are not: merge first, and put layers or modules of the result together with passthrough")
		return
	}
	score, _ := scoring.ParseScore(r.Params.Text("score"))
	for _, m := range r.Models {
		if score.NeedsImportance() && !m.Params.Has("importance") {
			report(m.Where, "score "+score.String()+" needs an importance file: give one for "+m.Path+", or score magnitude, which ranks by the size of the update without one")
		}
		t, d := m.Params["threshold"], m.Params["density"]
		switch given := d.Where != (recipe.Position{}); {
		case !m.Params.Has("threshold"):
		case given && d.Where.OfModel == t.Where.OfModel:
			report(t.Where, "threshold and density exclude each other")
		case given && d.Where.OfModel: // what is said of the model wins over what is said of all
			delete(m.Params, "threshold")
		default:
			delete(m.Params, "density")
		}
	}
	if r.Params.Bool("contrast") && len(r.Models) < 2 {
		report(r.Params["contrast"].Where, "contrast compares a model's scores with the others': give at least two models")
	}
}
