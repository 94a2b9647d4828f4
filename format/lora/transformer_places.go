package lora

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// blockModule is a module in a numbered block.
var blockModule = regexp.MustCompile(`^(\w+_blocks)\.(\d{1,3})\.(.+)$`)

// unnumbered is a module with # for the number of its block, which is -1 outside of blocks.
func unnumbered(module string) (name string, block int) {
	match := blockModule.FindStringSubmatch(module)
	if match == nil {
		return module, -1
	}
	block, _ = strconv.Atoi(match[2])
	return match[1] + ".#." + match[3], block
}

// inBlock puts a number in the place of #.
func inBlock(name string, block int) string {
	return strings.Replace(name, "#", strconv.Itoa(block), 1)
}

// transformerPlaces adds, by their other names, the modules of a Flux or Stable Diffusion 3; of anything else nothing, among it
// models with a module that has no place in these.
func transformerPlaces(house string, modules []string, add func(name string, where place)) {
	there := make(map[string]bool, len(modules))
	for _, m := range modules {
		there[m] = true
	}
	for _, f := range families {
		for from := range f.marks {
			if last, ok := f.holds(from, modules, there); ok {
				f.places(from, house, last, there, add)
			}
		}
	}
}

// holds reports whether modules are those of a model of the family in one of its sets of names, 0 for the original's; last is
// the number of the last block whose halves may differ.
func (f family) holds(from int, modules []string, there map[string]bool) (last int, ok bool) {
	for _, mark := range f.marks[from] {
		if !slices.ContainsFunc(modules, func(m string) bool { return strings.HasPrefix(m, mark) }) {
			return 0, false
		}
	}
	known := make(map[string]bool)
	for _, c := range f.table {
		for _, name := range c.names(from) {
			known[name] = true
		}
	}
	last = -1
	for _, m := range modules {
		name, block := unnumbered(m)
		if !known[name] || inBlock(name, block) != m {
			return 0, false
		}
		last = max(last, block)
	}
	if f.last[from] == "" {
		return last, true
	}
	for block := range last { // the one without it is the last, or the model is not whole
		if !there[inBlock(f.last[from], block)] {
			return 0, false
		}
	}
	return last, !there[inBlock(f.last[from], last)]
}

// names are a counterpart's in one of the sets.
func (c counterpart) names(from int) []string {
	if from == 0 {
		return []string{c.original}
	}
	return c.diffusers
}

// places adds the modules of a model under the names of the other set.
func (f family) places(from int, house string, last int, there map[string]bool, add func(name string, where place)) {
	for _, c := range f.table {
		for block := -1; block <= last; block++ {
			if inside := strings.Contains(c.original, "#"); inside != (block >= 0) {
				continue
			}
			own, others := inBlocksOf(c.names(from), block), inBlocksOf(c.names(1-from), block)
			if slices.ContainsFunc(own, func(m string) bool { return !there[m] }) {
				continue
			}
			turned := c.halves == swapped || c.halves == swappedLast && block == last
			c.place(house, own, others, turned, add)
		}
	}
}

func inBlocksOf(names []string, block int) (list []string) {
	for _, name := range names {
		list = append(list, inBlock(name, block))
	}
	return list
}

// place adds one counterpart: own are the base's modules, others what an adapter may call them.
func (c counterpart) place(house string, own, others []string, turned bool, add func(name string, where place)) {
	tensors := make([]string, len(own))
	for i, module := range own {
		tensors[i] = house + module + ".weight"
	}
	switch {
	case turned:
		add(others[0], place{house + own[0], &cut{tensors: tensors, swapped: true}})
	case len(own) > 1:
		add(others[0], place{house + others[0], &cut{tensors: tensors}})
	case len(others) > 1:
		for i, name := range others {
			add(name, place{house + name, &cut{tensors: tensors, piece: i + 1, of: len(others)}})
		}
	case own[0] != others[0]:
		add(others[0], place{module: house + own[0]})
	}
}
