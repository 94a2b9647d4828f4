package plan

import (
	"cmp"
	"slices"
	"strings"

	"weld/format"
	"weld/format/hub"
	"weld/stream/tokens"
)

// Layers are recognised from tensor names, not from a table of architectures: a layer is
// what has the same number after the same prefix ("model.layers.17."), whatever the prefix is
// called. So a model that is published tomorrow has layers too.

// layerName splits a tensor's name around the number of its layer, the first number that is a
// part of the name by itself; index is −1 where there is none.
func layerName(name string) (prefix string, index int64, suffix string) {
	for at := 0; ; {
		dot := strings.IndexByte(name[at:], '.')
		if dot < 0 {
			return name, -1, ""
		}
		begin := at + dot + 1
		end := begin
		for end < len(name) && name[end] >= '0' && name[end] <= '9' {
			end++
		}
		if end > begin && end-begin <= maxLayerDigits && end < len(name) && name[end] == '.' {
			index = 0
			for _, digit := range name[begin:end] {
				index = 10*index + int64(digit-'0')
			}
			return name[:begin], index, name[end:]
		}
		at = begin
	}
}

const maxLayerDigits = 9

// layerRun is a run of layers: tensors whose names begin alike, up to the number of the layer.
type layerRun struct {
	prefix string
	layers int64 // that the model has
	behind int64 // that are stored behind those
	lacks  int64 // that the configuration counts and nothing is stored of
	bytes  int64
}

// layerRuns lists the runs of layers of a checkpoint, that with the most bytes first: the
// others are what models of several modalities have beside it.
func layerRuns(tensors []format.Tensor) []layerRun {
	var list []layerRun
	known := make(map[string]int)
	for _, t := range tensors {
		prefix, index, _ := layerName(t.Name)
		if index < 0 {
			continue
		}
		i, there := known[prefix]
		if !there {
			i, known[prefix] = len(list), len(list)
			list = append(list, layerRun{prefix: prefix})
		}
		list[i].layers = max(list[i].layers, index+1)
		list[i].bytes += t.Bytes()
	}
	slices.SortStableFunc(list, func(a, b layerRun) int { return cmp.Compare(b.bytes, a.bytes) })
	return list
}

// settle has a configuration say how many layers the runs are of, where it speaks of them: layers behind that
// number predict further tokens (DeepSeek-V3 and GLM-4.5 store theirs as model.layers.N with N =
// num_hidden_layers), and are none that the model counts. Of several runs of a part it speaks of the one
// that has as many layers as it says, else of that with the most bytes.
func settle(runs []layerRun, config []byte) {
	spokenOf := make(map[hub.Submodel]bool)
	describedBy := func(s layerRun) (part, object hub.Submodel) {
		part, _ = partOf(s.prefix)
		if part == hub.Encoder || part == hub.Decoder {
			return part, hub.Text // the top of the configuration has them all
		}
		return part, part
	}
	for _, s := range runs {
		part, object := describedBy(s)
		if n, ok := hub.Layers(config, part, s.layers); ok && n == s.layers {
			spokenOf[object] = true
		}
	}
	for i, s := range runs {
		part, object := describedBy(s)
		if spokenOf[object] {
			continue
		}
		spokenOf[object] = true
		switch n, ok := hub.Layers(config, part, s.layers); {
		case ok && n > 0 && n < s.layers:
			runs[i].layers, runs[i].behind = n, s.layers-n
		case ok && n > s.layers:
			runs[i].lacks = n - s.layers
		}
	}
}

// positionOf is where a layer lies between the first (0) and the last (1) of a run; a run of
// one layer is at its end, and so is what stands behind the layers.
func positionOf(index, layers int64) float64 {
	if layers <= 1 || index >= layers {
		return 1
	}
	return float64(index) / float64(layers-1)
}

// tiedTo finds the tensor that stands for the output layer of a checkpoint that has none.
func tiedTo(c format.Checkpoint, name string) (i int, ok bool) {
	for _, t := range hub.TiedHeads {
		if t.Head == name {
			if i, ok := c.Find(t.Embedding); ok {
				return i, true
			}
		}
	}
	return -1, false
}

// unties reports whether an output layer is written that the reference has by its embeddings, so that
// its configuration may say of the output what is no longer so.
func (p *planner) unties() bool {
	ref := p.Reference()
	return slices.ContainsFunc(p.Tensors, func(t Tensor) bool {
		if _, tied := tiedTo(ref.Checkpoint, t.Name); !tied {
			return false
		}
		i, ok := ref.Find(t.Name)
		return !ok || tokens.StandsIn(ref.Checkpoint, i)
	})
}

// beforeLayers are parts of the names of tensors that come before the layers: embeddings, and what
// makes patches or frames into the first layer's input.
var beforeLayers = []string{
	"embed", "wte", "wpe", "word_embeddings", "position",
	"patch_conv", "conv1.", "conv2.", "ln_pre", "layernorm_pre", "pre_layernorm", "pre_layrnorm",
}

// afterLayers reports whether a tensor outside of the layers comes behind them: the final
// norm and the output layer do, embeddings do not.
func afterLayers(name string) bool {
	for _, t := range hub.TiedHeads {
		if t.Head == name {
			return true
		}
	}
	for _, before := range beforeLayers {
		if strings.Contains(name, before) {
			return false
		}
	}
	return true
}
