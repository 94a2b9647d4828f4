package open

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"weld/format"
	"weld/format/gguf"
	"weld/format/hub"
	"weld/format/safetensors"
	"weld/format/torch"
)

// This file says what a path is that is no checkpoint to weld, and what can be done about it.

// another is a format of weights that weld does not read.
type another struct {
	endings []string
	format  string // what the format is
	advice  string // how it becomes safetensors
}

// The commands write what the files hold, and no more: from_pretrained and save_pretrained of
// transformers would lose tensors that its class does not know.
const (
	fromNumpy = `python -c "import sys, numpy; from safetensors.numpy import save_file; [save_file(dict(numpy.load(f)), f.rsplit('.', 1)[0] + '.safetensors') for f in sys.argv[1:]]"`
)

var others = []another{
	{[]string{".npz"}, "numpy's format", "to convert, run: " + fromNumpy},
	{[]string{".ggml"}, "the format of llama.cpp before GGUF", "take the checkpoint that it was made from"},
	{[]string{".onnx", ".onnx_data", ".tflite"}, "a format for running models", "take the checkpoint that it was made from"},
	{[]string{".h5", ".msgpack", ".ot"}, "the format of another framework", "transformers 4 converts it: from_pretrained with from_tf=True or from_flax=True, then save_pretrained"},
}

// formatOf finds the format of a file by its name; nil for none of weights.
func formatOf(name string) *another {
	name = strings.ToLower(name)
	for i, o := range others {
		for _, ending := range o.endings {
			if strings.HasSuffix(name, ending) {
				return &others[i]
			}
		}
	}
	return nil
}

// unreadable is the error for a file that is no container that weld reads, by its name.
func unreadable(name string) error {
	detail := "not a container that weld reads: " + Readable
	if o := formatOf(name); o != nil {
		detail = fmt.Sprintf("this is %s, and weld reads safetensors; %s", o.format, o.advise(name))
	}
	if strings.HasSuffix(strings.ToLower(name), ".weldpatch") {
		detail = "a patch, which is no checkpoint by itself: weld apply BASE PATCH OUT makes one"
	}
	return &format.Error{Path: name, Kind: format.KindUnsupported, Detail: detail}
}

// keyless is the error for a key of a container that has no state dicts under keys.
func keyless(name, key string) error {
	return &format.Error{Path: name, Kind: format.KindUnsupported, Detail: fmt.Sprintf("#%s: only files that torch.save wrote have state dicts under keys", key)}
}

// partitioned is the error for a key of a checkpoint of DeepSpeed.
func partitioned(dir format.Folder, key string) error {
	return &format.Error{Path: dir.Path(), Kind: format.KindUnsupported, Detail: fmt.Sprintf("#%s: a checkpoint of DeepSpeed has no state dicts under keys; a file of it may have", key)}
}

// explain adds to an error of a directory what is there instead of a checkpoint.
func explain(dir format.Folder, err error) error {
	var e *format.Error
	if !errors.As(err, &e) || e.Kind != format.KindMissing || e.Path != dir.Path() {
		return incomplete(err)
	}
	found := *e
	entries, _ := dir.ReadDir(".")
	var folders, packs []string
	weights := make(map[*another][]string)
	for _, entry := range entries {
		name := entry.Name()
		switch o := formatOf(name); {
		case entry.IsDir():
			if holdsWeights(dir, name) {
				folders = append(folders, dir.Join(name))
			}
		case o != nil:
			weights[o] = append(weights[o], name)
		case strings.HasSuffix(strings.ToLower(name), ".weld"):
			packs = append(packs, dir.Join(name))
		}
	}
	for i := range others {
		if names := weights[&others[i]]; names != nil {
			found.Detail += "; " + inAnother(dir, &others[i], names)
			found.Kind = format.KindUnsupported
			break
		}
	}
	switch {
	case len(packs) > 0:
		found.Detail += "; a pack is named by itself: " + someOf(packs)
	case len(folders) > 0:
		found.Detail += "; there are some in folders of it, each a checkpoint of its own: " + someOf(folders)
	case found.Kind == format.KindMissing:
		return incomplete(&found)
	}
	return &found
}

// inAnother says which files hold weights in another format.
func inAnother(dir format.Folder, o *another, names []string) string {
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = dir.Join(name)
	}
	return fmt.Sprintf("%s: %s; %s", someOf(names), o.format, o.advise(paths...))
}

// advise says how files become safetensors.
func (o *another) advise(paths ...string) string {
	advice := o.advice
	if !strings.HasSuffix(advice, `"`) {
		return advice
	}
	for _, path := range paths { // the command takes them
		if len(advice) > 1<<10 {
			return advice + " …"
		}
		advice += " " + format.Quoted(path)
	}
	return advice
}

// holdsWeights reports whether a folder of a directory holds files that weld reads.
func holdsWeights(dir format.Folder, name string) bool {
	entries, _ := dir.ReadDir(name)
	for _, e := range entries {
		if !e.IsDir() && (safetensors.IsWeights(path.Base(e.Name())) || torch.IsWeights(path.Base(e.Name())) || gguf.IsName(e.Name())) {
			return true
		}
	}
	return false
}

// incomplete adds to an error of a file that is not there how the Hub's cache gets it.
func incomplete(err error) error {
	var e *format.Error
	if !errors.As(err, &e) || e.Kind != format.KindMissing {
		return err
	}
	advice := hub.Incomplete(e.Path)
	if advice == "" {
		return err
	}
	found := *e
	found.Detail += "; " + advice
	if errors.Is(found.Err, os.ErrNotExist) {
		found.Err = nil // it has been said
	}
	return &found
}

// someOf names up to three things.
func someOf(names []string) string {
	const most = 3
	if len(names) > most {
		return fmt.Sprintf("%s, … (%d)", strings.Join(names[:most], ", "), len(names))
	}
	return strings.Join(names, ", ")
}
