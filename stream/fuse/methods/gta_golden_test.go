package methods

import (
	"maps"
	"math"
	"testing"
)

func TestGTAGolden(t *testing.T) {
	// with is parameters of a model: its weight, then pairs of keys and values.
	with := func(name string, weight float64, more Params) goldenModel {
		p := Params{"weight": weight, "density": 1, "gamma": 0.01, "epsilon": 0.15}
		maps.Copy(p, more)
		return goldenModel{name, p}
	}
	three := func(more Params) []goldenModel {
		return []goldenModel{with("a", 0.5, more), with("b", 0.3, more), with("c", 0.4, more)}
	}
	two := func(more Params) []goldenModel { return three(more)[:2] }
	for _, c := range []struct {
		method, name string
		models       []goldenModel
		shared       Params
	}{
		{"task_arithmetic", "task_arithmetic", []goldenModel{with("a", 0.6, nil), with("b", 0.3, nil), with("c", 0.8, nil)}, nil},
		{"task_arithmetic", "task_arithmetic-base-in-models", []goldenModel{with("a", 0.6, nil)}, nil},
		{"task_arithmetic", "task_arithmetic-lambda", []goldenModel{with("a", 0.6, nil), with("b", 0.3, nil)}, Params{"lambda": 0.7}},
		{"task_arithmetic", "task_arithmetic-negative", []goldenModel{with("a", 1, nil), with("b", -0.5, nil)}, nil},
		{"task_arithmetic", "task_arithmetic-normalize", []goldenModel{with("a", 0.6, nil), with("b", 0.9, nil)}, Params{"normalize": 1, "lambda": 1.5}},
		{"task_arithmetic", "task_arithmetic-weights-cancel", []goldenModel{with("a", 0.5, nil), with("b", -0.5, nil)}, Params{"normalize": 1}},
		{"ties", "ties", []goldenModel{with("a", 0.5, Params{"density": 0.5}), with("b", 0.3, Params{"density": 0.7}), with("c", 0.4, Params{"density": 0.2})}, nil},
		{"ties", "ties-dense", []goldenModel{with("a", 1, nil), with("b", 1, nil), with("c", 1, nil)}, nil},
		{"ties", "ties-density-under-one-element", []goldenModel{with("a", 1, Params{"density": 0.01}), with("b", 0.5, Params{"density": 0.01})}, nil},
		{"ties", "ties-density-zero", []goldenModel{with("a", 1, Params{"density": 0}), with("b", 0.5, Params{"density": 0.5})}, nil},
		{"ties", "ties-int8-mask", three(Params{"density": 0.5}), Params{"int8_mask": 1}},
		{"ties", "ties-lambda", []goldenModel{with("a", 0.5, Params{"density": 0.4}), with("b", 0.3, Params{"density": 0.4}), with("c", 1, Params{"density": 0.4})}, Params{"lambda": 1.3}},
		{"ties", "ties-negative", []goldenModel{with("a", 1, Params{"density": 0.6}), with("b", -0.5, Params{"density": 0.6}), with("c", 0.7, Params{"density": 0.6})}, nil},
		{"ties", "ties-rescale", two(Params{"density": 0.4}), Params{"rescale": 1}},
		{"ties", "ties-unnormalized", two(Params{"density": 0.4}), Params{"normalize": 0}},
		{"dare_linear", "dare_linear-dense", three(nil), nil},
		{"dare_ties", "dare_ties-dense", three(nil), nil},
		{"breadcrumbs", "breadcrumbs", three(Params{"density": 0.6, "gamma": 0.1}), nil},
		{"breadcrumbs", "breadcrumbs-density-and-gamma-over-one", two(Params{"density": 0.9, "gamma": 0.3}), nil},
		{"breadcrumbs", "breadcrumbs-gamma-under-one-element", two(Params{"density": 0.6, "gamma": 0.005}), nil},
		{"breadcrumbs", "breadcrumbs-per-model", []goldenModel{with("a", 0.5, Params{"density": 0.5, "gamma": 0.2}), with("b", 0.3, Params{"density": 0.8, "gamma": 0.1})}, Params{"rescale": 1, "lambda": 0.8}},
		{"breadcrumbs_ties", "breadcrumbs_ties", three(Params{"density": 0.6, "gamma": 0.1}), nil},
		{"breadcrumbs_ties", "breadcrumbs_ties-gamma-under-one-element", two(Params{"density": 0.6, "gamma": 0.005}), nil},
		{"breadcrumbs_ties", "breadcrumbs_ties-normalize", three(Params{"density": 0.6, "gamma": 0.1}), Params{"normalize": 1}},
		{"della", "della-all-or-nothing", []goldenModel{with("a", 0.5, nil), with("b", 0.3, Params{"density": 0})}, Params{"lambda": 1.2}},
		{"della", "della-dense", three(nil), nil},
		{"della_linear", "della_linear-dense", three(nil), nil},
	} {
		shared := Params{"lambda": 1}
		// What the base and a rescaled task vector leave of each other is as exact as they are.
		cancels := func(_ string, got, want float64) bool {
			return shared.Bool("rescale") && math.Abs(got-want) <= 3e-8
		}
		switch c.method {
		case "ties":
			shared["normalize"] = 1
		case "dare_linear", "dare_ties", "della_linear":
			shared["rescale"] = 1
		case "della":
			shared["rescale"], shared["normalize"] = 1, 1
		}
		maps.Copy(shared, c.shared)
		golden(t, c.method, c.name, "base", c.models, shared, 2e-6, cancels)
	}
}
