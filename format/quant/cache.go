package quant

import (
	"slices"
	"strings"

	"weld/format"
)

// A key-value cache that is kept in eight bits has scales, one for each of keys and values of an attention, or one for each of its heads. They are
// found by running data through a model, and belong to no weight: a mean of two is the scale of neither cache. Sources of the names: compressed-tensors
// 0.20.1 (quantization/quant_metadata.py, lifecycle/initialize.py), ModelOpt's unified checkpoints, and vLLM's maybe_remap_kv_scale_name
// (model_loader/weight_utils.py), which has those of AutoFP8 and Quark, too.

// cacheParameters are what they are called in their module.
var cacheParameters = []string{
	"k_scale", "v_scale", "q_scale", "kv_scale", "prob_scale", "prob_output_scale",
	"k_zero_point", "v_zero_point", "q_zero_point", "k_global_scale", "v_global_scale", "q_global_scale",
}

// cacheModules are modules whose output goes into the cache: there, output_scale is of it.
var cacheModules = []string{"k_proj", "v_proj", "q_proj", "kv_proj", "qkv_proj"}

// cacheDeclarations are the keys of configurations that say that there is such a cache.
var cacheDeclarations = []string{"kv_cache_scheme", "kv_cache_quant_algo"}

// mostCacheScales bounds the scales of one cache: more than any model has heads.
const mostCacheScales = 1 << 16

// findCache finds what is of a key-value cache among the tensors that no weight has. Where no cache is declared, and values are coded, a single number under
// such a name is of one: servers take it for that. Several may be learnt, as scales of normalised queries and keys are.
func (s *search) findCache() (list []int) {
	most := int64(0)
	switch {
	case slices.ContainsFunc(cacheDeclarations, s.declares):
		most = mostCacheScales
	case len(s.weights) > 0:
		most = 1
	}
	for i, t := range s.Tensors() {
		if !s.taken[i] && isCacheParameter(t) && t.Elements() <= most {
			list = append(list, i)
		}
	}
	return list
}

// declares reports whether a key of what is declared has a value.
func (s *search) declares(key string) bool {
	var of any
	return s.declared(key, &of) && of != nil
}

// isCacheParameter reports whether a tensor has the name and a type of what is of a cache.
func isCacheParameter(t format.Tensor) bool {
	parts := strings.Split(t.Name, ".")
	name := parts[len(parts)-1]
	if !t.DType.Computable() && !strings.HasSuffix(name, "_zero_point") {
		return false
	}
	if name == "output_scale" && len(parts) > 1 {
		return slices.Contains(cacheModules, parts[len(parts)-2])
	}
	return slices.Contains(cacheParameters, name)
}
