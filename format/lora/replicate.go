package lora

import (
	"fmt"
	"regexp"
	"strconv"

	"weld/format"
	"weld/format/hub"
)

// layerStack matches the name of a tensor in the run of layers that PEFT replicates: that of Llama's kin, of BERT's or
// of Falcon's.
var layerStack = regexp.MustCompile(`^((?:model\.)*(?:layers|(?:bert\.)?encoder\.layer|(?:transformer\.)?h)\.)(\d{1,9})(\..+)$`)

// replicate shows a base with its layers repeated as layer_replication says: [[0, 4], [2, 5]] are the
// layers 0, 1, 2, 3, 2, 3, 4. The adapter's tensors count them anew.
func (m *matching) replicate(base format.Checkpoint) (format.Checkpoint, error) {
	c, path := m.config, m.adapter.Path()
	if len(c.replication) == 0 {
		return base, nil
	}
	fail := func(detail string, args ...any) (format.Checkpoint, error) {
		return nil, &format.Error{Path: path, Kind: format.KindUnsupported, Detail: "layer_replication: " + fmt.Sprintf(detail, args...)}
	}
	stack, layers, tensors := "", int64(0), make(map[int64][]int)
	for i, t := range base.Tensors() {
		name := layerStack.FindStringSubmatch(t.Name)
		if name == nil {
			continue
		}
		if stack != "" && stack != name[1] {
			return fail("%s has two runs of layers, %q and %q", base.Path(), stack, name[1])
		}
		n, _ := strconv.ParseInt(name[2], 10, 64)
		stack, layers = name[1], max(layers, n+1)
		tensors[n] = append(tensors[n], i)
	}
	total := int64(0)
	for _, r := range c.replication {
		if r[0] < 0 || r[0] > r[1] || r[1] > layers {
			return fail("the layers %d to %d of %s, which has %d", r[0], r[1], base.Path(), layers)
		}
		if total += r[1] - r[0]; total > maxLayers {
			return fail("more than %d layers", maxLayers)
		}
	}
	m.note("%s: layer_replication: the model has %d layers, made of the %d of %s as %v", path, total, layers, base.Path(), c.replication)
	return stacked(base, c.replication, stack, layers, tensors), nil
}

// maxLayers is the most that a replicated model has. More was not made by training.
const maxLayers = 1 << 16

// stacked shows the layers, in the place of the first of them.
func stacked(base format.Checkpoint, runs [][2]int64, stack string, layers int64, tensors map[int64][]int) format.Checkpoint {
	d := derive(base, func(config []byte) []byte {
		s := hub.Stack{Part: hub.Text, Before: layers}
		for _, r := range runs {
			s.Slices = append(s.Slices, hub.Taken{Of: base.Path(), Config: config, Layers: layers, First: r[0], Last: r[1]})
		}
		text, _ := hub.Restack(config, s)
		return text
	})
	begun := false
	for i, t := range base.Tensors() {
		name := layerStack.FindStringSubmatch(t.Name)
		if name == nil {
			d.show(i, t.Name)
			continue
		}
		if begun {
			continue
		}
		begun = true
		next := int64(0)
		for _, r := range runs {
			for n := r[0]; n < r[1]; n++ {
				for _, j := range tensors[n] {
					parts := layerStack.FindStringSubmatch(base.Tensors()[j].Name)
					d.show(j, stack+strconv.FormatInt(next, 10)+parts[3])
				}
				next++
			}
		}
	}
	return d
}
