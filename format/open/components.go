package open

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"weld/format"
	"weld/format/composed"
	"weld/format/hub"
	"weld/format/safetensors"
	"weld/format/torch"
)

// mixed lists the components of a directory where any of them has no safetensors, but what torch.save wrote, or is stored in a scheme of its own; nil
// elsewhere, and where the list is not in order, which whoever reads safetensors says.
func mixed(dir format.Folder) []format.Component {
	list, err := dir.Components()
	if err != nil {
		return nil
	}
	for _, x := range list {
		if sub, err := dir.Sub(x.Folder); err == nil && (inTorch(sub) || quantised(sub)) {
			return list
		}
	}
	return nil
}

// quantised reports whether the configuration of a component says that its values are stored in a scheme.
func quantised(dir format.Folder) bool {
	for _, name := range []string{hub.ConfigName, hub.QuantConfigName} {
		if raw, err := dir.Read(name, hub.MaxSidecar); err == nil && len(hub.Quantizations(raw)) > 0 {
			return true
		}
	}
	return false
}

// inTorch reports whether the weights of a directory are those of torch.save alone.
func inTorch(dir format.Folder) bool {
	entries, _ := dir.ReadDir(".")
	found := false
	for _, e := range entries {
		switch name := e.Name(); {
		case e.IsDir():
		case safetensors.IsWeights(name):
			return false
		case torch.IsWeights(name):
			found = true
		}
	}
	return found
}

// components opens each component in the container that it is in. Those that hold no weights are passed over: a tokenizer, a scheduler.
func components(dir format.Folder, list []format.Component, source func(path string) (safetensors.Source, error)) (format.Checkpoint, error) {
	var children []composed.Child
	itself := false
	closed := func(err error) error {
		for _, child := range children {
			err = errors.Join(err, child.Close())
		}
		return err
	}
	for _, x := range list {
		itself = itself || x.Folder == ""
		child, err := component(dir, x, source)
		if err != nil {
			return nil, closed(err)
		}
		if child.Checkpoint != nil {
			children = append(children, child)
		}
	}
	var notes []string
	if others := besides(dir); !itself && len(others) > 0 {
		notes = append(notes, fmt.Sprintf("%s: the checkpoint is the components that %s lists, and not %s, which is there as well", dir.Path(), format.PipelineName, someOf(others)))
	}
	return checkpoint(composed.New(dir, children, notes))
}

// component opens one; it is empty where it holds no weights.
func component(dir format.Folder, x format.Component, source func(path string) (safetensors.Source, error)) (composed.Child, error) {
	child := composed.Child{Part: format.Part{Component: x}}
	sub, err := dir.Sub(x.Folder)
	if err != nil {
		return child, err
	}
	if inTorch(sub) {
		c, err := torch.OpenFolder(sub, "", inside(sub, source))
		if err != nil {
			return child, err
		}
		child.Checkpoint, child.Stem = c, torchStem(c)
		return child, nil
	}
	c, stem, err := safetensors.OpenComponent(sub, inside(sub, source))
	if err != nil {
		return child, err
	}
	if c == nil {
		return child, safetensors.CheckWithoutWeights(sub, x)
	}
	child.Checkpoint, child.Stem = c, stem
	return child, nil
}

// torchStem is what files of safetensors are called in the place of those of torch.save: diffusers loads them by the same name, transformers and
// sentence-transformers by another.
func torchStem(c format.Checkpoint) string {
	const diffusers = "diffusion_pytorch_model"
	if files := c.Files(); len(files) > 0 && strings.HasPrefix(path.Base(files[0].Path), diffusers) {
		return diffusers
	}
	return strings.TrimSuffix(safetensors.SingleName, ".safetensors")
}
