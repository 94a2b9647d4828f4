package stream

import (
	"slices"

	"weld/scoring"
	"weld/stream/fuse"
	"weld/stream/recipe"
)

// Schema lists the merge methods and their parameters: what recipes and flags may
// say. docs/methods.md has the formulas.
func Schema() recipe.Schema { return slices.Clone(schema) }

// Keys that several methods share.
var (
	weightKey = recipe.Any(recipe.Param{Key: "weight", PerModel: true, Kind: recipe.Number, Default: "1",
		Help: "weight of the model; a negative one forgets its task"})
	lambdaKey = recipe.Any(recipe.Param{Key: "lambda", Kind: recipe.Number, Default: "1",
		Help: "scale of the merged task vector"})
	nonfiniteKey = recipe.Param{Key: "nonfinite", Kind: recipe.Choice, Choices: nonfiniteNames, Default: "error",
		Help: "a result that is infinite or NaN: stop, let it pass, or take the base's value"}
)

var nonfiniteNames = []string{"error", "propagate", "base"}

func normalizeKey(def string) recipe.Param {
	return recipe.Param{Key: "normalize", Kind: recipe.Bool, Default: def, Help: "divide by the sum of the weights"}
}

func choice(key string, choices []string, help string) recipe.Param {
	return recipe.Param{Key: key, Kind: recipe.Choice, Choices: choices, Default: choices[0], Help: help}
}

var schema = recipe.Schema{
	{
		Name:    "sta",
		Summary: "selective task arithmetic: add what matters of each task vector, chosen by gradient importance",
		Source:  "arXiv 2411.16139",
		Base:    recipe.Required, MinModels: 1,
		Params: []recipe.Param{
			weightKey,
			{Key: "density", PerModel: true, Kind: recipe.Number, Min: 0, Max: 1, Default: "0.2",
				Help: "share of the model's elements to keep, those with the highest scores"},
			{Key: "threshold", PerModel: true, Kind: recipe.Number, Min: 0, Max: 3.4e38,
				Help: "keep scores of at least this, instead of a density"},
			{Key: "importance", PerModel: true, Kind: recipe.Path,
				Help: "checkpoint with the importance of each of the model's weights"},
			{Key: "statistic", PerModel: true, Kind: recipe.Choice, Choices: scoring.StatisticNames(),
				Help: "what the importance file holds; without it the file's own metadata decides, then " + scoring.MeanAbsGrad.String()},
			lambdaKey,
			choice("score", scoring.ScoreNames(), "formula of the importance score"),
			choice("normalize_scores", scoring.NormalizationNames(), "what a tensor's scores are divided by before they are compared"),
			choice("scope", scoring.ScopeNames(), "rank over the whole model, or within each tensor"),
			choice("granularity", scoring.GranularityNames(), "keep or drop single elements, rows, or whole tensors"),
			choice("combine", fuse.CombineNames, "how the kept task vectors become one"),
			choice("consensus", []string{"none", "ties"}, "drop what is against the elected sign"),
			choice("rescale", fuse.RescaleNames, "scale a masked task vector up for what it lost"),
			{Key: "contrast", Kind: recipe.Bool, Default: "false",
				Help: "rank by the score over the mean of the other models' scores"},
			choice("missing_importance", []string{"error", "drop", "keep"}, "a tensor without importance: stop, leave its task vector out, or take it whole"),
			nonfiniteKey,
			{Key: recipe.PresetKey, Kind: recipe.Choice, Choices: []string{"weighted"},
				Help: "weighted: no mask, each element weighted by its squared importance; for files that hold the mean of g² at the base weights"},
		},
		Presets: map[string]map[string]string{
			"weighted": {"combine": "importance", "score": "fisher", "density": "1", "lambda": "1"},
		},
		Check: checkSTA,
	},
	{
		Name:    "task_arithmetic",
		Summary: "add the task vectors, weighted, to the base",
		Source:  "arXiv 2212.04089",
		Base:    recipe.Required, MinModels: 1,
		Params: []recipe.Param{weightKey, lambdaKey, normalizeKey("false"), nonfiniteKey},
	},
	{
		Name:    "linear",
		Summary: "weighted average of the models",
		Source:  "arXiv 2203.05482",
		Base:    recipe.Optional, MinModels: 1,
		Params: []recipe.Param{weightKey, normalizeKey("true"), nonfiniteKey},
		Check:  checkLinear,
	},
	{
		Name:    "passthrough",
		Summary: "one model as it is, or scaled, or in another dtype",
		Base:    recipe.Optional, MinModels: 1, MaxModels: 1,
		Params: []recipe.Param{
			recipe.Any(recipe.Param{Key: "scale", PerModel: true, Kind: recipe.Number, Default: "1", Help: "factor of the weights"}),
			nonfiniteKey,
		},
	},
}

