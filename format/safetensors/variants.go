package safetensors

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"weld/format"
)

// A folder may hold the same weights several times. Variants have a word in their names: model.fp16.safetensors and
// diffusion_pytorch_model.non_ema.safetensors, with shards and indexes of their own (the argument variant of from_pretrained).

// wellKnown is the name of a file with weights, or of an index, that the Hub's tools have given it.
var wellKnown = regexp.MustCompile(`^(model|diffusion_pytorch_model)(-\d+-of-\d+)?(?:\.(\w+))?(-\d+-of-\d+)?\.safetensors(?:\.index(?:\.(\w+))?\.json)?(?:\.zst)?$`)

// diffusersStem is what diffusers calls files with weights.
const diffusersStem = "diffusion_pytorch_model"

// variant takes such a name apart: what it is called, and which variant it is; "" for the one that is no variant.
func variant(name string) (stem, of string, ok bool) {
	m := wellKnown.FindStringSubmatch(name)
	if m == nil {
		return "", "", false
	}
	return m[1], m[3] + m[5], true
}

// foremost takes away the variants of what is there itself.
func foremost(indexes, files []string) ([]string, []string) {
	itself := make(map[string]bool)
	for _, name := range slices.Concat(indexes, files) {
		if stem, of, ok := variant(name); ok && of == "" {
			itself[stem] = true
		}
	}
	behind := func(name string) bool {
		stem, of, _ := variant(name)
		return of != "" && itself[stem]
	}
	return slices.DeleteFunc(slices.Clone(indexes), behind), slices.DeleteFunc(slices.Clone(files), behind)
}

// stem is what files of the choice are called, but for numbers, variant and ending.
func (c choice) stem() string {
	name := c.index
	if name == "" {
		name = c.shards[0]
	}
	if stem, _, ok := variant(name); ok {
		return stem
	}
	if _, of, ok := part(name); ok {
		return strings.TrimSuffix(of.before, "-")
	}
	name = indexName.ReplaceAllString(name, "")
	return regexp.MustCompile(`(?i)\.safetensors(\.zst)?$`).ReplaceAllString(name, "")
}

// leftOut says which weights are there beside those that are chosen.
func (c choice) leftOut(dir format.Folder) []string {
	rest := slices.DeleteFunc(c.others, func(name string) bool { return name == c.index || slices.Contains(c.shards, name) })
	if len(rest) == 0 {
		return nil
	}
	taken := c.index
	if taken == "" {
		taken = listed(c.shards, "and")
	}
	return []string{fmt.Sprintf("%s: the checkpoint is %s, and not %s, which is there as well", dir.Path(), taken, listed(rest, "or"))}
}
