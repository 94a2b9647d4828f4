package plan

import (
	"maps"
	"slices"
	"strings"

	"weld/format/hub"
	"weld/stream/layers"
)

// Whether the configuration of a stack describes its layers is seen from their tensors, for any architecture:
// a layer of the output must have those that a layer of its kind has in the reference.

// checkKinds notes the first layer of each stack that is not what the configuration of the reference makes it.
func (p *planner) checkKinds(config []byte) error {
	for _, run := range p.restacked {
		if run.like.Layers > hub.MostLayers {
			continue
		}
		reference := p.Reference()
		own := layers.Anatomies(reference.Tensors(), run.like)
		expected, err := p.expected(config, run, own)
		if err != nil {
			return err
		}
		at := int64(0)
	slices:
		for _, t := range run.slices {
			if t.of > hub.MostLayers {
				break
			}
			theirs := layers.Anatomies(t.from.Tensors(), layers.Run{Prefix: t.prefix, Layers: t.of})
			for layer := t.first; layer < t.last; layer, at = layer+1, at+1 {
				like := expected(at, t, layer)
				if like < 0 {
					continue
				}
				if what := theirs[layer].Unlike(own[like]); what != "" {
					p.note("%s: %s makes layer %d of the output one like layer %d of %s, but it is layer %d of %s, %s: make the configuration fit", reference.Path, hub.ConfigName, at, like, reference.Path, layer, t.from.Path, what)
					break slices
				}
			}
		}
		p.notePerLayer(run)
	}
	return nil
}

// expected tells which layer of the reference a layer of the output is like, by its configuration; -1 where
// nothing is known. Where what the configuration says explains the tensors of all layers of the reference, it is
// one of which the same is said. Else a layer is like the one in the same place, and behind those as the pattern
// goes on.
func (p *planner) expected(config []byte, run restacked, own []layers.Anatomy) (func(at int64, t takenLayers, layer int64) int64, error) {
	kinds := hub.KindsOf(config, run.part, run.like.Layers, run.like.Behind)
	of := make(map[*Input]hub.Kinds)
	for _, t := range run.slices {
		if of[t.from] == nil {
			theirs, err := p.configOf(t.from)
			if err != nil {
				return nil, err
			}
			of[t.from] = hub.KindsOf(theirs, run.part, t.of, t.behind)
		}
		for key := range kinds {
			if of[t.from][key] == nil {
				delete(kinds, key)
			}
		}
	}
	by := make(map[string]int64)
	for i := range own {
		label := label(kinds, kinds, int64(i))
		if first, known := by[label]; !known {
			by[label] = int64(i)
		} else if own[first].Unlike(own[i]) != "" {
			return goesOn(own), nil
		}
	}
	return func(_ int64, t takenLayers, layer int64) int64 {
		if like, known := by[label(kinds, of[t.from], layer)]; known {
			return like
		}
		return -1
	}, nil
}

// label is what is said of a layer by the keys that count.
func label(keys, kinds hub.Kinds, layer int64) string {
	var said []string
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		said = append(said, kinds[key][layer])
	}
	return strings.Join(said, "\n")
}

// goesOn goes by the place of a layer, and behind the last by the shortest period in which the layers repeat,
// or else by the last.
func goesOn(own []layers.Anatomy) func(at int64, t takenLayers, layer int64) int64 {
	n := int64(len(own))
	period := int64(1)
	repeats := func() bool {
		for i := period; i < n; i++ {
			if own[i].Unlike(own[i-period]) != "" {
				return false
			}
		}
		return true
	}
	for period <= n/2 && !repeats() {
		period++
	}
	if period > n/2 {
		period = 1
	}
	return func(at int64, _ takenLayers, _ int64) int64 {
		if at < n {
			return at
		}
		return n - period + (at-n)%period
	}
}

// notePerLayer notes tensors outside of the layers with a part for each of them.
func (p *planner) notePerLayer(run restacked) {
	if run.layers == run.like.Layers {
		return
	}
	for _, t := range p.Tensors {
		_, index, _ := layers.Split(t.Name)
		each := func(size int64) bool { return size > run.like.Layers && size%run.like.Layers == 0 }
		if index < 0 && strings.Contains(t.Name, "per_layer") && slices.ContainsFunc(t.Shape, each) {
			p.noteTensor(t.From.Path, t.Name, "it has a part for each of %d layers, and is carried over as it is to an output with %d", run.like.Layers, run.layers)
		}
	}
	p.noteRemarks()
}
