package stream

import (
	"fmt"
	"os"
	"slices"

	"weld/scoring"
	"weld/stream/fuse"
	"weld/stream/plan"
	"weld/stream/recipe"
)

// Schema lists the merge methods and their parameters: what recipes and flags may
// say. docs/methods.md has the formulas.
func Schema() recipe.Schema {
	all := slices.Clone(schema)
	for i := range all {
		all[i].Params = append(slices.Clip(all[i].Params), plan.Missing)
	}
	return all
}

// Recipes reads recipes by the [Schema], beside the paths that are there.
func Recipes() recipe.Parser {
	return recipe.Parser{Schema: Schema(), Exists: func(path string) bool {
		_, err := os.Lstat(path)
		return err == nil
	}}
}

// Keys that several methods share.
var (
	weightKey = recipe.Any(recipe.Param{Key: "weight", PerModel: true, Kind: recipe.Number, Default: "1", Explicit: true,
		Help: "weight of the model; a negative one forgets its task"})
	lambdaKey = recipe.Any(recipe.Param{Key: "lambda", Kind: recipe.Number, Default: "1",
		Help: "scale of the merged task vector"})
	nonfiniteKey = recipe.Param{Key: "nonfinite", Kind: recipe.Choice, Choices: nonfiniteNames, Default: "error",
		Help: "a result that is infinite or NaN: stop, let it pass, or take the base's value"}
)

// Keys of single methods and families.
var (
	importanceKey = recipe.Param{Key: "importance", PerModel: true, Kind: recipe.Path,
		Help: "checkpoint with the importance of each of the model's weights"}
	statisticKey = recipe.Param{Key: "statistic", PerModel: true, Kind: recipe.Choice, Choices: scoring.StatisticNames(),
		Help: "what the importance file holds; without it the file's own metadata decides, then " + scoring.MeanAbsGrad.String()}
	densityKey = recipe.Param{Key: "density", PerModel: true, Kind: recipe.Number, Min: 0, Max: 1, Default: "1",
		Help: "share of a task vector's elements to keep"}
	gammaKey = recipe.Param{Key: "gamma", PerModel: true, Kind: recipe.Number, Min: 0, Max: 1, Default: "0.01",
		Help: "share of a task vector's largest elements to drop"}
	epsilonKey = recipe.Param{Key: "epsilon", PerModel: true, Kind: recipe.Number, Min: 0, Max: 1, Default: "0.15",
		Help: "how far the probability of keeping an element lies from density, at most"}
	ramEpsilonKey = recipe.Param{Key: "epsilon", Kind: recipe.Number, Min: 0, Max: 1e6, Default: "1e-5",
		Help: "size up to which an update counts as none"}
	seedKey     = recipe.Param{Key: "seed", Kind: recipe.Number, Min: 0, Max: 1 << 53, Integer: true, Fixed: true, Default: "0", Help: "of the random masks"}
	int8MaskKey = boolKey("int8_mask", "false", "has no effect; mergekit's choice of a type for masks")
)

func boolKey(key, def, help string) recipe.Param {
	return recipe.Param{Key: key, Kind: recipe.Bool, Default: def, Help: help}
}

// fixed is a key whose value holds for all tensors: rankings go over the whole model.
func fixed(p recipe.Param) recipe.Param {
	p.Fixed = true
	return p
}

func rescaleKey(def string) recipe.Param {
	return boolKey("rescale", def, "scale a masked task vector up to the sum of magnitudes that it had")
}

