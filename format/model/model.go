// Package model opens what a user names as a model: a checkpoint, with adapters added to it.
//
//	./base                        a checkpoint
//	org/base+org/adapter          with an adapter
//	./base+./first+org/repo/sub   with two, the second in a folder of a repository
//
// The package knows how models and adapters are named, and which file of a folder is the
// adapter. It never knows what an adapter computes (format/lora) nor what a container
// is (format/open).
package model

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"weld/format"
	"weld/format/lora"
	"weld/format/open"
	"weld/format/quant"
	"weld/mmapio"
)

// Open opens a checkpoint with adapters added to it, in their order.
func Open(path string, adapters []string, how ...mmapio.Reading) (format.Checkpoint, error) {
	c, err := open.Checkpoint(path, how...)
	if err != nil && len(adapters) > 0 {
		err = fmt.Errorf("%w (a model with the adapter %s; there is no path %s either)", err, strings.Join(adapters, ", "), strings.Join(append([]string{path}, adapters...), "+"))
	}
	if err != nil {
		return nil, err
	}
	if len(adapters) > 0 {
		values, err := plain(c, path)
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		c = values
	}
	for _, name := range adapters {
		with, err := add(c, name, how)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("adapter %s: %w", name, err), c.Close())
		}
		c = with
	}
	return c, nil
}

// Named opens what one word names, as [Split] reads it.
func Named(name string, how ...mmapio.Reading) (format.Checkpoint, error) {
	path, adapters := Split(name)
	return Open(path, adapters, how...)
}

// Split reads path+adapter+…. A + belongs to a path where the path exists with it.
func Split(name string) (path string, adapters []string) {
	parts := format.Apart(name, func(path string) bool {
		_, err := os.Stat(path)
		return err == nil
	})
	return parts[0], parts[1:]
}

// plain shows the values of a base that stores them as codes, to which nothing can be added, and refuses what it cannot
// decode.
func plain(c format.Checkpoint, path string) (format.Checkpoint, error) {
	declared, err := quant.Beside(c)
	if err != nil {
		return nil, fmt.Errorf("read how %s stores its values: %w", path, err)
	}
	if c, err = quant.Show(c, declared); err != nil {
		return nil, err
	}
	scheme, _, err := quant.RecognizeIn(c, declared)
	if err != nil {
		return nil, err
	}
	if scheme == nil {
		return c, nil
	}
	if decoded := quant.Schemes(c); len(decoded) > 0 {
		return nil, &format.Error{Path: path, Tensor: scheme.Codes.Name, Kind: format.KindScheme, Detail: fmt.Sprintf(
			"%v: the base of the adapter stores it %s: an adapter is added to weights, not to codes; add it to a copy in which the scheme's library decoded this tensor", scheme.Codes.DType, scheme.Apart(decoded))}
	}
	return nil, &format.Error{Path: path, Tensor: scheme.Codes.Name, Kind: format.KindScheme, Detail: fmt.Sprintf(
		"%v: the base of the adapter stores its values in a scheme, %s (%s), which weld does not decode: an adapter is added to weights, not to codes; add it to a copy that the scheme's library decoded",
		scheme.Codes.DType, scheme.Name, scheme.Why)}
}

// ofComponent is the error for an adapter of PEFT on a checkpoint of components: its names are those within one of them, and do not say of which.
func ofComponent(c, adapter format.Checkpoint, name string) error {
	var all, fits []string
	for _, part := range format.Parts(c) {
		path := filepath.Join(c.Path(), filepath.FromSlash(part.Folder)) + "+" + name
		all = append(all, path)
		if slices.ContainsFunc(adapter.Tensors(), func(t format.Tensor) bool {
			module, _, adds := strings.Cut(strings.TrimPrefix(t.Name, "base_model.model."), ".lora_")
			_, there := c.Find(part.Prefix() + module + ".weight")
			return adds && there
		}) {
			fits = append(fits, path)
		}
	}
	detail := "an adapter of PEFT is for one component, and its names do not say for which: name that component with it, as in " + all[0]
	if len(fits) > 0 {
		detail = "an adapter of PEFT is for one component: by the names of its modules for " + strings.Join(fits, ", or ")
	}
	return &format.Error{Path: adapter.Path(), Kind: format.KindNames, Detail: detail}
}

// add adds one adapter.
func add(c format.Checkpoint, name string, how []mmapio.Reading) (format.Checkpoint, error) {
	adapter, config, err := openAdapter(c, name, how)
	if err != nil {
		return nil, err
	}
	var with format.Checkpoint
	if config == nil {
		with, err = lora.ApplyBare(c, adapter)
	} else {
		with, err = lora.Apply(c, adapter, config)
		if err != nil && format.HasComponents(c) {
			err = ofComponent(c, adapter, name)
		}
	}
	if err != nil {
		return nil, errors.Join(err, adapter.Close())
	}
	return with, nil
}
