package model

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"weld/format"
	"weld/format/gguf"
	"weld/format/hub"
	"weld/format/llamacpp"
	"weld/format/lora"
	"weld/format/open"
	"weld/format/quant"
	"weld/mmapio"
)

// maxConfig is the most that is read of an adapter_config.json.
const maxConfig = 16 << 20

// The files in which PEFT keeps an adapter's tensors.
const (
	adapterFile = "adapter_model.safetensors"
	pickledFile = "adapter_model.bin"
)

// diffusersFile is the file of diffusers' adapters.
const diffusersFile = "pytorch_lora_weights.safetensors"

// openAdapter opens the tensors of an adapter for a base and reads its configuration; nil is none, for an adapter whose names say everything.
func openAdapter(base format.Checkpoint, name string, how []mmapio.Reading) (c format.Checkpoint, config []byte, err error) {
	path, err := hub.LocateFolder(name)
	if err != nil {
		return nil, nil, err
	}
	file, err := adapterIn(path)
	if err != nil {
		return nil, nil, err
	}
	c, err = open.Checkpoint(file, how...)
	if err != nil {
		return nil, nil, err
	}
	if file := gguf.Within(c); file != nil {
		if llamacpp.IsAdapter(file) {
			return inGGUF(base, c, file)
		}
		return nil, nil, errors.Join(&format.Error{Path: file.Path(), Kind: format.KindUnsupported, Detail: "it does not say that it is an adapter (general.type): a model is no adapter"}, c.Close())
	}
	if err := ofHub(base, c); err != nil {
		return nil, nil, errors.Join(err, c.Close())
	}
	if lora.Bare(c) {
		return c, nil, nil
	}
	if err := lora.CheckLayout(c); err != nil {
		return nil, nil, errors.Join(err, c.Close())
	}
	beside := format.Beside(c)
	if !beside.Exists() {
		beside = format.Directory(filepath.Dir(c.Path()))
	}
	config, err = beside.Read(lora.ConfigName, maxConfig)
	if err == nil && config == nil {
		err = &format.Error{Path: beside.Join(lora.ConfigName), Kind: format.KindMissing, Detail: "there is no such file beside the adapter's tensors; PEFT writes it with them, and it says how they are scaled"}
	}
	if err != nil {
		return nil, nil, errors.Join(err, c.Close())
	}
	return c, config, nil
}

// ofHub refuses an adapter in the Hub's names for a base in GGUF.
func ofHub(base, adapter format.Checkpoint) error {
	if gguf.Within(base) == nil {
		return nil
	}
	for _, t := range adapter.Tensors() {
		if strings.Contains(t.Name, "blk.") {
			return nil
		}
	}
	return &format.Error{Path: adapter.Path(), Kind: format.KindNames, Detail: fmt.Sprintf("its tensors have names of the Hub, and %s is in GGUF, which has llama.cpp's: weld convert it into a directory, and add the adapter to that", base.Path())}
}

// inGGUF shows an adapter in GGUF as PEFT has one for the base.
func inGGUF(base, c format.Checkpoint, file *gguf.Checkpoint) (format.Checkpoint, []byte, error) {
	values, err := quant.Show(c, quant.Declared{})
	if err != nil {
		return nil, nil, errors.Join(err, c.Close())
	}
	a, err := llamacpp.ForBase(values, file, base)
	if err != nil {
		return nil, nil, errors.Join(err, values.Close())
	}
	return a.Checkpoint, a.Config, nil
}

// adapterIn finds the file of an adapter in a folder. A model may lie beside it, so that
// its own name comes first.
func adapterIn(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return path, nil
	}
	for _, name := range []string{adapterFile, adapterFile + ".zst", pickledFile, diffusersFile} {
		if regular(filepath.Join(path, name)) {
			return filepath.Join(path, name), nil
		}
	}
	if within := adaptersWithin(path); len(within) > 0 && !regular(filepath.Join(path, lora.ConfigName)) {
		return "", &format.Error{Path: path, Kind: format.KindMissing, Detail: fmt.Sprintf("no %s; adapters lie in folders of it, of which one is named as %s", adapterFile, strings.Join(within, " or "))}
	}
	return path, nil
}

func regular(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// adaptersWithin lists a few folders of a folder that hold an adapter.
func adaptersWithin(path string) (names []string) {
	const most = 3
	entries, err := fs.ReadDir(os.DirFS(path), ".")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if within := filepath.Join(path, e.Name()); len(names) < most && regular(filepath.Join(within, lora.ConfigName)) {
			names = append(names, within)
		}
	}
	slices.Sort(names)
	return names
}
