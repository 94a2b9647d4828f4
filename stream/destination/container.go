package destination

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"weld/format/packed"
	"weld/format/patch"
	"weld/internal/spelling"
	"weld/mmapio"
)

// Container is the form of an output.
type Container uint8

const (
	// Directory is a Hub directory.
	Directory Container = iota
	// SingleFile is *.safetensors.
	SingleFile
	// GGUF is *.gguf, with metadata of a base in that format.
	GGUF
	// Compressed is *.safetensors.zst.
	Compressed
	// Pack is *.weld.
	Pack
	// Patch is *.weldpatch.
	Patch
)

// FrameContent is the most tensor bytes in one frame of a compressed output.
const FrameContent = 2 << 20

// Writable says which outputs can be written, for messages and help.
const Writable = "a directory, *.safetensors, *.safetensors.zst, *.gguf (of a base in GGUF; weld convert makes one of a directory as well), *.weld (a pack), or *.weldpatch (of a merge, against its base)"

// endings are those of the names that are not directories.
var endings = [...]string{SingleFile: ".safetensors", GGUF: ".gguf", Compressed: ".safetensors.zst", Pack: ".weld", Patch: ".weldpatch"}

// foreign are endings of files that are no output, and no name that anybody gives a directory.
var foreign = []string{".bin", ".pt", ".pth", ".ckpt", ".zst", ".gz", ".zip", ".tar", ".npz", ".npy", ".h5", ".onnx", ".ggml", ".json", ".yml", ".yaml"}

// NameError is a name that an output cannot have: the command line is to be corrected.
type NameError struct {
	Output string
	Reason string
}

func (e *NameError) Error() string { return fmt.Sprintf("output %s: %s", e.Output, e.Reason) }

// ContainerOf chooses the form of an output by its name. Its error is a [*NameError].
func ContainerOf(out string) (Container, error) {
	name := strings.ToLower(filepath.Base(out))
	switch {
	case out == "-":
		return 0, &NameError{out, "weld does not write a checkpoint to a pipe: name " + Writable + "; weld pack OUT - puts one there"}
	case strings.HasSuffix(name, endings[SingleFile]):
		return SingleFile, nil
	case strings.HasSuffix(name, endings[GGUF]):
		return GGUF, nil
	case strings.HasSuffix(name, endings[Compressed]):
		return Compressed, nil
	case packed.IsName(name):
		return Pack, nil
	case patch.IsName(name):
		return Patch, nil
	}
	if err := checkSpelling(out); err != nil {
		return 0, err
	}
	for _, ending := range foreign {
		if strings.HasSuffix(name, ending) {
			return 0, &NameError{out, fmt.Sprintf("weld does not write *%s here: name %s", ending, Writable)}
		}
	}
	return Directory, nil
}

// checkSpelling refuses a name whose ending is one typing error away from that of a file, and which would silently become a
// directory. One that is a directory already was meant.
func checkSpelling(out string) error {
	name := strings.ToLower(filepath.Base(out))
	for _, ending := range endings[SingleFile:] {
		got := lastEndings(name, strings.Count(ending, "."))
		if spelling.Nearest(got, []string{ending}, 1) == "" {
			continue
		}
		if info, err := os.Stat(out); err == nil && info.IsDir() {
			return nil
		}
		meant := out[:len(out)-len(got)] + ending
		return &NameError{out, fmt.Sprintf("did you mean %s? weld does not make a directory of such a name; name %s", meant, Writable)}
	}
	return nil
}

// lastEndings is the end of a name with so many dots in it; "" if it has fewer.
func lastEndings(name string, dots int) string {
	for i := len(name) - 1; i > 0; i-- {
		if name[i] == '.' {
			if dots--; dots == 0 {
				return name[i:]
			}
		}
	}
	return ""
}

// Labelled adds a label to an output's name, before the ending that chooses its container.
func Labelled(out, label string) string {
	for _, ending := range endings[SingleFile:] {
		if head := len(out) - len(ending); head >= 0 && strings.EqualFold(out[head:], ending) {
			return out[:head] + label + out[head:]
		}
	}
	return filepath.Clean(out) + label
}

// String names the container as help does: "a directory", or the ending of the file.
func (c Container) String() string {
	if c == Directory {
		return "a directory"
	}
	return "*" + endings[c]
}

// Kind says whether the output is a file or a directory.
func (c Container) Kind() mmapio.StagingKind {
	if c == Directory {
		return mmapio.Directory
	}
	return mmapio.SingleFile
}

// Packs reports whether the output is a pack or a patch.
func (c Container) Packs() bool { return c == Pack || c == Patch }

// Grows reports whether bytes are written in their order, at the end alone.
func (c Container) Grows() bool { return c.Block() > 0 }

// HoldsFiles reports whether the output has the small files of a checkpoint too.
func (c Container) HoldsFiles() bool { return c == Directory || c.Packs() }

// Block is how many bytes are coded at once, in order: a worker that brings many more would wait for
// those before it, with nothing for them to do. 0 where the bytes go to their place as they are.
func (c Container) Block() int64 {
	switch {
	case c.Packs():
		return packed.BlockSize
	case c == Compressed:
		return FrameContent
	}
	return 0
}