// checkSTA finds contradictions between the keys of sta.
func checkSTA(r *recipe.Recipe, report func(recipe.Place, string)) {
	score, _ := scoring.ParseScore(r.Params.Text("score"))
	for _, m := range r.Models {
		if score.NeedsImportance() && !m.Params.Has("importance") {
			report(m.Where, "score "+score.String()+" needs an importance file for "+m.Path+"; without one, score magnitude ranks by the size of the update")
		}
		t, d := m.Params["threshold"], m.Params["density"]
		switch given := d.Where != (recipe.Place{}); {
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

// checkLinear refuses a division by 0.
func checkLinear(r *recipe.Recipe, report func(recipe.Place, string)) {
	var sum float64
	for _, m := range r.Models {
		sum += m.Params.Number("weight")
	}
	if r.Params.Bool("normalize") && sum == 0 {
		report(r.Models[0].Where, "the weights add up to 0 and cannot be normalised; set normalize false")
	}
}

// newMethod makes the method that a plan's recipe asks for.
func newMethod(p *Plan, jobs []fuse.Job) fuse.Method {
	r := p.Recipe
	nonfinite := fuse.Nonfinite(slices.Index(nonfiniteNames, r.Params.Text("nonfinite")))
	if r.Method.Name == "sta" {
		return newSTA(p, nonfinite).Method(jobs)
	}
	l := fuse.Linear{
		Normalize: r.Params.Bool("normalize"),
		Deltas:    r.Method.Name == "task_arithmetic",
		Lambda:    r.Params.Number("lambda"),
		Nonfinite: nonfinite,
	}
	for _, m := range r.Models {
		l.Weights = append(l.Weights, m.Params.Number(weightOf(r)))
	}
	return l.Method(jobs)
}

// weightOf is the key that scales a model.
func weightOf(r *recipe.Recipe) string {
	if r.Method.Name == "passthrough" {
		return "scale"
	}
	return "weight"
}

// parsed is a value that the schema has checked already.
func parsed[T any](v T, err error) T {
	if err != nil {
		panic(err) // the schema's choices are the names that the parser knows
	}
	return v
}

func newSTA(p *Plan, nonfinite fuse.Nonfinite) fuse.STA {
	params := p.Recipe.Params
	sta := fuse.STA{
		Score:         parsed(scoring.ParseScore(params.Text("score"))),
		Normalization: parsed(scoring.ParseNormalization(params.Text("normalize_scores"))),
		Scope:         parsed(scoring.ParseScope(params.Text("scope"))),
		Granularity:   parsed(scoring.ParseGranularity(params.Text("granularity"))),
		Combine:       fuse.Combine(slices.Index(fuse.CombineNames, params.Text("combine"))),
		Rescale:       fuse.Rescale(slices.Index(fuse.RescaleNames, params.Text("rescale"))),
		Consensus:     params.Text("consensus") == "ties",
		Contrast:      params.Bool("contrast"),
		KeepMissing:   params.Text("missing_importance") == "keep",
		Lambda:        params.Number("lambda"),
		Nonfinite:     nonfinite,
		TableBytes:    p.Options.Memory / 12,
	}
	for t, m := range p.Recipe.Models {
		sta.Models = append(sta.Models, fuse.STAModel{
			Weight:    m.Params.Number("weight"),
			Density:   m.Params.Number("density"),
			Threshold: float32(m.Params.Number("threshold")),
			Fixed:     m.Params.Has("threshold"),
			Statistic: p.statistics[t],
		})
	}
	return sta
}
