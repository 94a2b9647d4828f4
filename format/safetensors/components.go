package safetensors

import (
	"fmt"
	"strings"

	"weld/format"
)

// openComponents adds the files of every component of the checkpoint's directory. Those that hold no weights are passed over: a tokenizer,
// a scheduler.
func (c *Checkpoint) openComponents(components []format.Component, open func(name string) (Source, error)) error {
	itself := false
	var ends []int // of each part's tensors
	for _, x := range components {
		itself = itself || x.Folder == ""
		dir, err := c.beside.Sub(x.Folder)
		if err != nil {
			return err
		}
		indexes, files, err := candidates(dir)
		if err != nil {
			return err
		}
		if len(indexes)+len(files) == 0 {
			if err := CheckWithoutWeights(dir, x); err != nil {
				return err
			}
			continue
		}
		chosen, err := choose(dir)
		if err != nil {
			return err
		}
		c.prefix = x.Prefix()
		if err := c.open(chosen, dir, func(name string) (Source, error) { return open(x.Prefix() + name) }); err != nil {
			return err
		}
		if err := c.unique(); err != nil { // before the names of another component are looked at
			return err
		}
		c.parts = append(c.parts, format.Part{Component: x, Stem: chosen.stem()})
		ends = append(ends, len(c.tensors))
	}
	c.prefix = ""
	if err := c.apart(ends); err != nil {
		return err
	}
	if c.parts == nil {
		return &format.Error{Path: c.path, Kind: format.KindMissing, Detail: fmt.Sprintf("none of the %d components that it lists has a safetensors file", len(components))}
	}
	indexes, files, err := candidates(c.beside)
	if err == nil && !itself && len(indexes)+len(files) > 0 {
		c.notes = append(c.notes, fmt.Sprintf("%s: the checkpoint is the components that %s lists, and not %s, which is there as well", c.path, format.PipelineName, listed(append(indexes, files...), "or")))
	}
	return err
}

// apart refuses a tensor of one component whose name would make it another's: a part is told by what names begin with.
func (c *Checkpoint) apart(ends []int) error {
	part := 0
	for i, t := range c.tensors {
		for i >= ends[part] {
			part++
		}
		if of := format.PartOf(c.parts, t.Name); of != part {
			return &format.Error{Path: c.shards[c.shardOf(i)].Path(), Tensor: strings.TrimPrefix(t.Name, c.parts[part].Prefix()), Kind: format.KindNames,
				Detail: fmt.Sprintf("its name begins with the directory of another component, %q, whose it would become", c.parts[of].Folder)}
		}
	}
	return nil
}

// OpenComponent opens the directory of one component by itself, if safetensors are in it, and says what its files are called. open opens one of
// them by its name in the directory. It is nil where there are none.
func OpenComponent(dir format.Folder, open func(name string) (Source, error)) (c *Checkpoint, stem string, err error) {
	indexes, files, err := candidates(dir)
	if err != nil || len(indexes)+len(files) == 0 {
		return nil, "", err
	}
	chosen, err := choose(dir)
	if err != nil {
		return nil, "", err
	}
	c = &Checkpoint{path: dir.Path(), beside: dir}
	c, err = c.opened(c.open(chosen, dir, open))
	return c, chosen.stem(), err
}

// CheckWithoutWeights refuses a component without safetensors whose weights are there in a format that is not read, or are not there: a model of diffusers and transformers
// has a config.json, and nothing else has.
func CheckWithoutWeights(dir format.Folder, c format.Component) error {
	entries, err := dir.ReadDir(".")
	if err != nil {
		return err
	}
	configured := false
	for _, e := range entries {
		if inner, err := dir.Sub(e.Name()); e.IsDir() && err == nil {
			if indexes, files, err := candidates(inner); err == nil && len(indexes)+len(files) > 0 {
				return &format.Error{Path: inner.Path(), Kind: format.KindUnsupported, Detail: fmt.Sprintf("weights inside of the component %s, in a directory that the list of components does not name: weld does not merge those; name it by itself", c.Class)}
			}
		}
	}
	for _, e := range entries {
		if name := e.Name(); format.IsWeights(name) {
			detail := fmt.Sprintf("the weights of the component %s are in another format: weld reads those of components as safetensors, and as what torch.save wrote", c.Class)
			return &format.Error{Path: dir.Join(name), Kind: format.KindUnsupported, Detail: detail}
		}
		configured = configured || e.Name() == "config.json"
	}
	if configured && c.HasWeights() {
		return &format.Error{Path: dir.Path(), Kind: format.KindMissing, Detail: fmt.Sprintf("the component %s has a config.json, and no weights", c.Class)}
	}
	return nil
}
