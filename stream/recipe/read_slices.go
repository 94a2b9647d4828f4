package recipe

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"weld/internal/spelling"
)

// maxLayer is beyond any model's layers, and far from what overflows.
const maxLayer = 1 << 20

// readSlices reads the list of slices; faulty if there is none.
func (r *resolver) readSlices(n *yaml.Node) (all []DraftSlice, faulty bool) {
	if n.Kind != yaml.SequenceNode {
		r.report(Position{Line: n.Line}, "slices is a list: - sources: [{model: PATH, layer_range: [0, 8]}]")
		return nil, true
	}
	for _, item := range n.Content {
		if !r.spend(item) {
			break
		}
		all = append(all, r.readSlice(item))
	}
	return all, false
}

func (r *resolver) readSlice(n *yaml.Node) DraftSlice {
	s := DraftSlice{Where: Position{Line: n.Line}}
	before := len(r.problems)
	ok := r.mapping(n, "a slice", func(key string, where Position, value *yaml.Node) {
		switch key {
		case "sources":
			s.Sources = r.readSources(value)
		case "base_model":
			s.Base = r.optional(key, value, r.referenceNode)
		case "parameters":
			s.Params = r.settings(value)
		default:
			if r.passed(key, where, "residual_weight", "merge_method", "name", "dtype") {
				return
			}
			keys := []string{"sources", "base_model", "parameters"}
			r.report(where, "unknown key %q of a slice%s: %s", key, spelling.Hint(key, keys), choose(keys))
		}
	})
	if ok && len(s.Sources) == 0 && len(r.problems) == before {
		r.report(s.Where, "a slice without sources: sources: [{model: PATH, layer_range: [0, 8]}]")
	}
	return s
}

func (r *resolver) readSources(n *yaml.Node) (all []DraftSource) {
	if n = r.follow(n); n.Kind != yaml.SequenceNode {
		r.report(Position{Line: n.Line}, "sources is a list: - {model: PATH, layer_range: [0, 8]}")
		return nil
	}
	for _, item := range n.Content {
		if !r.spend(item) {
			break
		}
		all = append(all, r.readSource(item))
	}
	return all
}

func (r *resolver) readSource(n *yaml.Node) DraftSource {
	var s DraftSource
	s.Path = Setting{Key: "model", Where: Position{Line: n.Line}}
	ranged := false
	ok := r.mapping(n, "a source", func(key string, where Position, value *yaml.Node) {
		switch key {
		case "model":
			s.Path = r.referenceNode(key, value)
		case "layer_range":
			s.First, s.Last = r.layerRange(value)
			ranged = true
		case "parameters":
			s.Params = r.settings(value)
		default:
			if r.passed(key, where, "revision", "name", "merge_method") {
				return
			}
			keys := []string{"model", "layer_range", "parameters"}
			r.report(where, "unknown key %q of a source%s: %s; everything else belongs under parameters", key, spelling.Hint(key, keys), choose(keys))
		}
	})
	if ok && !ranged {
		r.report(s.Path.Where, "a source without layer_range: [FIRST, LAST], LAST not included")
	}
	s.Path.faulty = s.Path.faulty || !ok
	return s
}

// layerRange reads [first, last); 0 and 0 if it is wrong, which is reported.
func (r *resolver) layerRange(n *yaml.Node) (first, last int) {
	n = r.follow(n)
	var ends []int
	for _, item := range n.Content {
		item = r.follow(item)
		if i, ok := whole(item.Value); ok && item.Kind == yaml.ScalarNode {
			ends = append(ends, i)
		}
	}
	if n.Kind != yaml.SequenceNode || len(n.Content) != 2 || len(ends) != 2 || ends[0] < 0 || ends[0] >= ends[1] || ends[1] > maxLayer {
		r.report(Position{Line: n.Line}, "layer_range is no range of layers: [FIRST, LAST], LAST not included, such as [0, 8] for the first eight")
		return 0, 0
	}
	return ends[0], ends[1]
}

// whole reads a whole number, which may be written as 4.0.
func whole(text string) (int, bool) {
	if integer, fraction, ok := strings.Cut(text, "."); ok && integer != "" && strings.Trim(fraction, "0") == "" {
		text = integer
	}
	i, err := strconv.Atoi(text)
	return i, err == nil
}
