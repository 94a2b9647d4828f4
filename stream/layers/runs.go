package layers

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"weld/format"
	"weld/format/hub"
)

// Split splits a tensor's name around the number of its layer, the first number that is a
// part of the name by itself; index is −1 where there is none.
func Split(name string) (prefix string, index int64, suffix string) {
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

// Run is a run of layers: tensors whose names begin alike, up to the number of the layer.
type Run struct {
	Prefix string
	Layers int64 // that the model has
	Behind int64 // that are stored behind those
	Lacks  int64 // that the configuration counts and nothing is stored of
	Bytes  int64
}

// Runs lists the runs of layers of a checkpoint, that with the most bytes first: the
// others are what models of several modalities have beside it.
func Runs(tensors []format.Tensor) []Run {
	var list []Run
	known := make(map[string]int)
	for _, t := range tensors {
		prefix, index, _ := Split(t.Name)
		if index < 0 {
			continue
		}
		i, there := known[prefix]
		if !there {
			i, known[prefix] = len(list), len(list)
			list = append(list, Run{Prefix: prefix})
		}
		list[i].Layers = max(list[i].Layers, index+1)
		list[i].Bytes += t.Bytes()
	}
	slices.SortStableFunc(list, func(a, b Run) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return list
}

// Settle has a configuration say how many layers the runs are of, where it speaks of them: layers behind that
// number predict further tokens (DeepSeek-V3 and GLM-4.5 store theirs as model.layers.N with N =
// num_hidden_layers), and are none that the model counts. Of several runs of a part it speaks of the one
// that has as many layers as it says, else of that with the most bytes.
func Settle(runs []Run, config []byte) {
	spokenOf := make(map[hub.Submodel]bool)
	describedBy := func(s Run) (part, object hub.Submodel) {
		part, _ = SubmodelOf(s.Prefix)
		if part == hub.Encoder || part == hub.Decoder {
			return part, hub.Text // the top of the configuration has them all
		}
		return part, part
	}
	for _, s := range runs {
		part, object := describedBy(s)
		if n, ok := hub.Layers(config, part, s.Layers); ok && n == s.Layers {
			spokenOf[object] = true
		}
	}
	for i, s := range runs {
		part, object := describedBy(s)
		if spokenOf[object] {
			continue
		}
		spokenOf[object] = true
		switch n, ok := hub.Layers(config, part, s.Layers); {
		case ok && n > 0 && n < s.Layers:
			runs[i].Layers, runs[i].Behind = n, s.Layers-n
		case ok && n > s.Layers:
			runs[i].Lacks = n - s.Layers
		}
	}
}

// Position is where a layer lies between the first (0) and the last (1) of a run; a run of
// one layer is at its end, and so is what stands behind the layers.
func Position(index, layers int64) float64 {
	if layers <= 1 || index >= layers {
		return 1
	}
	return float64(index) / float64(layers-1)
}

// beforeLayers are parts of the names of tensors that come before the layers: embeddings, and what
// makes patches or frames into the first layer's input.
var beforeLayers = []string{
	"embed", "wte", "wpe", "word_embeddings", "position",
	"patch_conv", "conv1.", "conv2.", "ln_pre", "layernorm_pre", "pre_layernorm", "pre_layrnorm",
}

// After reports whether a tensor outside of the layers comes behind them: the final
// norm and the output layer do, embeddings do not.
func After(name string) bool {
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

// Spare names the layers behind those that are counted; "" where there are none.
func (s Run) Spare() string {
	switch s.Behind {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf(" (layer %d is stored behind the %d that its config.json counts)", s.Layers, s.Layers)
	}
	return fmt.Sprintf(" (layers %d to %d are stored behind the %d that its config.json counts)", s.Layers, s.Layers+s.Behind-1, s.Layers)
}