func tKey(help string) recipe.Param {
	return recipe.Any(recipe.Param{Key: "t", Kind: recipe.Number, Required: true, Help: help})
}

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
		Own:     true,
		Summary: "selective task arithmetic: add what matters of each task vector, chosen by gradient importance",
		Source:  "arXiv 2411.16139",
		Base:    recipe.Required, MinModels: 1,
		Params: []recipe.Param{
			fixed(weightKey),
			{Key: "density", PerModel: true, Kind: recipe.Number, Min: 0, Max: 1, Default: "0.2", Fixed: true,
				Help: "share of the model's elements to keep, those with the highest scores"},
			{Key: "threshold", PerModel: true, Kind: recipe.Number, Min: 0, Max: 3.4e38, Fixed: true,
				Help: "keep scores of at least this, instead of a density"},
			importanceKey, statisticKey, fixed(lambdaKey),
			choice("score", scoring.ScoreNames(), "formula of the importance score"),
			choice("normalize_scores", scoring.NormalizationNames(), "what a tensor's scores are divided by before they are compared"),
			choice("scope", scoring.ScopeNames(), "rank over the whole model, or within each tensor"),
			choice("granularity", scoring.GranularityNames(), "keep or drop single elements, rows, or whole tensors"),
			choice("combine", fuse.CombineNames, "how the kept task vectors become one"),
			choice("consensus", []string{"none", "ties"}, "drop what is against the elected sign"),
			choice("rescale", fuse.RescaleNames, "scale a masked task vector up for what it lost"),
			{Key: "contrast", Kind: recipe.Bool, Default: "false", Fixed: true,
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
	taskArithmetic("task_arithmetic", "add the task vectors, weighted, to the base", "arXiv 2212.04089", "false"),
	taskArithmetic("ties", "trim task vectors to their largest elements, elect signs, merge what agrees", "arXiv 2306.01708", "true", densityKey, rescaleKey("false")),
	taskArithmetic("dare_linear", "drop elements of task vectors at random and scale up the rest", "arXiv 2311.03099", "false", densityKey, rescaleKey("true"), seedKey),
	taskArithmetic("dare_ties", "drop elements of task vectors at random, scale up the rest, and elect signs", "arXiv 2311.03099", "false", densityKey, rescaleKey("true"), seedKey),
	taskArithmetic("breadcrumbs", "drop the largest and the smallest elements of task vectors", "arXiv 2312.06795", "false", densityKey, gammaKey, rescaleKey("false")),
	taskArithmetic("breadcrumbs_ties", "drop the largest and the smallest elements of task vectors, and elect signs", "arXiv 2312.06795", "false", densityKey, gammaKey, rescaleKey("false")),
	taskArithmetic("della", "drop small elements of task vectors more often than large ones, and elect signs", "arXiv 2406.11617", "true", densityKey, epsilonKey, rescaleKey("true"), seedKey),
	taskArithmetic("della_linear", "drop small elements of task vectors more often than large ones", "arXiv 2406.11617", "false", densityKey, epsilonKey, rescaleKey("true"), seedKey),
	{
		Name:    "sce",
		Summary: "select elements by their variance over models, weigh models by their energy, erase what is against the elected sign",
		Source:  "arXiv 2408.07990",
		Base:    recipe.Required, MinModels: 1,
		Params: []recipe.Param{
			{Key: "select_topk", Kind: recipe.Number, Min: 0, Max: 1, Default: "1", Help: "share of the elements that differ to keep, those with the largest variance"},
			int8MaskKey, nonfiniteKey,
		},
	},
	{
		Name:    "linear",
		Summary: "weighted average of the models",
		Source:  "arXiv 2203.05482",
		Base:    recipe.Optional, BaseIs: recipe.BaseModel, MinModels: 1,
		Params: []recipe.Param{weightKey, normalizeKey("true"), nonfiniteKey},
		Check:  checkLinear,
	},
	{
		Name:    "slerp",
		Summary: "on the great circle between two models",
		Source:  "Shoemake 1985",
		Base:    recipe.Required, BaseIs: recipe.BaseFirst, MinModels: 2, MaxModels: 2,
		Params: []recipe.Param{tKey("0 gives the base, 1 the other model"), nonfiniteKey},
	},
	{
		Name:    "nuslerp",
		Summary: "on the great circle between two models, or their task vectors, by their weights",
		Source:  "Shoemake 1985",
		Base:    recipe.Optional, MinModels: 2, MaxModels: 2,
		Params: []recipe.Param{
			weightKey,
			boolKey("nuslerp_flatten", "true", "a tensor is one vector; else its rows are vectors"),
			boolKey("nuslerp_row_wise", "false", "columns are vectors, with nuslerp_flatten false (mergekit's name for it)"),
			nonfiniteKey,
		},
	},
	{
		Name:    "multislerp",
		Summary: "the weighted mean on the sphere, to first order, of any number of models or task vectors",
		Source:  "https://goddard.blog/posts/multislerp-wow-what-a-cool-idea/",
		Base:    recipe.Optional, MinModels: 1,
		Params: []recipe.Param{
			weightKey,
			boolKey("normalize_weights", "true", "divide the weights by their sum"),
			{Key: "eps", Kind: recipe.Number, Min: 0, Max: 1, Default: "1e-8", Help: "norm below which a vector counts as 0"},
			nonfiniteKey,
		},
	},
	{
		Name:    "karcher",
		Summary: "the mean of the models on the sphere, found by iteration",
		Source:  "arXiv 2603.04972",
		Base:    recipe.Optional, BaseIs: recipe.BaseModel, MinModels: 1,
		Params: []recipe.Param{
			{Key: "max_iter", Kind: recipe.Number, Min: 0, Max: 1e6, Integer: true, Default: "10", Help: "iterations at most"},
			{Key: "tol", Kind: recipe.Number, Min: 0, Max: 1, Default: "1e-5", Help: "length of a step below which the iteration ends"},
			nonfiniteKey,
		},
	},
	{
		Name:    "model_stock",
		Summary: "between the base and the mean of the models, by the angles between their task vectors",
		Source:  "arXiv 2403.19522",
		Base:    recipe.Required, MinModels: 2,
		Params: []recipe.Param{boolKey("filter_wise", "false", "for each row by itself"), nonfiniteKey},
	},
	{
		Name:    "nearswap",
		Summary: "swap in the other model's element where it is near the base's",
		Source:  "https://huggingface.co/alchemonaut/QuartetAnemoi-70B-t0.0001",
		Base:    recipe.Required, MinModels: 1, MaxModels: 1,
		Params: []recipe.Param{tKey("distance up to which elements are swapped whole"), nonfiniteKey},
	},
	{
		Name:    "arcee_fusion",
		Summary: "take the updates that matter most, by size and by what they do to the rows' distributions",
		Source:  "https://www.arcee.ai/blog/meet-mergekit-v0-1-arcee-fusion-expanded-model-support-multi-gpu-acceleration",
		Base:    recipe.Required, MinModels: 1, MaxModels: 1,
		Params: []recipe.Param{nonfiniteKey},
	},
	{
		Name:    "ram",
		Summary: "add updates that only one model makes as they are, and the mean of those that several make",
		Source:  "arXiv 2601.13572",
		Base:    recipe.Required, MinModels: 1,
		Params: []recipe.Param{ramEpsilonKey, nonfiniteKey},
	},
	{
		Name:    "ramplus_tl",
		Summary: "ram, with updates that only one model makes scaled up by how much it shares",
		Source:  "arXiv 2601.13572",
		Base:    recipe.Required, MinModels: 1,
		Params: []recipe.Param{
			ramEpsilonKey,
			{Key: "r", Kind: recipe.Number, Min: 0, Max: 1e6, Default: "0.1", Help: "how much the scale grows with the share"},
			{Key: "alpha", Kind: recipe.Number, Min: 0, Max: 1e6, Default: "0.2", Help: "share at which it stops growing"},
			nonfiniteKey,
		},
	},
	{
		Name:    "fisher",
		Own:     true,
		Summary: "average of the models, each element weighted by its squared importance",
		Source:  "arXiv 2111.09832",
		Base:    recipe.Optional, BaseIs: recipe.BaseDonor, MinModels: 1,
		Params: []recipe.Param{
			weightKey, importanceKey, statisticKey,
			choice("missing_importance", []string{"error", "drop"}, "a tensor without importance: stop, or leave the model out of it"),
			nonfiniteKey,
		},
		Check: checkFisher,
	},
	{
		Name:    "passthrough",
		Summary: "one model as it is, or scaled, or in another dtype; with slices, layers of several",
		Base:    recipe.Optional, BaseIs: recipe.BaseDonor, MinModels: 1, MaxModels: 1,
		Params: []recipe.Param{
			recipe.Any(recipe.Param{Key: "scale", PerModel: true, Kind: recipe.Number, Default: "1", Help: "factor of the weights"}),
			nonfiniteKey,
		},
	},
}

// taskArithmetic is a method of generalised task arithmetic (DESIGN.md, section 4).
func taskArithmetic(name, summary, source, normalize string, more ...recipe.Param) recipe.Method {
	return recipe.Method{
		Name: name, Summary: summary, Source: source, Base: recipe.Required, MinModels: 1,
		Params: append([]recipe.Param{weightKey, lambdaKey, normalizeKey(normalize), int8MaskKey, nonfiniteKey}, more...),
		Check:  checkDella,
	}
}

// checkDella refuses probabilities outside of 0 to 1.
func checkDella(r *recipe.Recipe, report func(recipe.Position, string)) {
	for _, m := range r.Models {
		e, d := m.Params["epsilon"], m.Params["density"]
		if e.Where == (recipe.Position{}) && d.Where == (recipe.Position{}) || !m.Params.Has("epsilon") || d.Varies || e.Varies || d.Number <= 0 || d.Number >= 1 {
			continue
		}
		if d.Number+e.Number >= 1 || d.Number-e.Number <= 0 {
			where := e.Where
			if where == (recipe.Position{}) {
				where = d.Where
			}
			report(where, fmt.Sprintf("density %g and epsilon %g: elements are kept with probabilities from density - epsilon to density + epsilon, which have to lie between 0 and 1", d.Number, e.Number))
		}
	}
}

// checkFisher demands an importance file of every model, and weights to divide by.
func checkFisher(r *recipe.Recipe, report func(recipe.Position, string)) {
	var weights float64
	for _, m := range r.Models {
		weights += m.Params.Number("weight")
	}
	if weights == 0 {
		report(r.Models[0].Where, "the weights add up to 0, and where no model has importance there is nothing to divide by")
	}
	for _, m := range r.Models {
		if !m.Params.Has("importance") {
			report(m.Where, "fisher weighs each element by its importance: give an importance file for "+m.Path)
		}
	}
}

// checkSTA finds contradictions between the keys of sta.
func checkSTA(r *recipe.Recipe, report func(recipe.Position, string)) {
	if r.Slices != nil {
		report(r.Slices[0].Where, "sta ranks over whole models, which slices and modules are not: merge first, and put layers or modules of the result together with passthrough")
	}
	score, _ := scoring.ParseScore(r.Params.Text("score"))
	for _, m := range r.Models {
		if score.NeedsImportance() && !m.Params.Has("importance") {
			report(m.Where, "score "+score.String()+" needs an importance file for "+m.Path+"; without one, score magnitude ranks by the size of the update")
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

// checkLinear refuses a division by 0: where no filter matches, in the first layer of each slice.
func checkLinear(r *recipe.Recipe, report func(recipe.Position, string)) {
	for slice := range max(1, len(r.Slices)) {
		where := r.Models[0].Where
		if r.Slices != nil {
			where = r.Slices[slice].Where
		}
		shared, models := r.At(recipe.TensorRef{Slice: slice})
		var sum float64
		for _, own := range models {
			sum += own.Number("weight")
		}
		if shared.Bool("normalize") && sum == 0 {
			report(where, "the weights add up to 0 and cannot be normalised; set normalize false")
		}
	}
}
